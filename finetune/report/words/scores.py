"""The tables of scores and comparisons."""

from __future__ import annotations

from typing import Final

from core.language import Said

# fmt: off
WORDS: Final[dict[str, Said]] = {
    "scores": Said("Scores", "得分"),
    "scores_how": Said(
        "Baselines come first, the judged entry is marked ▸; values whose intervals overlap may not differ.",
        "基线在前，被评对象以 ▸ 标出；区间大幅重叠的两个数值未必有差别。"),
    "scores_caption": Said("All entries on the same rows, with 95 % intervals",
        "所有参评对象在相同样本上的得分与 95% 区间"),
    "entry": Said("Entry", "对象"),
    "rows": Said("Rows", "样本数"),
    "seconds": Said("Seconds", "秒"),
    "best": Said("best", "最佳"),
    "baseline": Said("baseline", "基线"),
    "base": Said("backbone without adapter", "未加适配器的底座"),
    "adapter": Said("adapter", "适配器"),
    "higher": Said("higher is better", "越高越好"),
    "lower": Said("lower is better", "越低越好"),
    "further": Said("{count} further metrics", "其余 {count} 项指标"),
    "further_caption": Said("Further metrics, with 95 % intervals", "其余指标与 95% 区间"),
    "metric": Said("Metric", "指标"),
    "meaning": Said("What it means", "含义"),
    "meaning_caption": Said("What the metrics mean", "指标含义"),
    "interval": Said("95 % interval", "95% 区间"),
    "chance": Said("Random guessing reaches {value}.", "随机猜测为 {value}。"),
    "compared_on": Said("On {metric}:", "{metric}："),
    "compared_win": Said("better than {names};", "优于{names}；"),
    "compared_tie": Said("no proven difference from {names};", "与{names}的差异未证实；"),
    "compared_loss": Said("worse than {names};", "劣于{names}；"),
    "compared_starved": Said("above {names}, which had too few rows to learn from;", "高于数据不足的{names}；"),
    "compared_show": Said("All differences and tests", "全部差值与检验"),
    "interval_of": Said("{value} (95 % interval {interval})", "{value}（95% 区间 {interval}）"),
    "comparisons": Said("Comparisons", "对比"),
    "comparisons_how": Said(
        "Judged entry minus the other, on the same rows; an interval that holds 0 means no proven difference.",
        "差值 = 被评对象减去对方，样本相同；区间包含 0 即差异未获证实。"),
    "comparisons_caption": Said("Paired differences from every other entry", "与其他各对象的配对差值"),
    "against": Said("Compared with", "对比对象"),
    "difference": Said("Difference", "差值"),
    "p_bootstrap": Said("p, bootstrap", "p（自助法）"),
    "p_randomisation": Said("p, randomisation", "p（随机化）"),
    "p_mcnemar": Said("p, McNemar", "p（McNemar）"),
    "p_corrected": Said("p that decides (Holm)", "判定用 p（Holm 校正）"),
    "starved": Said("baseline starved", "基线数据不足"),
    "outcome": Said("Outcome", "结果"),
    "win": Said("better", "更好"),
    "tie": Said("no proven difference", "差异未证实"),
    "loss": Said("worse", "更差"),
    "none_compared": Said("There was nothing to compare with.", "没有可对比的对象。"),
}
# fmt: on
