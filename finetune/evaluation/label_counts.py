"""The metrics of labels as sums over rows: the cells of the confusion matrix."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from core.task import Choice, Task
from finetune.evaluation.scoring import Pair, right_label
from finetune.evaluation.tally import Counts, Matrix, Value, share


def classification(task: Task[Any], pairs: Sequence[Pair]) -> list[Counts]:
    """Cells of the confusion matrix, right labels before predicted ones."""
    labels = task.answer.labels if isinstance(task.answer, Choice) else ()
    places = {label: place for place, label in enumerate(labels)}
    size = len(places)
    rows = np.zeros((len(pairs), size * size))
    for number, (example, text) in enumerate(pairs):
        rows[number, places[right_label(example, text)] * size + places[text]] = 1
    values: dict[str, Value] = {"accuracy": _accuracy, "macro_f1": _macro_f1, "mcc": _mcc}
    for label, place in places.items():
        values[f"precision_{label}"] = functools.partial(_precision, place=place)
        values[f"recall_{label}"] = functools.partial(_recall, place=place)
        values[f"f1_{label}"] = functools.partial(_f1, place=place)
    missing = [label for label, place in places.items() if not _has_label(rows, place)]
    return [
        Counts(
            name=name,
            rows=rows,
            value=value,
            measured=len(pairs),
            proportion=name == "accuracy",
            bounds=(-1.0, 1.0) if name == "mcc" else (0.0, 1.0),
            undefined=_undefined(name, labels, missing),
        )
        for name, value in values.items()
    ]


def _has_label(rows: Matrix, place: int) -> bool:
    return bool(_cells(rows.sum(0).reshape(1, -1))[0, place].any())


def _undefined(name: str, labels: Sequence[str], missing: Sequence[str]) -> str:
    """What has no value where labels are missing: what weighs one label against the others."""
    if name in ("mcc", "macro_f1") and len(labels) - len(missing) < 2:
        there = ", ".join(label for label in labels if label not in missing)
        return f"all rows have the label {there!r}"
    of = name.partition("_")[2]
    return f"no row has the label {of!r}" if of in missing and name != "macro_f1" else ""


def _cells(sums: Matrix) -> Matrix:
    size = math.isqrt(sums.shape[1])
    return sums.reshape(len(sums), size, size)


def _accuracy(sums: Matrix) -> Matrix:
    cells = _cells(sums)
    return share(np.trace(cells, axis1=1, axis2=2), cells.sum((1, 2)))


def _precision(sums: Matrix, place: int) -> Matrix:
    cells = _cells(sums)
    return share(cells[:, place, place], cells[:, :, place].sum(1))


def _recall(sums: Matrix, place: int) -> Matrix:
    cells = _cells(sums)
    return share(cells[:, place, place], cells[:, place, :].sum(1))


def _f1(sums: Matrix, place: int) -> Matrix:
    cells = _cells(sums)
    return share(2 * cells[:, place, place], cells[:, place, :].sum(1) + cells[:, :, place].sum(1))


def _macro_f1(sums: Matrix) -> Matrix:
    places = range(math.isqrt(sums.shape[1]))
    return np.asarray(np.mean([_f1(sums, place) for place in places], axis=0))


def _mcc(sums: Matrix) -> Matrix:
    """Gorodkin 2004, "Comparing two K-category assignments by a K-category correlation"."""
    cells = _cells(sums)
    right, said, all_ = cells.sum(2), cells.sum(1), cells.sum((1, 2))
    covariance = np.trace(cells, axis1=1, axis2=2) * all_ - (right * said).sum(1)
    spread = (all_**2 - (said**2).sum(1)) * (all_**2 - (right**2).sum(1))
    return share(covariance, np.sqrt(spread))
