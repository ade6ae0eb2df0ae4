"""The words of the frame and of the pages of tasks, in English and Chinese side by side."""

from __future__ import annotations

from demos.said import Said

# fmt: off
ABOUT = Said(
    "One small GPT, an adapter for each skill, and a score beside each.",
    "一个小型 GPT，每项技能一个适配器，各附实测得分。")
SHADE = Said("Light / dark", "浅色 / 深色")
BACKBONE = Said("Backbone", "底座模型")
BACKBONE_FACTS = Said(
    "{name}: {millions} million parameters · context of {context} tokens",
    "{name}：{count}参数 · 上下文 {context} 个词元")
LOADING = Said("Loading it …", "正在载入……")
# fmt: on

# fmt: off
SUBMIT = Said("Submit", "提交")
STOP = Said("Stop", "停止")
ANSWER = Said("Answer", "回答")
SAMPLES = Said("Samples: one click fills and answers", "示例：点一下即填入并作答")
BY = Said("Answered by", "由谁作答")
SHIPPED = Said("shipped", "自带")
BARE = Said("bare backbone", "仅底座模型")
BESIDE = Said("Beside it", "并排对比")
WAITING = Said("Reading …", "正在读取……")
WRITING = Said("Writing …", "正在生成……")

COMPLETE = Said("complete", "已完整结束")
CUT = Said("cut at the longest length", "达到长度上限而截断")
STOPPED = Said("stopped", "已停止")
NOT_READ = Said(
    "{count} characters were not read: the text is longer than the context.",
    "有 {count} 个字符未读入：文本超出了上下文长度。")
UNSURE = Said("Not sure enough to answer.", "把握不足，不作回答。")
EMPTY = Said("The answer is empty: the model had nothing to add.", "回答为空：模型没有可补充的内容。")
SPEED_TEXT = Said(
    "Finish: {ending} · {read} tokens read, {written} written · {rate} tokens/s · {seconds} s",
    "结束方式：{ending} · 读入 {read} 个词元，生成 {written} 个 · {rate} 词元/秒 · {seconds} 秒")
SPEED_SHORT = Said(
    "Finish: {ending} · {read} tokens read, {written} written · {seconds} s",
    "结束方式：{ending} · 读入 {read} 个词元，生成 {written} 个 · {seconds} 秒")
SPEED_CHOICE = Said(
    "Finish: complete · {read} tokens read, labels ranked in one pass · {seconds} s",
    "结束方式：已完整结束 · 读入 {read} 个词元，一次前向计算比较各标签 · {seconds} 秒")

LIKELIER = Said("Mark: 50%. The likelier label is the answer.", "竖线：50%，取概率较大的标签。")
LIKELIEST = Said("The likeliest label is the answer.", "取概率最大的标签。")
THRESHOLD = Said(
    "Mark: the threshold. From {threshold} on, the answer is {name}.",
    "竖线：阈值，达到 {threshold} 即判为{name}。")
FITTED = Said(
    "Fitted on {rows} rows for at most {rate} false positives.",
    "该阈值在 {rows} 行数据上拟合，误报率不超过 {rate}。")
MATTERED = Said("Words that mattered", "起作用的词")
OCCLUSION = Said(
    "Occlusion: each word is left out once, and the log-odds compared. Green words spoke for “{answer}”, red and "
    "dotted ones against it.",
    "遮挡法：逐词删去，比较对数几率。绿色支持“{answer}”，红色并带点线的反对。")
NONE_MATTERED = Said(
    "Occlusion: each word was left out once, and no single one changed the answer's log-odds.",
    "遮挡法：逐词删去，没有哪个词单独改变了该答案的对数几率。")
TOKENS = Said("How sure it was of each token", "对每个词元的把握")
TOKENS_HOW = Said(
    "The stronger the tint, the likelier the token. Point at one, or tab to it, for what else was likely.",
    "底色越深，概率越高。指向或用 Tab 键选中某个词元，可看其他候选。")
# fmt: on

# fmt: off
HERE = Said("The answer appears here.", "答案会显示在这里。")
CONVERSATION = Said("Conversation", "对话")
NOTHING_SAID = Said("Nothing has been said yet.", "还没有人说话。")
NO_ANSWER = Said("No answer was found in the passage.", "段落中没有找到答案。")
DIRECTION = {
    "en": Said("English → Chinese, told from the script.", "英译中，根据文字判断。"),
    "zh": Said("Chinese → English, told from the script.", "中译英，根据文字判断。"),
}
FROM_PASSAGE = Said("From a passage", "从段落中找答案")
CHAT = Said("Chat", "聊天")
REFUSED = Said("Not answered: ", "未作答：")
ASK_FIRST = Said("Ask something first.", "请先提问。")
PROGRAMS = Said("The same from a program", "用程序调用")
PROGRAMS_HOW = Said(
    "These give the first answer again: the same adapter, settings and seed.",
    "以下调用会重现第一个回答：适配器、设置和随机种子都相同。")
PROGRAMS_LEFT_OUT = Said(
    "The command line has no flag for a text to stop at, and none for the bare backbone.",
    "命令行没有“停止于”的参数，也不能只用底座模型。")
COPY = Said("Copy", "复制")
COPIED = Said("Copied", "已复制")
COMMAND = Said("Command line", "命令行")
# fmt: on
