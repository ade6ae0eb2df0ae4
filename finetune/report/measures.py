"""What the metrics are called, what they mean, and in how many digits they are written."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Literal

from finetune.report.results import Measured
from finetune.report.words import WORDS, Key, Language, Said

Scale = Literal["fraction", "percent", "bits", "count"]
_DECIMALS: Final[dict[Scale, int]] = {"fraction": 3, "percent": 2, "bits": 3, "count": 2}


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A family of metrics, such as `chrf` of which `chrf_en_zh` is one."""

    label: Said
    meaning: Said
    scale: Scale = "fraction"
    lower_is_better: bool = False
    hub: str = ""
    """Its name among the hub's metrics, where that is another one."""


# fmt: off
MEASURES: Final[dict[str, Measure]] = {
    "accuracy": Measure(
        label=Said("Accuracy", "准确率"),
        meaning=Said("The share of rows answered right.", "回答正确的样本比例。")),
    "macro_f1": Measure(
        label=Said("Macro F1", "宏平均 F1"), hub="f1",
        meaning=Said("The mean F1 of all labels, so that a rare label counts as much as a frequent one.",
                     "各标签 F1 的平均，稀有标签与常见标签同等重要。")),
    "mcc": Measure(
        label=Said("MCC", "马修斯相关系数"), hub="matthews_correlation",
        meaning=Said("Matthews correlation of right and predicted labels: 1 is perfect, 0 is guessing.",
                     "真实标签与预测标签的相关性：1 为完全正确，0 等于瞎猜。")),
    "precision": Measure(
        label=Said("Precision", "精确率"),
        meaning=Said("Of the rows given this label, the share that has it.",
                     "预测为该标签的样本中确为该标签的比例。")),
    "recall": Measure(
        label=Said("Recall", "召回率"),
        meaning=Said("Of the rows that have this label, the share that was given it.",
                     "确为该标签的样本中被找出的比例。")),
    "f1 label": Measure(
        label=Said("F1", "F1"), hub="f1",
        meaning=Said("Harmonic mean of precision and recall of this label.",
                     "该标签精确率与召回率的调和平均。")),
    "bleu": Measure(
        label=Said("BLEU", "BLEU"), scale="percent",
        meaning=Said("How many runs of up to four words also stand in a reference, from 0 to 100.",
                     "与参考文本相同的一至四元词组的程度，0 到 100。")),
    "chrf": Measure(
        label=Said("chrF", "chrF"), scale="percent",
        meaning=Said("How many runs of up to six characters are shared with a reference, from 0 to 100.",
                     "与参考文本相同的一至六元字符串的程度，0 到 100。")),
    "exact_match": Measure(
        label=Said("Exact match", "完全匹配率"), scale="percent",
        meaning=Said("The share of answers that equal a right one, in percent.",
                     "与某个正确答案完全一致的回答所占百分比。")),
    "f1": Measure(
        label=Said("Answer F1", "答案 F1"), scale="percent",
        meaning=Said("Overlap of the words, in Chinese the characters, with the best right answer, in percent.",
                     "与最接近的正确答案在词（中文为字）上的重合程度，百分比。")),
    "perplexity": Measure(
        label=Said("Perplexity", "困惑度"), scale="count", lower_is_better=True,
        meaning=Said("Among how many equally likely tokens the model hesitates; for one tokenizer only.",
                     "模型在多少个等可能的词元之间犹豫；仅在分词器相同时可比。")),
    "bits_per_byte": Measure(
        label=Said("Bits per byte", "每字节比特数"), scale="bits", lower_is_better=True,
        meaning=Said("Bits needed to encode a byte of the right text; comparable across tokenizers.",
                     "编码正确文本每字节所需的比特数；不同分词器之间可比。")),
    "distinct_2": Measure(
        label=Said("Distinct-2", "二元多样性"),
        meaning=Said("Different pairs of words among all pairs: how varied the texts are.",
                     "不同词对占全部词对的比例：文本有多丰富。")),
    "repetition": Measure(
        label=Said("Repetition", "重复率"), lower_is_better=True,
        meaning=Said("The share of four-word runs that already stood in the same text.",
                     "在同一文本中重复出现的四元词组比例。")),
}
# fmt: on
_PARTS: Final[dict[str, Said]] = {
    "en_zh": Said("English → Chinese", "英→中"),
    "zh_en": Said("Chinese → English", "中→英"),
    "mean": Said("mean", "平均"),
    "short": Said("short third", "较短的三分之一"),
    "middle": Said("middle third", "中等的三分之一"),
    "long": Said("long third", "较长的三分之一"),
}
_ORDER: Final = tuple(MEASURES)


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric by its name, such as `recall_spam`: the family `recall` of the label `spam`."""

    name: str
    family: str
    suffix: str = ""
    of_label: bool = False

    @property
    def measure(self) -> Measure | None:
        return MEASURES.get(self.family)

    @property
    def scale(self) -> Scale:
        return self.measure.scale if self.measure else "fraction"

    @property
    def lower_is_better(self) -> bool:
        return bool(self.measure and self.measure.lower_is_better)

    @property
    def decimals(self) -> int:
        return _DECIMALS[self.scale]

    @property
    def order(self) -> int:
        """Place among the known families, in which the main ones stand first."""
        return _ORDER.index(self.family) if self.family in _ORDER else len(_ORDER)

    def label(self, language: Language) -> str:
        """What a person reads, such as 'Recall (spam)'."""
        if self.measure is None:
            return self.name.replace("_", " ")
        label: str = getattr(self.measure.label, language)
        part = part_label(self.suffix, language)
        if not part:
            return label
        return f"{label}（{part}）" if language == "zh" else f"{label} ({part})"

    def meaning(self, language: Language) -> str:
        """One line, with the direction that is better."""
        direction: Key = "lower" if self.lower_is_better else "higher"
        better: str = getattr(WORDS[direction], language)
        if self.measure is None:
            return ""
        said: str = getattr(self.measure.meaning, language)
        return f"{said}{better}。" if language == "zh" else f"{said} {better.capitalize()}."


def metric(name: str, labels: Collection[str] = ()) -> Metric:
    """The metric of that name; `labels` tell `f1_spam` from the `f1` of a part."""
    if name in MEASURES:
        return Metric(name=name, family=name)
    families = [family for family in MEASURES if name.startswith(f"{family}_")]
    if not families:
        return Metric(name=name, family=name)
    family = max(families, key=len)
    suffix = name[len(family) + 1 :]
    of_label = suffix in labels or family in ("precision", "recall")
    family = "f1 label" if of_label and family == "f1" else family
    return Metric(name=name, family=family, suffix=suffix, of_label=of_label)


def part_label(part: str, language: Language) -> str:
    """The name of a part of the rows, where it is one we know; else as it stands."""
    known: Key | None = part if part in ("en", "zh", "mixed", "chat") else None  # type: ignore[assignment]
    said = WORDS[known] if known else _PARTS.get(part)
    shown: str = getattr(said, language) if said else part
    return shown


def decimals_for(measured: Measured, most: int) -> int:
    """Decimals that the interval supports: its half-width is written with two digits at most."""
    half = (measured.high - measured.low) / 2
    if not math.isfinite(half) or half <= 0:
        return most
    return min(most, max(0, 1 - math.floor(math.log10(half))))


def number(value: float, decimals: int, *, signed: bool = False) -> str:
    """With a true minus sign and thousands set off; '–' where there is no finite value."""
    if not math.isfinite(value):
        return "–"
    text = f"{value:{'+' if signed else ''},.{decimals}f}"
    nothing = not text.strip("+-0.,")
    return text.lstrip("+-") if nothing else text.replace("-", "−")


def chance(p: float) -> str:
    """A p value in three decimals; the least that is told is the floor of the permutations."""
    return "≤ 0.001" if p <= 0.001 else f"{p:.3f}"
