"""The words of the controls of sampling, in English and Chinese side by side."""

from __future__ import annotations

from demos.said import Said

# fmt: off
HOW = Said("How it writes", "生成方式")
CHOICE = Said("Choice of the next token", "下一个词元怎么选")
GREEDY = Said("Greedy: always the likeliest", "贪心：总取概率最大的")
SAMPLED = Said("Sampled: by chance", "采样：按概率抽取")
TEMPERATURE = Said("Temperature", "温度")
TEMPERATURE_INFO = Said("Low is careful, high is bold.", "低则稳，高则放得开。")
TOP_P = Said("Top p", "Top p")
TOP_P_INFO = Said(
    "Only the likeliest tokens that together hold this share.", "只从累计概率达到此值的词元里抽。")
TOP_K = Said("Top k", "Top k")
TOP_K_INFO = Said("Only so many of the likeliest tokens; 0 is no limit.", "只从前若干个词元里抽；0 为不限。")
PENALTY = Said("Repetition penalty", "重复惩罚")
PENALTY_INFO = Said("Above 1, what was written becomes less likely.", "大于 1 时，已写过的词元更难再出现。")
SEED = Said("Seed", "随机种子")
SEED_INFO = Said("The same seed draws the same text.", "种子相同，结果相同。")
LENGTH = Said("Longest answer", "最大长度")
LENGTH_INFO = Said("In tokens.", "以词元计。")
STOP_AT = Said("Stop at", "停止于")
STOP_AT_INFO = Said(
    "A text that ends the answer; \\n is the end of a line.", "写到这段文字即止；\\n 表示换行。")
# fmt: on
