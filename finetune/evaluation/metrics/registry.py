"""All metrics. To add one, add an entry: score, interval, report and model card find it here."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from core.errors import BadSetting, nearest
from core.language import Said
from core.task import Example, Language, Task
from finetune.evaluation.metrics import answers, labels, likelihood, texts
from finetune.evaluation.metrics.rows import Rows, Split, split
from finetune.evaluation.metrics.spec import MetricSpec

if TYPE_CHECKING:
    from core.application import Likelihood

SPECS: Final[list[MetricSpec]] = [
    *labels.SPECS,
    *texts.SPECS,
    *answers.SPECS,
    *likelihood.SPECS,
]
"""The main ones of each kind of answer first: this is the order of a report."""
MEAN: Final = "mean"
"""Ends the name of the mean over parts."""
PARTS: Final[dict[str, Said]] = {
    "en_zh": Said("English → Chinese", "英→中"),
    "zh_en": Said("Chinese → English", "中→英"),
    MEAN: Said("mean", "平均"),
    "chat": Said("chat", "对话"),
    "en": Said("English", "英语"),
    "zh": Said("Chinese", "中文"),
    "mixed": Said("mixed", "混合"),
    "short": Said("short third", "较短的三分之一"),
    "middle": Said("middle third", "中等的三分之一"),
    "long": Said("long third", "较长的三分之一"),
}
"""Parts of the rows that we know by name; others stand as they are."""


def specs_of(task: Task[Any]) -> list[MetricSpec]:
    """What the task is measured by; `BadSetting` for a name that is none."""
    known = {name for one in SPECS for name in (one.module, one.name) if name}
    for name in task.metrics:
        if name not in known:
            raise BadSetting(
                f"{name!r} is no metric; metrics: {', '.join(sorted(known))}.{nearest(name, known)}"
            )
    return [one for one in SPECS if {one.module, one.name} & set(task.metrics)]


def measured(
    task: Task[Any],
    examples: Sequence[Example[Any]],
    *,
    texts: Sequence[str] = (),
    likelihoods: Sequence[Likelihood] = (),
    of_bytes: bool = False,
) -> Iterator[tuple[str, MetricSpec, Rows]]:
    """Each value that can be measured: its name, its metric, and the rows that it is measured on.

    `of_bytes`: the likelihoods are those of bytes, so that what is told by the token is left out.
    """
    views: dict[Split, list[Rows]] = {}
    for spec in specs_of(task):
        if not (texts if spec.needs == "texts" else likelihoods):
            continue
        if of_bytes and spec.of_one_tokenizer:
            continue
        if spec.split not in views:
            views[spec.split] = split(task, examples, spec.split, texts, likelihoods)
        for rows in views[spec.split]:
            for label in rows.labels if spec.per_label else ("",):
                name = "_".join(one for one in (spec.name, label, rows.part) if one)
                yield name, spec, replace(rows, label=label)


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A value by its name, such as `recall_spam`: the metric `recall` of the label `spam`."""

    name: str
    spec: MetricSpec | None = None
    """None for a name that no entry has, as in the results of another version."""
    suffix: str = ""

    @property
    def family(self) -> str:
        """What it has in common with those of other labels and parts."""
        return self.spec.name if self.spec else self.name

    @property
    def of_label(self) -> bool:
        """Whether it speaks of one label."""
        return bool(self.spec and self.spec.per_label)

    @property
    def higher_is_better(self) -> bool:
        """Also of what is not known."""
        return self.spec is None or self.spec.higher_is_better

    @property
    def decimals(self) -> int:
        """How many are written at most."""
        return self.spec.decimals if self.spec else 3

    @property
    def order(self) -> int:
        """Place among the entries."""
        return SPECS.index(self.spec) if self.spec else len(SPECS)

    def label(self, language: Language) -> str:
        """What a person reads, such as 'Recall (spam)'."""
        if self.spec is None:
            return self.name.replace("_", " ")
        label, part = self.spec.label.within(language), part_label(self.suffix, language)
        if not part:
            return label
        return f"{label}（{part}）" if language == "zh" else f"{label} ({part})"


def metric(name: str, labels: Collection[str] = ()) -> Metric:
    """The metric of that name; `labels` tell `f1_spam` from the `f1` of a part."""
    found = [
        (spec, name[len(spec.name) + 1 :])
        for spec in SPECS
        if name == spec.name or name.startswith(f"{spec.name}_")
    ]
    fitting = [(s, suffix) for s, suffix in found if _fits(s, suffix, labels)] or found
    if not fitting:
        return Metric(name=name)
    spec, suffix = max(fitting, key=lambda one: len(one[0].name))
    return Metric(name=name, spec=spec, suffix=suffix)


def _fits(spec: MetricSpec, suffix: str, labels: Collection[str]) -> bool:
    return suffix in labels if spec.per_label else suffix not in labels


def part_label(part: str, language: Language) -> str:
    """The name of a part of the rows, where it is one we know; else as it stands."""
    return PARTS[part].within(language) if part in PARTS else part
