"""The subject in detail: curves, calibration, slices, and its worst mistakes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.metrics import (
    average_precision_score,
    confusion_matrix,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)

from core.language import language_of
from core.metrics.answers import best, f1
from core.metrics.texts import language_to_split, sacrebleu_metric
from core.task import Choice, Example, Task
from finetune.data.splits import short
from finetune.evaluation import calibration
from finetune.evaluation.answers import Answers
from finetune.evaluation.comparison import Evaluation
from finetune.evaluation.metrics.counts import count
from finetune.evaluation.metrics.deciding import deciding
from finetune.evaluation.metrics.rows import right_label
from finetune.report.results import Calibration, Curves, Mistake, Slice
from finetune.report.verdict import measured

_POINTS = 200
_WORST = 20
_SMALLEST_SLICE = 5
_LENGTHS = ("short", "middle", "long")


def curves(found: Evaluation[Any]) -> Curves | None:
    """Of a closed answer with probabilities."""
    task = found.task
    if not isinstance(task.answer, Choice) or not _weighs(found.subject):
        return None
    labels = task.answer.labels
    shares, right = calibration.table(task, found.examples, found.subject.predictions)
    said = [labels.index(one.text) for one in found.subject.predictions]
    cells = confusion_matrix(right, said, labels=range(len(labels)))
    known = {
        label: (right == place, shares[:, place])
        for place, label in enumerate(labels)
        if 0 < (right == place).sum() < len(right)
    }
    return Curves(
        labels=labels,
        confusion=tuple(tuple(int(cell) for cell in row) for row in cells),
        precision_recall={k: _points(*precision_recall_curve(*v)[1::-1]) for k, v in known.items()},
        roc={k: _points(*roc_curve(*v)[:2]) for k, v in known.items()},
        average_precision={k: float(average_precision_score(*v)) for k, v in known.items()},
        roc_auc={k: float(roc_auc_score(*v)) for k, v in known.items()},
    )


def _weighs(answers: Answers) -> bool:
    return bool(answers.predictions) and all(one.probabilities for one in answers.predictions)


def _points(x: Any, y: Any) -> tuple[tuple[float, float], ...]:
    """At most 200 of them, the ends among them."""
    places = np.unique(np.linspace(0, len(x) - 1, min(len(x), _POINTS)).round().astype(int))
    return tuple((float(x[place]), float(y[place])) for place in places)


def calibrated(found: Evaluation[Any], *, seed: int) -> Calibration | None:
    """Before, and after a temperature that each half of the rows takes from the other half."""
    if not isinstance(found.task.answer, Choice) or not _weighs(found.subject):
        return None
    shares, right = calibration.table(found.task, found.examples, found.subject.predictions)
    if len(right) < 4:
        return None
    after, temperature = calibration.cross_fitted(shares, right, seed)
    return Calibration(
        temperature=temperature,
        fitted_on=len(right) // 2,
        ece_before=calibration.expected_error(shares, right),
        ece_after=calibration.expected_error(after, right),
        brier_before=calibration.brier(shares, right),
        brier_after=calibration.brier(after, right),
        reliability=calibration.reliability(after, right),
        reliability_before=calibration.reliability(shares, right),
    )


def slices(found: Evaluation[Any], *, seed: int, resamples: int) -> tuple[Slice, ...]:
    """The deciding value by length, language, source and part; groups of a few rows are left out."""
    prompts = [found.task.prompt(example.input) for example in found.examples]
    groups: dict[str, Sequence[str]] = {
        "length": _thirds([len(prompt) for prompt in prompts]),
        "language": [language_of(prompt) for prompt in prompts],
        "source": [short(one) for one in found.reading.origins],
        "part": [example.part for example in found.examples],
    }
    made = []
    for by, names in groups.items():
        counted = Counter(names)
        order = [n for n in _LENGTHS if n in counted] if by == "length" else sorted(counted)
        for name in order if len(counted) > 1 else ():
            slice_ = _slice(found, by, name, [n == name for n in names], seed, resamples)
            made += [slice_] if slice_ else []
    return tuple(made)


def _thirds(lengths: Sequence[int]) -> list[str]:
    low, high = np.quantile(lengths, [1 / 3, 2 / 3])
    return [_LENGTHS[int(length > low) + int(length > high)] for length in lengths]


def _slice(
    found: Evaluation[Any], by: Any, name: str, kept: Sequence[bool], seed: int, resamples: int
) -> Slice | None:
    if sum(kept) < _SMALLEST_SLICE:
        return None
    examples = [example for example, one in zip(found.examples, kept, strict=True) if one]
    answers = found.subject.without([place for place, one in enumerate(kept) if not one])
    groups = found.groups[np.array(kept)]
    decides = deciding(found.task, count(found.task, examples, answers, groups))
    if decides is None or decides.undefined:
        return None
    value = measured(decides, seed=seed, resamples=resamples)
    return Slice(by=by, name=name, measured=value)


def mistakes(found: Evaluation[Any]) -> tuple[Mistake, ...]:
    """The 20 worst answers that are wrong, the worst first."""
    rate = _rating(found.task)
    rated = []
    for row, (example, said) in enumerate(
        zip(found.examples, found.subject.predictions, strict=False)
    ):
        value = rate(example, said)
        if value is not None:
            rated.append((value, row, example, said))
    rated.sort(key=lambda one: one[:2])
    return tuple(
        Mistake(
            row=row,
            input=example.input.model_dump(mode="json"),
            answers=example.answers,
            prediction=said.text,
            score=value,
            probabilities=said.probabilities,
        )
        for value, row, example, said in rated[:_WORST]
    )


def _rating(task: Task[Any]) -> Callable[[Example[Any], Any], float | None]:
    """A number for an answer, lower is worse; None for one that cannot be called wrong."""
    if isinstance(task.answer, Choice):
        return lambda example, said: (
            None
            if said.text in example.answers
            else said.probabilities.get(right_label(example, said.text), 0.0)
        )
    if "squad" in task.metrics:
        return lambda example, said: _wrong(100 * best(f1, said.text, example.answers))
    return lambda example, said: (
        None if example.part == "text" else _wrong(_chrf(said.text, example.answers))
    )


def _wrong(value: float) -> float | None:
    return value if value < 100 else None


def _chrf(text: str, answers: Sequence[str]) -> float:
    metric = sacrebleu_metric("chrf", language_to_split([answers]))
    return float(metric.sentence_score(text, list(answers)).score)
