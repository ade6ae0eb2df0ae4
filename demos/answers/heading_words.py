"""The words of the verdict above a page, in English and Chinese side by side."""

from __future__ import annotations

from demos.said import Said

# fmt: off
ADAPTER = Said("Adapter: {name}, on {backbone}", "适配器：{name}，底座：{backbone}")
BARE = Said("{backbone} without an adapter, asked in the same words", "底座 {backbone}，不加适配器，提示词相同")
BETTER = Said("better than {baseline}, {p}", "优于 {baseline}，{p}")
TIE = Said("not told apart from {baseline}, {p}", "与 {baseline} 无显著差异，{p}")
WORSE = Said("worse than {baseline}, {p}", "不如 {baseline}，{p}")
STARVED = Said("nothing better than {baseline} is claimed, {p}", "不声称优于 {baseline}，{p}")
SCORE = Said(
    "{metric} {value} ({low} to {high}), {baseline} {other}, on {rows} rows",
    "{metric} {value}（{low} 至 {high}），{baseline} {other}，共 {rows} 行")
REACHED = Said("{metric} {value} on {rows} rows", "{metric} {value}（{rows} 行）")
PICKED = Said(", which also picked the checkpoint", "，这些行也用于选择检查点")
REPORT = Said("Report", "报告")
PASSPORT = Said("Scores on {rows} rows, beside the baseline {baseline}", "{rows} 行上的得分，基线为 {baseline}")
# fmt: on
