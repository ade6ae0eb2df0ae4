"""The words of the page of files, in English and Chinese side by side."""

from __future__ import annotations

from demos.said import Said

# fmt: off
TITLE = Said("A file", "整份文件")
ABOUT = Said(
    "Score every row of a table, and see what it says as a whole.", "为表格的每一行打分，并汇总全貌。")
FILE = Said("csv, tsv, xlsx, parquet or jsonl, at most 50 MB", "csv、tsv、xlsx、parquet 或 jsonl，不超过 50 MB")
TASK = Said("What to do with each row", "对每一行做什么")
TEXT = Said("Texts", "文本列")
DATE = Said("Dates", "日期列")
SOURCE = Said("Sources", "来源列")
NONE = "—"
START = Said("Score the file", "开始打分")
CANCEL = Said("Cancel", "取消")
SEEN = Said("{name}: columns {columns}", "{name}：共有列 {columns}")
LOADING = Said("Loading the model …", "正在载入模型……")
PROGRESS = Said("{done} of {rows} rows scored, {seconds} s", "已打分 {done} 行（共 {rows} 行），{seconds} 秒")
CANCELLED = Said("Cancelled; nothing is kept.", "已取消，未保留任何结果。")
NO_FILE = Said("Choose a file first.", "请先选择文件。")
SCORED = Said("Scored file", "打分结果")
FILTER = Said("Only rows that mention", "只看提到以下内容的行")
FOLLOW = Said("Label to follow", "关注的标签")
ROWS = Said("{rows} rows, {unanswered} of them without an answer", "共 {rows} 行，其中 {unanswered} 行没有答案")
ALL_ROWS = Said("{rows} rows, all of them answered", "共 {rows} 行，全部已作答")
SHARES = Said("Shares of the labels", "各标签占比")
TIMES = Said("Share of {label} over time", "{label} 占比随时间的变化")
SOURCES = Said("Share of {label} by source", "各来源的 {label} 占比")
SUREST = Said("Surest rows", "把握最大的行")
LEAST_SURE = Said("Least sure rows", "把握最小的行")
INTERVALS = Said(
    "Whiskers and bands are 95% intervals (Wilson). They hold sampling error, not the model's own mistakes.",
    "误差线与色带为 95% 区间（Wilson），只反映抽样误差，不含模型自身的错误。")
NOTHING = Said("No row is left.", "没有符合条件的行。")
# fmt: on
