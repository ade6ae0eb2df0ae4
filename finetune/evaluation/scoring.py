"""Examples and an application → a `Score`: the values that the task's metrics name."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from core.errors import BadData, BadSetting, Diverged, nearest
from core.metrics import Classification, Completion, LanguageModel, Squad, Translation
from core.metrics.texts import language_to_split
from core.task import Choice, Example, In, Input, Language, MetricName, Task
from finetune.evaluation.answers import Answers, Kind

if TYPE_CHECKING:
    from core.application import Application, Likelihood, Prediction

Item = TypeVar("Item")
Progress = Callable[[int, int], None]
Pair = tuple[Example[Any], str]
"""An example and the text that was predicted for it."""
Measured = tuple[dict[str, float], dict[str, str]]
"""Values by name, and how they were counted."""

_LANGUAGES: tuple[Language, ...] = ("en", "zh")
_TEXT_PART = "text"


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
    surprising = "language_model" in task.metrics
    step = _Counter(len(asked) + len(examples) * surprising, progress)
    found = application.predict(list(asked.values()), batch_size=batch_size)
    answered = dict(zip(asked, step.each(found), strict=True))
    likelihoods = tuple(step.each(application.log_likelihood(examples))) if surprising else ()
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
    metrics, signatures = measure(task, examples, answers.predictions, answers.likelihoods)
    if answers.kind == "baseline":  # their tokens are bytes: the perplexities do not compare
        metrics.pop("perplexity", None)
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
) -> Measured:
    """The values of `task.metrics`: of written texts with `predictions`, of likelihoods with those."""
    if not examples:
        raise BadData(f"Nothing to score for {task.name!r}: there are no examples.")
    texts = [prediction.text for prediction in predictions]
    pairs: list[Pair] = list(zip(examples, texts, strict=True)) if texts else []
    metrics: dict[str, float] = {}
    signatures: dict[str, str] = {}
    for name in task.metrics:
        if name == "language_model":
            values = _language_model(likelihoods or ())
        elif not pairs:
            continue
        else:
            values, signed = _MEASURES[name](task, pairs)
            signatures |= signed
        metrics |= values
    return metrics, signatures


def selected(task: Task[In], metrics: Mapping[str, float]) -> float:
    """The number that a better model has more of, as `task.select_by` says.

    "-x" negates; "x*" averages what begins with x; a value known for parts only (`f1_chat`, but
    no `f1`) is the average of the parts. Raises `BadSetting` where the metrics hold no such value.
    """
    sign, name = (-1.0, task.select_by[1:]) if task.select_by[:1] == "-" else (1.0, task.select_by)
    if name in metrics:
        return sign * metrics[name]
    opening = name[:-1] if name.endswith("*") else f"{name}_"
    values = [value for key, value in metrics.items() if key.startswith(opening)]
    if not values:
        raise BadSetting(
            f"select_by of {task.name!r} names {name!r}, which was not measured; "
            f"measured: {', '.join(metrics)}.{nearest(name, metrics)}"
        )
    return sign * math.fsum(values) / len(values)


def _classification(task: Task[Any], pairs: Sequence[Pair]) -> Measured:
    if not isinstance(task.answer, Choice):
        raise BadSetting(
            f"The metric 'classification' needs labels, and the answer of {task.name!r} is "
            f"{type(task.answer).__name__}. Make it a Choice, or take another metric."
        )
    right = [right_label(example, text) for example, text in pairs]
    return _computed(Classification(task.answer.labels), [text for _, text in pairs], right)


def right_label(example: Example[Any], text: str) -> str:
    """What should have been said; where several labels are right, any of them is."""
    return text if text in example.answers else example.answers[0]


def _translation(task: Task[Any], pairs: Sequence[Pair]) -> Measured:
    return _joined(
        _suffixed(part, _computed(Translation(target_language(part, rows)), *_columns(rows)))
        for part, rows in by_part(pairs)
    )


def _squad(task: Task[Any], pairs: Sequence[Pair]) -> Measured:
    return _joined(
        _suffixed(part, _computed(Squad(), *_columns(rows))) for part, rows in by_part(pairs)
    )


def _completion(task: Task[Any], pairs: Sequence[Pair]) -> Measured:
    return _computed(Completion(), *completions(pairs))


def completions(pairs: Sequence[Pair]) -> tuple[list[str], list[list[str]]]:
    """Texts and their references, one row a prompt.

    The rest of a plain text is one continuation of many, so it is no reference.
    """
    texts: dict[str, str] = {}
    answers: dict[str, list[str]] = {}
    for example, text in pairs:
        key = key_of_input(example.input)
        texts.setdefault(key, text)
        known = answers.setdefault(key, [])
        if example.part != _TEXT_PART:
            known.extend(example.answers)
    # A reference counts once, in an order that does not depend on the rows.
    return list(texts.values()), [sorted(set(known)) for known in answers.values()]


def _language_model(likelihoods: Sequence[Likelihood]) -> dict[str, float]:
    if not likelihoods:
        return {}
    return dict(
        LanguageModel().compute(
            nats=[likelihood.nats for likelihood in likelihoods],
            tokens=[likelihood.tokens for likelihood in likelihoods],
            bytes=[likelihood.bytes for likelihood in likelihoods],
        )
    )


_MEASURES: dict[MetricName, Callable[[Task[Any], Sequence[Pair]], Measured]] = {
    "classification": _classification,
    "translation": _translation,
    "squad": _squad,
    "completion": _completion,
}


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


def key_of_input(asked: Input) -> str:
    """Equal inputs have equal keys; unlike a hash, it also serves fields that are lists."""
    return repr(asked.model_dump())


def by_part(pairs: Sequence[Pair]) -> list[tuple[str, list[Pair]]]:
    """The rows of each part, parts in alphabetical order."""
    parts: dict[str, list[Pair]] = {}
    for pair in pairs:
        parts.setdefault(pair[0].part, []).append(pair)
    return sorted(parts.items())


def _columns(pairs: Sequence[Pair]) -> tuple[list[str], list[list[str]]]:
    return [text for _, text in pairs], [list(example.answers) for example, _ in pairs]


def target_language(part: str, pairs: Sequence[Pair]) -> Language:
    """The language that a part such as 'en_zh' ends with, else the one of the answers."""
    for language in _LANGUAGES:
        if part.rpartition("_")[2] == language:
            return language
    return language_to_split([example.answers for example, _ in pairs])


def _computed(metric: Any, predictions: list[str], references: Sequence[Any]) -> Measured:
    values = dict(metric.compute(predictions=predictions, references=list(references)))
    return values, values.pop("signatures", {})


def _suffixed(part: str, measured: Measured) -> Measured:
    if not part:
        return measured
    values, signatures = measured
    return (
        {f"{name}_{part}": value for name, value in values.items()},
        {f"{name}_{part}": text for name, text in signatures.items()},
    )


def _joined(parts: Iterable[Measured]) -> Measured:
    metrics: dict[str, float] = {}
    signatures: dict[str, str] = {}
    for values, signed in parts:
        metrics |= values
        signatures |= signed
    return metrics, signatures
