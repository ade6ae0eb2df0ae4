"""Sources and systems → everyone's answers to the same rows, beside what costs nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Generic

from core.application import Application
from core.errors import BadData, BadSetting
from core.task import Example, In, Task
from finetune.data.examples import Reading
from finetune.evaluation.answers import Answers, Kind
from finetune.evaluation.baselines import baselines
from finetune.evaluation.clusters import Groups, groups_of, rows_of
from finetune.evaluation.contamination.training_rows import TrainingRows
from finetune.evaluation.metrics.counts import Counts, count, defined
from finetune.evaluation.metrics.deciding import deciding
from finetune.evaluation.scoring import Score, answer, score_of


@dataclass(frozen=True)
class System(Generic[In]):
    """Someone who is asked."""

    name: str
    kind: Kind
    application: Application[In]


@dataclass(frozen=True, kw_only=True)
class Evaluation(Generic[In]):
    """Everyone's answers: baselines first, the subject last."""

    task: Task[In]
    data: str
    reading: Reading[In]
    train: tuple[Example[In], ...]
    """What the baselines learned from."""
    own: bool = True
    """Whether that is what the subject learned from."""
    seen: TrainingRows | None = None
    """Hashes of the rows that the subject has learned, where an adapter brings them."""
    answers: tuple[Answers, ...]
    seconds: float

    @property
    def examples(self) -> tuple[Example[In], ...]:
        """What was asked."""
        return self.reading.examples

    def without(self, rows: Sequence[int]) -> Evaluation[In]:
        """The same without the examples at these places."""
        answers = tuple(one.without(rows) for one in self.answers)
        return replace(self, reading=without(self.reading, rows), answers=answers)

    @property
    def starved(self) -> bool:
        """Whether baselines that learn had other or fewer rows than the subject.

        The bare backbone has learned none for the task: next to it no baseline is short of rows.
        """
        return not self.own and self.subject.kind != "base"

    @property
    def subject(self) -> Answers:
        """Who is judged."""
        return self.answers[-1]

    @cached_property
    def score(self) -> Score:
        """Of the subject."""
        return self.score_of(self.subject)

    def score_of(self, answers: Answers) -> Score:
        """Of any of them; what is not defined on these rows is left out."""
        found = score_of(self.task, self.examples, answers, data=self.data)
        kept = {k: v for k, v in found.metrics.items() if k not in self.undefined}
        return replace(found, metrics=kept, undefined=dict(self.undefined))

    @cached_property
    def counts(self) -> Mapping[str, Mapping[str, Counts]]:
        """Name → metric → its sums by row; the deciding metric is among them."""
        return {name: defined(counts) for name, counts in self._counts.items()}

    @cached_property
    def undefined(self) -> Mapping[str, str]:
        """Metric of the subject → why these rows give it no value."""
        counts = self._counts[self.subject.name]
        return {name: one.undefined for name, one in counts.items() if one.undefined}

    @cached_property
    def groups(self) -> Groups:
        """Equal numbers for examples that belong together."""
        return groups_of(self.task, self.examples, rows_of(self.reading.by_row))

    @cached_property
    def _counts(self) -> Mapping[str, Mapping[str, Counts]]:
        found = {}
        for answers in self.answers:
            counts = count(self.task, self.examples, answers, self.groups)
            decides = deciding(self.task, counts)
            found[answers.name] = counts | ({decides.name: decides} if decides else {})
        return found

    @property
    def deciding(self) -> str:
        """The name of the value that decides."""
        found = deciding(self.task, dict(self._counts[self.subject.name]))
        if found is None:
            raise BadSetting(f"select_by of {self.task.name!r} names what was not measured.")
        return found.name

    @cached_property
    def best_baseline(self) -> Answers | None:
        """The one that is hardest to beat on the deciding value."""
        return self.best_baseline_on(self.deciding)

    def best_baseline_on(self, name: str) -> Answers | None:
        """The one that is hardest to beat on this value; None where none has it."""
        found = [(a, self.counts[a.name].get(name)) for a in self.answers if a.kind == "baseline"]
        rated = [(counts.sign * counts.of_all(), a) for a, counts in found if counts]
        return max(rated, key=lambda pair: pair[0])[1] if rated else None


def evaluate(
    systems: Sequence[System[In]],
    reading: Reading[In],
    train: Sequence[Example[In]],
    *,
    name: str,
    against_baselines: bool = True,
    own: bool = True,
    seen: TrainingRows | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation[In]:
    """Ask everyone the same; the last system is the subject.

    Baselines learn from `train`; `own` says whether the subject did, `seen` what else it learned.
    """
    task, examples = systems[-1].application.task, reading.examples
    if not examples:
        raise BadData(f"{name} holds no rows to score.")
    began = time.perf_counter()
    free = baselines(task, train, examples, seed=seed) if against_baselines else []
    asked: list[Answers] = []
    for number, one in enumerate(systems):
        asked.append(
            answer(
                one.application,
                examples,
                name=one.name,
                kind=one.kind,
                progress=_share(progress, number, len(systems)),
            )
        )
    return Evaluation(
        task=task,
        data=name,
        reading=reading,
        train=tuple(train),
        own=own,
        seen=seen,
        answers=(*free, *asked),
        seconds=time.perf_counter() - began,
    )


def without(reading: Reading[In], dropped: Sequence[int]) -> Reading[In]:
    """A reading without the examples at these places among all."""
    gone, place = frozenset(dropped), 0
    kept: list[tuple[tuple[Example[In], ...], str]] = []
    sources = reading.sources or ("",) * len(reading.by_row)
    for row, source in zip(reading.by_row, sources, strict=True):
        left = tuple(one for number, one in enumerate(row, place) if number not in gone)
        place += len(row)
        kept += [(left, source)] if left else []
    named = tuple(source for _, source in kept) if reading.sources else ()
    return replace(reading, by_row=tuple(row for row, _ in kept), sources=named)


def _share(
    progress: Callable[[int, int], None] | None, number: int, all_: int
) -> Callable[[int, int], None] | None:
    """The progress of one system among all."""
    if progress is None:
        return None
    return lambda done, total: progress(number * total + done, all_ * total)
