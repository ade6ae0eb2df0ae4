"""Sources and contestants → everyone's answers to the same rows, beside what costs nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Generic

from core.application import Application
from core.errors import BadData, BadSetting
from core.task import Example, In, Task
from finetune.answers import Answers, Kind
from finetune.baselines import baselines
from finetune.counts import Counts, count, deciding
from finetune.examples import Reading
from finetune.scoring import Score, answer, score_of


@dataclass(frozen=True)
class Contestant(Generic[In]):
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
    answers: tuple[Answers, ...]
    seconds: float

    @property
    def examples(self) -> tuple[Example[In], ...]:
        """What was asked."""
        return self.reading.examples

    @property
    def subject(self) -> Answers:
        """Who is judged."""
        return self.answers[-1]

    @cached_property
    def score(self) -> Score:
        """Of the subject."""
        return self.score_of(self.subject)

    def score_of(self, answers: Answers) -> Score:
        """Of any of them."""
        return score_of(self.task, self.examples, answers, data=self.data)

    @cached_property
    def counts(self) -> Mapping[str, Mapping[str, Counts]]:
        """Name → metric → its sums by row; the deciding metric is among them."""
        found = {}
        for answers in self.answers:
            counts = count(self.task, self.examples, answers)
            decides = deciding(self.task, counts)
            found[answers.name] = counts | ({decides.name: decides} if decides else {})
        return found

    @property
    def deciding(self) -> str:
        """The name of the value that decides."""
        found = deciding(self.task, dict(self.counts[self.subject.name]))
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
    contestants: Sequence[Contestant[In]],
    reading: Reading[In],
    train: Sequence[Example[In]],
    *,
    name: str,
    against_baselines: bool = True,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation[In]:
    """Ask everyone the same; the last contestant is the subject. Baselines learn from `train`."""
    task, examples = contestants[-1].application.task, reading.examples
    if not examples:
        raise BadData(f"{name} holds no rows to score.")
    began = time.perf_counter()
    free = baselines(task, train, examples, seed=seed) if against_baselines else []
    asked: list[Answers] = []
    for number, one in enumerate(contestants):
        asked.append(
            answer(
                one.application,
                examples,
                name=one.name,
                kind=one.kind,
                progress=_share(progress, number, len(contestants)),
            )
        )
    return Evaluation(
        task=task,
        data=name,
        reading=reading,
        train=tuple(train),
        answers=(*free, *asked),
        seconds=time.perf_counter() - began,
    )


def _share(
    progress: Callable[[int, int], None] | None, number: int, all_: int
) -> Callable[[int, int], None] | None:
    """The progress of one contestant among all."""
    if progress is None:
        return None
    return lambda done, total: progress(number * total + done, all_ * total)
