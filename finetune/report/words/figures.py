"""The drawings."""

from __future__ import annotations

from typing import Final

from core.language import Said

# fmt: off
WORDS: Final[dict[str, Said]] = {
    "pictures": Said("Pictures", "图示"),
    "pictures_how": Said("Dots are values and bars their 95 % intervals; solid and coloured is the "
    "judged entry.",
        "圆点为数值，横线为 95% 区间；实心彩色为被评对象。"),
    "picture_entries": Said("{metric} of every entry", "各对象得分：{metric}"),
    "picture_entries_how": Said("The dashed line is the best baseline; {direction}.",
        "虚线为最佳基线；{direction}。"),
    "picture_plain_how": Said("Of all rows; {direction}.", "全部样本；{direction}。"),
    "picture_differences": Said("Difference in {metric}", "配对差值：{metric}"),
    "picture_differences_how": Said(
        "Judged entry minus the other; a bar that crosses 0 proves no difference; {direction}.",
        "被评对象减去对方；横线跨过 0 即差异未获证实；{direction}。"),
    "picture_confusion": Said("Confusion matrix", "混淆矩阵"),
    "picture_confusion_how": Said(
        "Rows are right labels, columns predictions; percentages are shares of the row, the diagonal is right.",
        "行为真实标签，列为预测标签；百分比为占该行的比例，对角线为正确预测。"),
    "right_label": Said("right label", "真实标签"),
    "predicted_label": Said("predicted label", "预测标签"),
    "picture_precision_recall": Said("Precision and recall", "精确率与召回率"),
    "picture_precision_recall_how": Said(
        "Each point is a threshold; nearer to the top right is better. AP is the average precision.",
        "每个点对应一个阈值，越靠右上越好；AP 为平均精确率。"),
    "precision": Said("precision", "精确率"),
    "recall": Said("recall", "召回率"),
    "picture_roc": Said("ROC curve", "ROC 曲线"),
    "picture_roc_how": Said(
        "Each point is a threshold; nearer to the top left is better, the dotted diagonal is chance.",
        "每个点对应一个阈值，越靠左上越好；对角点线为随机猜测。"),
    "false_positive": Said("false positive rate", "假阳性率"),
    "true_positive": Said("true positive rate", "真阳性率"),
    "area": Said("area", "AUC"),
    "picture_loss": Said("Training loss", "训练损失"),
    "picture_loss_how": Said("Per optimiser step; it should fall and level off.",
        "按优化步记录；应下降并趋于平稳。"),
    "step": Said("step", "步"),
    "picture_value": Said("{metric} while training", "训练过程：{metric}"),
    "picture_value_how": Said(
        "On held-out rows that pick the checkpoint, not on the rows scored here; the ring is the best.",
        "在用于挑选检查点的留出样本上测得，并非此处的评分样本；圆环为最佳点。"),
    "picture_value_picked": Said(
        "On the held-out rows that pick the checkpoint and are scored here too; the ring is the best.",
        "在用于挑选检查点、也用于此处评分的留出样本上测得；圆环为最佳点。"),
    "picture_reliability": Said("Reliability", "可靠性图"),
    "picture_reliability_how": Said(
        "On the diagonal confidence equals the share right; below it the model is too sure. Bars count rows.",
        "落在对角线上表示置信度等于正确率，低于对角线表示过于自信；下方柱形为样本数。"),
    "confidence": Said("mean confidence", "平均置信度"),
    "share_right": Said("share right", "正确率"),
    "before": Said("before", "校准前"),
    "after": Said("after", "校准后"),
    "picture_slices": Said("{metric} by {by}", "按{by}划分：{metric}"),
    "picture_slices_how": Said("The dashed line is the value on all rows; wide bars mean few rows.",
        "虚线为全部样本的数值；区间越宽样本越少。"),
    "all_rows": Said("all rows", "全部样本"),
    "best_baseline": Said("best baseline", "最佳基线"),
}
# fmt: on
