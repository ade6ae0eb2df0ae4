"""Results in one language: who is judged, by what, and how values are written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from finetune.report.measures import Metric, decimals_for, metric, number, part_label
from finetune.report.results import Entry, Measured, Results
from finetune.report.words import Key, Language, say


@dataclass(frozen=True)
class Edition:
    """Everything that the sections and the drawings ask of the results."""

    results: Results
    language: Language

    def say(self, key: Key, **values: object) -> str:
        return say(key, self.language, **values)

    def part(self, name: str) -> str:
        return part_label(name, self.language)

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
        return tuple(m for m in self.metrics if m.measure and not m.of_label)[:6]

    @cached_property
    def further(self) -> tuple[Metric, ...]:
        return tuple(m for m in self.metrics if m not in self.main)

    @cached_property
    def deciding(self) -> Metric:
        """The metric of the verdict; of a rule such as 'chrf_*', the first value it covers."""
        wanted, known = self.results.verdict.metric, self.subject.metrics
        stem = wanted.lstrip("-").rstrip("*").rstrip("_")
        fitting = [name for name in known if name == stem or name.startswith(f"{stem}_")]
        name = wanted if wanted in known else next(iter(fitting), wanted)
        return metric(name, self.labels)

    def label(self, of: Metric) -> str:
        return of.label(self.language)

    def direction(self, of: Metric) -> str:
        return self.say("lower" if of.lower_is_better else "higher")

    def decimals(self, of: Metric, measured: Measured) -> int:
        """No more than the interval supports, and no more than that of the judged entry does."""
        judged = self.subject.metrics.get(of.name, measured)
        beside = self.baseline.metrics.get(of.name, judged) if self.baseline else judged
        ours, theirs = (decimals_for(one, of.decimals) for one in (judged, beside))
        # A single digit is given up, so that both are written alike.
        column = theirs if ours - theirs == 1 else ours
        return min(decimals_for(measured, of.decimals), column)

    def value(self, of: Metric, measured: Measured) -> str:
        return number(measured.value, self.decimals(of, measured))

    def interval(self, of: Metric, measured: Measured) -> str:
        """'low–high', with 'to' or '至' where a bound is negative."""
        decimals = self.decimals(of, measured)
        return self.span(measured.low, measured.high, decimals)

    def span(self, low: float, high: float, decimals: int, *, signed: bool = False) -> str:
        below, above = (number(bound, decimals, signed=signed) for bound in (low, high))
        if not signed and "−" not in below + above:
            return f"{below}–{above}"
        return f"{below} 至 {above}" if self.language == "zh" else f"{below} to {above}"

    def best(self, of: Metric) -> frozenset[str]:
        """The name of the entry that has the best value, unless another is written alike."""
        found = [e for e in self.results.entries if of.name in e.metrics]
        if len(found) < 2:
            return frozenset()
        pick = min if of.lower_is_better else max
        top = pick(found, key=lambda e: e.metrics[of.name].value)
        alike = [e for e in found if self._same(of, e, top)]
        return frozenset({top.name}) if len(alike) == 1 else frozenset()

    def _same(self, of: Metric, one: Entry, other: Entry) -> bool:
        decimals = self.decimals(of, other.metrics[of.name])
        pair = (number(e.metrics[of.name].value, decimals) for e in (one, other))
        return next(pair) == next(pair)

    def listed(self, names: Iterable[str]) -> str:
        return ("、" if self.language == "zh" else ", ").join(names)

    def sentences(self, *said: str) -> str:
        """Sentences behind one another; Chinese ones without a space."""
        return ("" if self.language == "zh" else " ").join(text for text in said if text)
