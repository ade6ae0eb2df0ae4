"""What supports the scores or takes from them."""

from __future__ import annotations

from typing import Final

from core.language import Said

# fmt: off
WORDS: Final[dict[str, Said]] = {
    "leaks": Said("Leaks", "数据泄漏"),
    "leaks_how": Said(
        "A scored row that was seen in training tells nothing; the score without such rows is the "
        "one to believe.",
        "训练中见过的样本不能说明能力；应以剔除这些样本后的得分为准。"),
    "leaks_none": Said("No scored row was found in what was searched.", "在检索范围内未发现任何评分样本。"),
    "leaks_some": Said("Exact duplicates of texts that were seen before: {exact}; near duplicates: {near}.",
        "与见过的文本完全重复的样本：{exact} 个；近似重复：{near} 个。"),
    "leaks_caption": Said("The judged entry with and without the leaked rows", "剔除泄漏样本前后的得分"),
    "with_leaks": Said("All rows", "全部样本"),
    "without_leaks": Said("Without leaked rows", "剔除泄漏样本"),
    "leaks_nothing_left": Said("Every scored row was seen before: nothing is left to score.",
        "所有评分样本均已见过，没有剩余样本可评。"),
    "leaks_pairs": Said("The most alike pairs", "最相似的样本对"),
    "row": Said("Row", "样本"),
    "scored_text": Said("Scored text", "评分文本"),
    "seen_in": Said("Seen in", "出处"),
    "seen_text": Said("Text seen before", "见过的文本"),
    "similarity": Said("Similarity", "相似度"),
    "compared": Said(
        "Near duplicates were sought among {some} of {all} learned texts; letter by letter, among all.",
        "近似重复只在 {all} 条训练文本中的 {some} 条里查找；完全重复在全部文本中查找。"),
    "texts": Said("{count} texts", "{count} 条文本"),
    "source_training": Said("training", "训练集"),
    "source_pretraining": Said("pre-training", "预训练语料"),
    "calibration": Said("Calibration", "校准"),
    "calibration_how": Said(
        "Whether probabilities hold: of the answers given with 0.8, about 80 % should be right.",
        "概率是否可信：置信度为 0.8 的回答应有约 80% 正确。"),
    "calibration_said": Said("Temperature {temperature}, fitted on {rows} rows of which none is scored here.",
        "温度为 {temperature}，由 {rows} 个样本拟合得到，这些样本均不参与此处评分。"),
    "calibration_caption": Said("Errors of the probabilities", "概率误差"),
    "ece": Said("Expected calibration error", "期望校准误差（ECE）"),
    "ece_means": Said("Mean gap between confidence and accuracy; lower is better.",
        "置信度与正确率的平均差距，越低越好。"),
    "brier": Said("Brier score", "Brier 分数"),
    "brier_means": Said("Mean squared error of the probabilities; lower is better.",
        "概率的均方误差，越低越好。"),
    "calibration_worse": Said("The temperature did not help on these rows.",
        "在这些样本上温度缩放没有改善。"),
    "slices": Said("Slices", "分组得分"),
    "slices_how": Said(
        "The deciding metric on parts of the rows: a part far below the whole is where the adapter is weak.",
        "主指标在各部分样本上的表现：明显低于整体的部分即为薄弱之处。"),
    "slices_caption": Said("{metric} by part of the rows", "各部分样本：{metric}"),
    "by": Said("By", "划分"),
    "part": Said("Part", "部分"),
    "part_rest": Said("other rows", "其余样本"),
    "by_length": Said("length", "长度"),
    "by_language": Said("language", "语言"),
    "by_source": Said("source", "来源"),
    "by_part": Said("part", "子任务"),
    "mistakes": Said("Worst mistakes", "最严重的错误"),
    "mistakes_how": Said(
        "The worst first: read a few before trusting the averages. Texts are shown as they are in the data.",
        "最严重者在前；相信平均值之前请先读几条。文本按数据原样显示。"),
    "right_answer": Said("Right", "正确答案"),
    "prediction": Said("Predicted", "预测"),
    "probability_right": Said("probability of the right label {score}", "正确标签的概率 {score}"),
    "own_value": Said("value of this row {score}", "该样本得分 {score}"),
    "probabilities": Said("Probabilities", "概率"),
    "case": Said("Row {row}", "样本 {row}"),
    "more_characters": Said("{count} more characters in results.json", "其余 {count} 个字符见 results.json"),
    "empty": Said("(empty)", "（空）"),
}
# fmt: on
