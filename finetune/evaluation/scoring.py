"""Examples and an application → a `Score`: the values that the task's metrics name."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from core.errors import BadData, Diverged
from core.task import Example, In, Task
from finetune.evaluation.answers import Answers, Kind
from finetune.evaluation.metrics import registry
from finetune.evaluation.metrics.rows import key_of_input
from finetune.evaluation.metrics.spec import SIGNATURES

if TYPE_CHECKING:
    from core.application import Application, Likelihood, Prediction

Item = TypeVar("Item")
Progress = Callable[[int, int], None]
Measured = tuple[dict[str, float], dict[str, str]]
"""Values by name, and how they were counted."""


@dataclass(frozen=True)
class Score:
    """What a model is worth on some data; every value is a finite number."""

    task: str
    data: str
    rows: int
    metrics: dict[str, float]
    signatures: dict[str, str] = field(default_factory=dict)
    undefined: dict[str, str] = field(default_factory=dict)
    """What these rows give no value, and why."""

    def __post_init__(self) -> None:
        if not self.rows or not self.metrics:
            raise BadData(f"Nothing to score for {self.task!r}: there are no examples.")
        for name, value in self.metrics.items():
            if not math.isfinite(value):
                raise Diverged(
                    f"{name} of {self.task!r} is {value}: the model's weights are damaged. "
                    "Go back to an earlier checkpoint, with a lower learning_rate."
                )

    def as_json(self) -> dict[str, Any]:
        """What is written to disk and printed with --json."""
        return {
            "task": self.task,
            "data": self.data,
            "rows": self.rows,
            "metrics": dict(self.metrics),
            "signatures": dict(self.signatures),
            **({"undefined": dict(self.undefined)} if self.undefined else {}),
        }


def answer(
    application: Application[In],
    examples: Sequence[Example[In]],
    *,
    name: str = "adapter",
    kind: Kind = "adapter",
    batch_size: int = 16,
    progress: Progress | None = None,
) -> Answers:
    """A prediction for each example, and what its answer costs where that is measured.

    Equal inputs are asked once. `progress` is told how many of how many answers are done. Raises
    `BadData` without examples.
    """
    task, began = application.task, time.perf_counter()
    if not examples:
        raise BadData(f"Nothing to score for {task.name!r}: there are no examples.")
    asked = {key_of_input(example.input): example.input for example in examples}
    weighed = any(one.needs == "likelihoods" for one in registry.specs_of(task))
    step = _Counter(len(asked) + len(examples) * weighed, progress)
    found = application.predict(list(asked.values()), batch_size=batch_size)
    answered = dict(zip(asked, step.each(found), strict=True))
    likelihoods = tuple(step.each(application.log_likelihood(examples))) if weighed else ()
    return Answers(
        name=name,
        kind=kind,
        predictions=tuple(answered[key_of_input(example.input)] for example in examples),
        likelihoods=likelihoods,
        seconds=time.perf_counter() - began,
    )


def score_of(
    task: Task[In], examples: Sequence[Example[In]], answers: Answers, *, data: str = ""
) -> Score:
    """What these answers are worth."""
    metrics, signatures = measure(
        task,
        examples,
        answers.predictions,
        answers.likelihoods,
        of_bytes=answers.kind == "baseline",
    )
    return Score(task.name, data, len(examples), metrics, signatures)


def score(
    application: Application[In], examples: Sequence[Example[In]], *, data: str = ""
) -> tuple[Score, tuple[Prediction, ...]]:
    """The score, and a prediction for each example."""
    answers = answer(application, examples)
    return score_of(application.task, examples, answers, data=data), answers.predictions


def measure(
    task: Task[In],
    examples: Sequence[Example[In]],
    predictions: Sequence[Prediction],
    likelihoods: Sequence[Likelihood] | None = None,
    *,
    of_bytes: bool = False,
) -> Measured:
    """The values of the task's metrics: of written texts with `predictions`, of likelihoods with those."""
    if not examples:
        raise BadData(f"Nothing to score for {task.name!r}: there are no examples.")
    values: dict[str, float] = {}
    signatures: dict[str, str] = {}
    texts = [prediction.text for prediction in predictions]
    for name, spec, rows in registry.measured(
        task, examples, texts=texts, likelihoods=likelihoods or (), of_bytes=of_bytes
    ):
        found = rows.once(spec.evaluated)
        key = f"{spec.name}_{rows.label}" if rows.label else spec.name
        if key in found:
            values[name] = found[key]
        if key in found.get(SIGNATURES, {}):
            signatures[name] = found[SIGNATURES][key]
    return values, signatures


@dataclass
class _Counter:
    """Counts over several iterators what has passed, and tells `progress`."""

    total: int
    progress: Progress | None
    done: int = 0

    def each(self, items: Iterable[Item]) -> Iterable[Item]:
        for item in items:
            self.done += 1
            if self.progress is not None:
                self.progress(self.done, self.total)
            yield item
