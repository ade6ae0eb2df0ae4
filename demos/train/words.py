"""What the page 'Train' says, in English and Chinese side by side."""

from __future__ import annotations

from demos.said import Said

# fmt: off
TITLE = Said("Train", "训练")
ABOUT = Said(
    "Fine-tune an adapter on your own rows. The training is a process of its own: close the browser, it goes on.",
    "用自己的数据微调适配器。训练是独立的进程：关掉浏览器也会继续。")
TASK = Said("Task", "任务")
ON = Said("On backbone", "底座模型")
DATA = Said("Rows: a file or folder on this machine, or a hub id", "数据：本机的文件或文件夹，或 hub 名称")
DATA_INFO = Said(
    "Empty: the bundled rows. csv, tsv, json, jsonl, parquet …",
    "留空则用自带的数据。支持 csv、tsv、json、jsonl、parquet 等")
UPLOAD = Said("Bring a file", "上传文件")
EPOCHS = Said("Epochs", "轮数")
LIMIT = Said("Rows (0: all)", "行数（0 为全部）")
FROM_BASE = Said("Begin anew, not from the served adapter", "从头开始，不从现用适配器继续")
MORE = Said("More options, as on the command line", "更多选项（同命令行）")
MORE_HINT = "--learning-rate 0.0005 --lora.r 16"
COMMAND = Said("The command that does the same", "等效命令")
LOOK = Said("Look at the rows", "检查数据")
START = Said("Start", "开始训练")
ROWS = Said("What the rows hold, and what would be learned", "数据内容与将要学习的内容")
RUNS = Said("Runs", "训练记录")
RUN = Said("Run", "记录")
REFRESH = Said("Look again", "刷新")
NO_RUNS = Said("No run yet. Start one above.", "还没有训练记录，请在上面开始。")
STOP = Said("Stop", "停止")
RESUME = Said("Go on", "继续训练")
USE = Said("Use this adapter", "使用这个适配器")
CONSOLE = Said("What it prints", "输出信息")
REPORT = Said("Report", "报告")
SHOW_REPORT = Said("Show the report", "显示报告")
NO_REPORT = Said(
    "There is no report yet: it is written when the run has been scored.",
    "还没有报告：评分完成后才会生成。")
COMPARE = Said("Compare runs", "比较训练记录")
CHOOSE = Said("Runs to compare", "要比较的记录")
STATES = {
    "waiting": Said("starting: reading rows and loading the backbone", "正在启动：读取数据、载入底座模型"),
    "running": Said("training", "训练中"),
    "scoring": Said("scoring and writing the report", "正在评分并撰写报告"),
    "stopping": Said(
        "asked to stop: it saves after the step in hand", "已请求停止：当前步结束后保存"),
    "stopped": Said("stopped; it can go on", "已停止，可以继续"),
    "failed": Said("ended without an adapter", "已结束，没有得到适配器"),
    "done": Said("done", "已完成"),
}
STEP = Said("step {step}{of}", "第 {step}{of} 步")
STEPS = Said("{step} steps", "共 {step} 步")
ENDED_EARLY = Said("{step} of at most {most} steps", "共 {step} 步（最多 {most} 步）")
SPEED = Said("{speed} tokens/s", "每秒 {speed} 个词元")
LOSS = Said("Loss (nats a learned token)", "损失（每个所学词元的 nat）")
METRIC = Said("Validation: {name}", "验证集：{name}")
SCORED = Said(
    "{metric} {value} on {rows} {side} examples; best baseline ({baseline}) {other}",
    "{metric} {value}（{rows} 条{side}样本）；最佳基线（{baseline}）{other}")
SIDES = {"test": Said("test", "测试"), "validation": Said("validation", "验证")}
INSTALLED = Said("Served from now on: {folder}", "从现在起使用：{folder}")
COLUMNS = (
    Said("run", "记录"), Said("state", "状态"), Said("backbone", "底座模型"), Said("data", "数据"),
    Said("steps", "步数"), Said("last loss", "最后损失"), Said("score", "得分"), Said("baseline", "基线"),
)
SAME_BY_COMMAND = Said("The same by command:", "等效命令：")
WAITING_FOR_ROWS = Said("Reading …", "正在读取……")
# fmt: on
