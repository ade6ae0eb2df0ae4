"""Results in one language: who is judged, by what, and how values are written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from core.language import Said
from core.task import Language
from finetune.evaluation.metrics.registry import Metric, metric, part_label
from finetune.report.results import Comparison, Entry, Measured, Results
from finetune.report.sections.numbers import decimals_for, number
from finetune.report.words import names, say


@dataclass(frozen=True)
class Edition:
    """Everything that the sections and the drawings ask of the results."""

    results: Results
    language: Language

    def say(self, key: str, **values: object) -> str:
        """The word or sentence in this language."""
        return say(key, self.language, **values)

    def part(self, name: str) -> str:
        """Of rows that belong to no part it is said that they are the others."""
        return part_label(name, self.language) if name.strip() else self.say("part_rest")

    def entry(self, name: str) -> str:
        """What a system is called."""
        return self._named(names.ENTRIES, name)

    def field(self, name: str) -> str:
        """What a field of the input is called."""
        return self._named(names.FIELDS, name)

    def passport_key(self, name: str) -> str:
        """What a value of the passport is called."""
        return self._named(names.PASSPORT, name)

    def _named(self, known: Mapping[str, Said], name: str) -> str:
        return known[name].within(self.language) if name in known else name

    @property
    def title(self) -> str:
        """Of the task."""
        results = self.results
        return (results.title_zh if self.language == "zh" else "") or results.title

    @property
    def description(self) -> str:
        """Of the task."""
        results = self.results
        return (results.description_zh if self.language == "zh" else "") or results.description

    @cached_property
    def labels(self) -> tuple[str, ...]:
        curves = self.results.curves
        return curves.labels if curves else tuple(self.results.data_card.labels)

    @cached_property
    def subject(self) -> Entry:
        """The judged entry; where none has its name, the last one."""
        named = (e for e in self.results.entries if e.name == self.results.subject)
        return next(named, self.results.entries[-1])

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        """Baselines first, then the backbone and other adapters, the judged one last."""
        kinds = ("baseline", "base", "adapter")
        return tuple(
            sorted(self.results.entries, key=lambda e: (e is self.subject, kinds.index(e.kind)))
        )

    @cached_property
    def baseline(self) -> Entry | None:
        """The best baseline on the deciding value."""
        named = (e for e in self.results.entries if e.name == self.results.verdict.baseline)
        return next(named, None)

    @cached_property
    def metrics(self) -> tuple[Metric, ...]:
        """Every metric of any entry: the deciding one first, then the main ones."""
        names = dict.fromkeys(name for entry in self.results.entries for name in entry.metrics)
        found = [metric(name, self.labels) for name in names]
        order = sorted(found, key=lambda m: (m.of_label, m.order))
        return tuple(sorted(order, key=lambda m: m.name != self.deciding.name))

    @cached_property
    def main(self) -> tuple[Metric, ...]:
        """Columns of the main table, at most six."""
        return tuple(m for m in self.metrics if m.spec and not m.of_label)[:6]

    @cached_property
    def further(self) -> tuple[Metric, ...]:
        return tuple(m for m in self.metrics if m not in self.main)

    @cached_property
    def deciding(self) -> Metric:
        """The metric of the verdict; of a rule such as 'chrf_*', the first value it covers."""
        wanted, known = self.results.verdict.metric, self.subject.metrics
        stem = wanted.lstrip("-").rstrip("*").rstrip("_")  # as earlier versions wrote it
        fitting = [name for name in known if name == stem or name.startswith(f"{stem}_")]
        name = wanted if wanted in known else next(iter(fitting), wanted)
        return metric(name, self.labels)

    def label(self, of: Metric) -> str:
        """What a metric is called."""
        return of.label(self.language)

    def direction(self, of: Metric) -> str:
        """Which way is better."""
        return self.say("higher" if of.higher_is_better else "lower")

    def meaning(self, of: Metric) -> str:
        """What a metric means, which way is better, and what random guessing reaches."""
        if of.spec is None:
            return ""
        better = self.direction(of)
        stop = f"{better}。" if self.language == "zh" else f"{better.capitalize()}."
        return self.sentences(of.spec.meaning.within(self.language), stop, self._chance(of))

    def _chance(self, of: Metric) -> str:
        if of.spec is None or of.spec.chance is None:
            return ""
        reached = of.spec.chance(max(1, len(self.labels)))
        return self.say("chance", value=number(reached, min(of.decimals, 3)))

    def decimals(self, of: Metric) -> int:
        """The same for a whole column: no more than the interval of the judged entry supports."""
        known = (e.metrics[of.name] for e in self.entries[::-1] if of.name in e.metrics)
        judged = self.subject.metrics.get(of.name) or next(known, None)
        return decimals_for(judged, of.decimals) if judged else of.decimals

    def value(self, of: Metric, measured: Measured) -> str:
        """As it is written in its column."""
        return number(measured.value, self.decimals(of))

    def interval(self, of: Metric, measured: Measured) -> str:
        """'low–high', with 'to' or '至' where a bound is negative."""
        return self.span(measured.low, measured.high, self.decimals(of))

    def span(self, low: float, high: float, decimals: int, *, signed: bool = False) -> str:
        """Two bounds, with 'to' or '至' where one is negative."""
        below, above = (number(bound, decimals, signed=signed) for bound in (low, high))
        if not signed and "−" not in below + above:
            return f"{below}–{above}"
        return f"{below} 至 {above}" if self.language == "zh" else f"{below} to {above}"

    def best(self, of: Metric) -> str:
        """The name of the entry that is above all others; empty where one may be as good."""
        found = [e for e in self.results.entries if of.name in e.metrics]
        if len(found) < 2:
            return ""
        pick = max if of.higher_is_better else min
        top = pick(found, key=lambda e: e.metrics[of.name].value)
        return top.name if all(self._apart(of, top, e) for e in found if e is not top) else ""

    def _apart(self, of: Metric, top: Entry, other: Entry) -> bool:
        """By their paired test where there is one, else by intervals that do not meet."""
        for one in self.results.comparisons:
            pair = {self.results.subject, one.against}
            if one.metric == of.name and pair == {top.name, other.name}:
                return one.outcome in ("win", "loss")
        ours, theirs = top.metrics[of.name], other.metrics[of.name]
        return ours.low > theirs.high or ours.high < theirs.low

    def compared(self, of: Metric) -> list[Comparison]:
        """With everyone, on this metric."""
        return [one for one in self.results.comparisons if one.metric == of.name]

    def listed(self, names: Iterable[str]) -> str:
        """Behind one another."""
        return ("、" if self.language == "zh" else ", ").join(names)

    def sentences(self, *said: str) -> str:
        """Sentences behind one another; Chinese ones without a space."""
        return ("" if self.language == "zh" else " ").join(text for text in said if text)
