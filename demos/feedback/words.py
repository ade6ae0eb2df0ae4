"""What the thumbs and the page 'Feedback' say, in English and Chinese side by side."""

from __future__ import annotations

from demos.said import Said

# fmt: off
RIGHT = Said("✓ Right", "✓ 正确")
WRONG = Said("✗ Wrong", "✗ 有误")
BETTER = Said("A better answer", "更好的答案")
BETTER_INFO = Said("Left empty, only the mark is stored.", "留空则只记录评价。")
SAVE = Said("Save", "保存")
THANKS = Said("Stored: see Feedback.", "已保存，见“反馈”页。")
ASK_FIRST = Said("Ask first: what you say is about a whole answer.", "请先提问，得到完整回答后再评价。")

TITLE = Said("Feedback", "反馈")
ABOUT = Said(
    "What people said of the answers becomes rows to learn from; a new adapter is served only after a test.",
    "用户对回答的评价会变成可供学习的数据；新适配器通过检验后才会启用。")
TASK = Said("Task", "任务")
ALL = Said("all", "全部")
SEARCH = Said("Search in prompt and answer", "在提示与回答中搜索")
WHICH = Said("Said to be", "评价")
BOTH = Said("both", "全部")
ONLY_RIGHT = Said("right", "正确")
ONLY_WRONG = Said("wrong", "有误")
COLUMNS = (
    Said("no.", "编号"), Said("when", "时间"), Said("task", "任务"), Said("adapter", "适配器"),
    Said("prompt", "提示"), Said("completion", "回答"), Said("said", "评价"), Said("used for", "用途"),
)
LEARN = Said("training", "训练")
TEST = Said("the test", "检验")
NO_USE = Said("–", "–")
COUNT = Said("{shown} of {count} rows", "共 {count} 行，显示 {shown} 行")
EMPTY = Said(
    "Nothing yet. Ask something on a task's page, and say below the answer whether it is right.",
    "还没有反馈。在任务页提问，然后在回答下方点评价。")
DELETE_WHICH = Said("Rows to delete", "要删除的行")
DELETE = Said("Delete them", "删除")
DELETED = Said("Rows deleted: {count}.", "已删除 {count} 行。")
EXPORT = Said("Training file", "导出训练文件")
PREFERENCES = Said("Preference file", "导出偏好数据")
FILE = Said("File", "文件")
ONE_TASK = Said("Choose one task first.", "请先选择一个任务。")

LOOP = Said("From feedback to a served adapter", "从反馈到新的适配器")
RETRAIN = Said("1 · Learn from it", "1 · 用反馈学习")
RETRAIN_ABOUT = Said(
    "Fine-tunes the served adapter on what was said to be right, in four of five inputs; the fifth is kept "
    "for the test. It runs as a process of its own: watch it under Train.",
    "在被评为正确的回答上继续微调现用适配器：五分之四的输入用于训练，五分之一留作检验。训练是独立进程，可在“训练”页查看。")
WITH_BUNDLED = Said("Together with the bundled rows, so that nothing is forgotten", "与自带数据一起训练，避免遗忘")
LEARN_NOW = Said("Fine-tune on the feedback", "用反馈微调")
STARTED = Said("Started: {run}", "已开始：{run}")
GATE = Said("2 · Test, then serve", "2 · 先检验，再启用")
GATE_ABOUT = Said(
    "The candidate and the served adapter answer the same held-out rows. It is promoted only if it is not "
    "significantly worse and a loss of more than 2% of the metric's range can be ruled out (95% interval of the "
    "paired difference).",
    "候选适配器与现用适配器回答同一批留出数据。只有在不显著变差、且可排除超过指标范围 2% 的损失"
    "（配对差异的 95% 区间）时才会启用。")
CANDIDATE = Said("Candidate", "候选")
NO_CANDIDATE = Said(
    "There is no candidate yet: a run of this task on this backbone that is done. Step 1 makes one.",
    "还没有候选：需要该任务在此底座模型上的一次已完成的训练。第 1 步会得到一个。")
PROMOTE = Said("Test and promote", "检验并启用")
TESTING = Said("Both adapters are answering …", "两个适配器正在作答……")
PROMOTED = Said("Promoted", "已启用")
REFUSED = Said("Not promoted", "未启用")
REASONS = {
    "it is worse": Said(
        "it is worse than what is served (p = {p}).", "不如现用适配器（p = {p}）。"),
    "a loss of up to": Said(
        "a loss of up to {worst} cannot be ruled out, and {margin} is allowed. More held-out rows "
        "(--data) narrow the interval.",
        "不能排除高达 {worst} 的损失，而允许的损失为 {margin}。增加留出数据（--data）可缩小区间。"),
    "it is better": Said(
        "it is better than what is served (p = {p}).", "优于现用适配器（p = {p}）。"),
    "a loss of more": Said(
        "a loss of more than {margin} is ruled out.", "可排除超过 {margin} 的损失。"),
}
"""By how the gate's own sentence begins."""
SERVED_VALUE = Said("served", "现用")
CANDIDATE_VALUE = Said("candidate", "候选")
DIFFERENCE = Said(
    "difference {difference} (95%: {low} to {high}), p = {p}, on {rows} held-out rows; {left} more were left out",
    "差异 {difference}（95%：{low} 至 {high}），p = {p}，留出数据 {rows} 行；另有 {left} 行因见过而排除")
INTERVAL = Said("The difference, its 95% interval, and the loss that is allowed", "差异、95% 区间与允许的损失")
WORSE = Said("worse", "更差")
BETTER_SIDE = Said("better", "更好")
ROLLBACK = Said("3 · Or go back", "3 · 或者回退")
ROLLBACK_ABOUT = Said(
    "Serves the version before again; the one that is taken back stays on the disk.",
    "重新启用上一个版本；被撤回的版本仍保留在磁盘上。")
BACK = Said("Roll back", "回退")
TAKEN_BACK = Said("Taken back: {taken}. Served: {now}.", "已撤回：{taken}。现用：{now}。")
VERSIONS = (Said("version", "版本"), Said("state", "状态"), Said("made", "制作日期"), Said("score", "得分"))
SERVED = Said("served", "现用")
BEFORE = Said("kept", "保留")
AWAY = Said("taken back", "已撤回")
SHIPPED = Said("shipped", "自带")
SAME = Said("The same by command:", "等效命令：")
# fmt: on
