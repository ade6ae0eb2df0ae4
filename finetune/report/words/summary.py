"""What is read first: the verdict, what warns of it, what to do next."""

from __future__ import annotations

from typing import Final

from core.language import Said

# fmt: off
WORDS: Final[dict[str, Said]] = {
    "evaluation": Said("{title}: evaluation", "{title}：评测报告"),
    "lead": Said(
        "{rows} examples from {data}. Intervals hold 95 % (percentile bootstrap, {resamples} resamples).",
        "数据：{data}，共 {rows} 个样本。所有数值附 95% 区间（百分位自助法，重采样 {resamples} 次）。"),
    "picked": Said(
        "These rows also picked the checkpoint, so the score flatters it a little.",
        "这些样本也用于选择检查点，因此分数略偏乐观。"),
    "not_better": Said("NOT BETTER THAN BASELINE", "不优于基线"),
    "no_baseline": Said("BESIDE NO BASELINE", "没有基线可比"),
    "not_better_why": Said(
        "A paired test on the same rows does not show that it beats “{baseline}”, which needs no training.",
        "在相同样本上的配对检验未能表明它胜过无需训练的“{baseline}”。"),
    "not_better_alone": Said("There is no baseline that it was compared with.", "没有可供对比的基线。"),
    "contents": Said("Contents", "目录"),
    "table": Said("Table {number}.", "表 {number}"),
    "figure": Said("Figure {number}.", "图 {number}"),
    "stop": Said(". ", "。"),
    "verdict": Said("Verdict", "结论"),
    "verdict_better": Said(
        "{metric}: {value} (95 % interval {interval}), above the best baseline “{baseline}” at {other}.",
        "{metric}：{value}（95% 区间 {interval}），优于最佳基线“{baseline}”的 {other}。"),
    "verdict_not_better": Said(
        "{metric}: {value} (95 % interval {interval}); not shown to beat the baseline “{baseline}” at {other}.",
        "{metric}：{value}（95% 区间 {interval}）；未能证明优于最佳基线“{baseline}”的 {other}。"),
    "verdict_worse": Said(
        "{metric}: {value} (95 % interval {interval}), worse than the baseline “{baseline}” at {other}.",
        "{metric}：{value}（95% 区间 {interval}），不如最佳基线“{baseline}”的 {other}。"),
    "verdict_unseen": Said("On {rows} rows that had not been seen before: ", "在未见过的 {rows} 个样本上，"),
    "verdict_alone": Said("{metric}: {value} (95 % interval {interval}).",
        "{metric}：{value}（95% 区间 {interval}）。"),
    "seen_banner": Said("SCORED ROWS HAD BEEN SEEN: {count} OF {rows}", "评分样本曾被使用：{count} / {rows}"),
    "learned_banner": Said("SCORED ROWS WERE LEARNED: {count} OF {rows}", "评分样本见于训练：{count} / {rows}"),
    "learned_why": Said(
        "{learned} of the {rows} scored rows were learned in training, {picked} more picked the checkpoint and "
        "{fitted} more fitted the operating point. Only the score without them says anything.",
        "{rows} 个评分样本中有 {learned} 个曾用于训练，另有 {picked} 个用于挑选检查点，{fitted} "
        "个用于拟合工作点。"
        "只有剔除后的得分才有意义。"),
    "starved_said": Said(
        "Baselines that learn had other or fewer rows than the adapter, so beating them proves nothing.",
        "可学习的基线所用数据与适配器不同或更少，胜过它们不说明问题。"),
    "unknown_rows": Said(
        "Not all rows that the adapter has learned are known, so learned rows may be among the scored ones.",
        "适配器学过的样本并不全部可知，评分样本中可能有学过的。"),
    "undefined": Said("{metric} is undefined on these rows, and decides nothing.",
        "{metric} 在这些样本上无定义，不作任何判定。"),
    "undefined_banner": Said("NOTHING IS DECIDED", "无法判定"),
    "source_baselines": Said("rows that the baselines learned from", "基线的训练样本"),
    "summary": Said("At a glance", "概览"),
    "summary_how": Said(
        "The deciding metric of every entry, and what to do next.",
        "各对象的主指标，以及下一步建议。"),
    "next": Said("What to do next", "下一步"),
    "next_unseen": Said(
        "Score it on rows that it has not learned; only these say anything.",
        "换用未参与训练的样本评分，才有意义。"),
    "next_starved": Said(
        "Evaluate where the training files still lie, so that the baselines learn from the same rows.",
        "在训练文件仍可读取之处评测，使基线学习相同的样本。"),
    "next_labels": Said("Score rows of more than one label.", "用包含多种标签的样本评分。"),
    "next_baseline": Said("Compare it with baselines.", "与基线对比。"),
    "next_rows": Said(
        "Score more rows: {rows} leave the difference at {interval}, on both sides of 0.",
        "增加评分样本：{rows} 个样本下差值区间为 {interval}，跨过 0。"),
    "next_train": Said(
        "Train on more rows, or for longer: so far “{baseline}” is as good and costs nothing.",
        "用更多样本或更长时间训练：目前“{baseline}”同样好且几乎不费成本。"),
    "next_longer": Said(
        "Train for longer: on the held-out rows it was still getting better at the last step.",
        "延长训练：在留出样本上直到最后一步仍在变好。"),
    "next_held_out": Said(
        "Hold out rows that pick no checkpoint, and score these.", "另留一份不参与挑选检查点的样本来评分。"),
    "next_calibrate": Said(
        "Calibrate it: its confidence is off by {error} on average. Take rows that neither trained "
        "nor are scored.",
        "进行校准：其置信度平均偏差 {error}。请用既未训练也不评分的样本。"),
    "next_weakest": Said(
        "It is weakest by {by} on “{part}” ({value} against {whole}): add training rows like these.",
        "按{by}看，“{part}”最弱（{value}，整体为 {whole}）：补充此类训练样本。"),
    "next_cut": Said(
        "{count} inputs did not fit and were cut: shorten them, or take a backbone with a longer context.",
        "{count} 个输入因过长被截断：请缩短输入，或换用上下文更长的底座。"),
    "next_mistakes": Said(
        "Read the worst mistakes below before you rely on it.",
        "使用之前，先阅读下文最严重的错误。"),
    "next_use": Said("Use it.", "投入使用。"),
    "glossary": Said("Glossary", "术语"),
    "glossary_how": Said("The words of this report, each explained once.", "本报告用语，逐一解释。"),
    "glossary_show": Said("Show {count} terms", "展开 {count} 个术语"),
    "footer": Said("Made by Quintet on {created}. The numbers are in results.json.",
        "由 Quintet 生成于 {created}。全部数值见 results.json。"),
}
# fmt: on
