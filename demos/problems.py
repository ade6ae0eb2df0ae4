"""What went wrong, for readers of both languages: errors speak English, and their Chinese stands here.

An error of `core` or of a command is told from its sentence, so that neither knows the pages. A sentence
that is not listed, such as one of the operating system, stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from demos import task_words
from demos.said import Said, html, same

# fmt: off
_KNOWN = (
    # Inputs
    Said("{field} is empty. Give a text to {task}.", "{field}为空，请先输入文字。"),
    Said("The text has {length} characters; at most {most} are taken at once.",
         "文本共 {length} 个字符，一次最多接受 {most} 个。"),
    Said("The input is too long: {length} characters do not fit into {room} tokens, even with {field} cut. "
         "Shorten it, or use a backbone with a longer context.",
         "输入过长：共 {length} 个字符，即使截短{field}也放不进 {room} 个词元。"
         "请缩短输入，或换用上下文更长的底座模型。"),
    Said("A prompt of {length} tokens does not fit; it must have 1 to {most}. Shorten the input.",
         "提示共 {length} 个词元，应为 1 至 {most} 个。请缩短输入。"),
    Said("The text holds half a surrogate pair, which is no character.",
         "文本含有不完整的代理对，不是有效字符。"),
    Said("{field}: Input should be a valid {kind}.", "{field}的值类型不符（应为 {kind}）。"),
    Said("{field}: Extra inputs are not permitted.", "没有名为 {field} 的参数。"),
    # Settings
    Said("{name} is {value}; it must be a number from {low} to {high}.",
         "{name} 为 {value}，应为 {low} 至 {high} 之间的数。"),
    Said("{name} is {value}; it must be a whole number from {low} to {high}.",
         "{name} 为 {value}，应为 {low} 至 {high} 之间的整数。"),
    Said("{name} is {value}; it must be from {low} to {high}.",
         "{name} 为 {value}，应在 {low} 至 {high} 之间。"),
    Said("{count} texts to stop at; at most {most}.", "“停止于”共有 {count} 段文字，最多 {most} 段。"),
    Said("{name} has no effect without 'temperature'.", "未设置 temperature 时，{name} 不起作用。"),
    # Adapters and backbones
    Said("No adapter {name} on {backbone}; known: {known}.", "{backbone} 上没有适配器 {name}；已有：{known}。"),
    Said("No adapter for {task} on {backbone}. There is one for: {others} (--backbone). "
         "Train one: quintet finetune {name} --install",
         "{backbone} 上没有“{task}”的适配器，其他底座上有：{others}（--backbone）。"
         "训练一个：quintet finetune {name} --install"),
    Said("No adapter for {task} on {backbone}. Train one: quintet finetune {name} --install",
         "{backbone} 上没有“{task}”的适配器。训练一个：quintet finetune {name} --install"),
    Said("No version {version} of {task} on {backbone}; installed versions: {there}.",
         "{backbone} 上没有“{task}”的版本 {version}；已安装：{there}。"),
    Said("No installed version of {task} on {backbone} is served: nothing to take back.",
         "{backbone} 上没有已安装的“{task}”版本在服务，无可回退。"),
    Said("{folder} is the only adapter of {task} on {backbone}: there is none before it. "
         "Take it off the disk with: {command}",
         "{folder} 是 {backbone} 上“{task}”唯一的适配器，没有更早的版本。若要删除：{command}"),
    Said("The adapter in {folder} does not fit: {differs}. Load the backbone it was trained on, or train anew: "
         "{command}. If both are known to be those it learned with: {renew}",
         "{folder} 中的适配器不匹配：{differs}。请载入训练时所用的底座模型，或重新训练：{command}。"
         "若确知二者与训练时相同：{renew}"),
    Said("{path} was altered after the adapter was scored: it would answer otherwise. Copy or install it again.",
         "{path} 在评分之后被改动，回答会有所不同。请重新复制或安装。"),
    Said("{path} is not the file that was trained: it was altered. Copy or install it again.",
         "{path} 不是训练所得的文件，已被改动。请重新复制或安装。"),
    Said("No backbone {name} here; known: {known}.", "这里没有底座模型 {name}；已有：{known}。"),
    Said("{backbone} tells no attention weights.", "{backbone} 不提供注意力权重。"),
    Said("This model has no head that says next tokens.", "该模型没有预测下一个词元的输出层。"),
    Said("The model gives values that are not numbers: its weights are damaged. "
         "Load the backbone and the adapter again, or train anew.",
         "模型输出了非数值，权重已损坏。请重新载入底座模型与适配器，或重新训练。"),
    # The queue
    Said("{waiting} requests wait already, and {most} may. Try again in a moment.",
         "已有 {waiting} 个请求在排队（最多 {most} 个），请稍后再试。"),
    Said("The engine was closed. Make a new one.", "推理引擎已关闭，请重新启动。"),
    # Files
    Said("{name} is of no known kind; taken are {kinds}.", "{name} 的类型无法识别；可用：{kinds}。"),
    Said("{name} is in no known encoding.", "{name} 的编码无法识别。"),
    Said("{name} is no xlsx file: {why}.", "{name} 不是 xlsx 文件：{why}。"),
    Said("{name} is no parquet file: {why}.", "{name} 不是 parquet 文件：{why}。"),
    Said("{path} is no readable parquet file: {why}", "{path} 不是可读的 parquet 文件：{why}"),
    Said("{name} has more than {most} rows. Save it as csv, and score it with quintet predict.",
         "{name} 超过 {most} 行。请另存为 csv，用 quintet predict 打分。"),
    Said("{name} cannot be read: {why}", "{name} 无法读取：{why}"),
    Said("Cannot read {path}: {why}.", "无法读取 {path}：{why}。"),
    Said("{path}: --map names column {name}, which is not among {columns}.",
         "{path} 没有 {name} 列；已有：{columns}。"),
    Said("{path} holds no rows.", "{path} 没有任何数据行。"),
    Said("{place}: broken JSON: {why}.", "{place}：JSON 格式错误：{why}。"),
    Said("{path}: unknown kind of file; read are {kinds}.", "{path}：文件类型无法识别；可读：{kinds}。"),
    Said("{path}: several columns are named {name}. Rename or remove all but one.",
         "{path}：有多列名为 {name}。请改名或删除，只留一列。"),
    Said("{path} has a column {name} already. Rename it first.",
         "{path} 已有名为 {name} 的列，请先改名。"),
    Said("No file or folder {path}.", "没有文件或文件夹 {path}。"),
    Said("It ended without a word.", "进程已结束，没有给出说明。"),
    # Feedback
    Said("{answer} is no label of {task}; labels: {labels}.", "{answer} 不是可用的标签；可用：{labels}。"),
    Said("{answer} cannot be learned as an answer to this input.", "无法把 {answer} 作为该输入的答案来学习。"),
    Said("No feedback to write: nothing that was said to be right is left.",
         "没有可写出的反馈：没有确认过正确答案的行。"),
    Said("No feedback on {task} says what is right. Mark some answers first.",
         "还没有关于该任务正确答案的反馈，请先评价一些回答。"),
    Said("The feedback in {place} cannot be reached: {why}. {variable} names another database.",
         "无法访问 {place} 中的反馈：{why}。可用 {variable} 指定另一个数据库。"),
    # Training and looking inside
    Said("The options cannot be read: {why}.", "无法读取选项：{why}。"),
    Said("{option} is no option; give them as --key value.", "{option} 不是选项；请写作 --key value。"),
    Said("{option} cannot be given here: the form has it, or the page does.",
         "这里不能给出 {option}：表单或页面已经设定。"),
    Said("There is no job {name}; start one anew.", "没有任务 {name}，请重新开始。"),
    Said("{run} was not started here. Go on with the command that it was started with, and --resume.",
         "{run} 不是从这里开始的。请用当初的命令加上 --resume 继续。"),
    Said("{length} characters; at most {most} are looked at.", "共 {length} 个字符，最多可查看 {most} 个。"),
    Said("At least 2 tokens are needed to look at, not {most}.",
         "至少需要 2 个词元才能查看，而不是 {most} 个。"),
    Said("Give 1 to {most} numbers from {low} to {high}, with commas between.",
         "请输入 1 至 {most} 个数，范围 {low} 至 {high}，以逗号分隔。"),
    Said("Weights go from {low} to {high}.", "权重应在 {low} 至 {high} 之间。"),
)
# fmt: on
_GUESS = re.compile(r" Did you mean (?P<guess>'.+?')\?")


def said(text: str) -> Said:
    """A sentence of an error in both languages."""
    return next(_readings(text), same(text))


def problem(error: Exception | str) -> str:
    """An error as HTML; nothing in it is read as HTML."""
    return html(said(str(error)), "p", class_="problem", role="alert")


def _readings(text: str) -> Iterator[Said]:
    guess = _GUESS.search(text)
    sentence = _GUESS.sub("", text)
    more = f"是否指 {guess['guess']}？" if guess else ""
    for known, pattern in _PATTERNS:
        if found := pattern.fullmatch(sentence):
            values = {name: task_words.quoted(value) for name, value in found.groupdict().items()}
            yield Said(text, known.filled(**values).zh + more)


def _pattern(known: Said) -> re.Pattern[str]:
    """The English sentence, with anything in the place of each name in braces."""
    parts = re.split(r"\{(\w+)\}", known.en)
    fixed, names = parts[::2], parts[1::2]
    named = [f"(?P<{name}>.+?)" for name in names]
    between = [re.escape(part) for part in fixed]
    return re.compile("".join(a + b for a, b in zip(between, [*named, ""], strict=True)), re.DOTALL)


_PATTERNS = tuple((known, _pattern(known)) for known in _KNOWN)
