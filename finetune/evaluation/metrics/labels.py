"""The metrics of a closed answer: sums are the cells of the confusion matrix."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from core.language import Said
from finetune.evaluation.metrics.rows import Rows
from finetune.evaluation.metrics.spec import MetricSpec
from finetune.evaluation.metrics.sums import Matrix, Sums, Value, share


def _evaluated(rows: Rows) -> Mapping[str, Any]:
    from core.metrics import Classification

    metric = Classification(rows.labels)
    return dict(metric.compute(predictions=list(rows.texts), references=rows.right_labels))


def _confusion(rows: Rows) -> Matrix:
    """(rows, cells), right labels before predicted ones."""
    places = {label: place for place, label in enumerate(rows.labels)}
    cells = np.zeros((len(rows.texts), len(places) ** 2))
    for number, (right, said) in enumerate(zip(rows.right_labels, rows.texts, strict=True)):
        cells[number, places[right] * len(places) + places[said]] = 1
    return cells


def _summed(value: Value, *, weighs: bool = False) -> Callable[[Rows], Sums]:
    """`weighs`: it holds one label against the others, and is undefined where there are no others."""

    def sums(rows: Rows) -> Sums:
        undefined = _one_label(rows) if weighs else ""
        return _sums(rows, value, undefined)

    return sums


def _of_label(value: Callable[..., Matrix]) -> Callable[[Rows], Sums]:
    def sums(rows: Rows) -> Sums:
        place = rows.labels.index(rows.label)
        missing = "" if rows.label in rows.right_labels else f"no row has the label {rows.label!r}"
        return _sums(rows, functools.partial(value, place=place), missing)

    return sums


def _sums(rows: Rows, value: Value, undefined: str) -> Sums:
    cells = rows.once(_confusion)
    return Sums(rows=cells, value=value, measured=len(cells), undefined=undefined)


def _one_label(rows: Rows) -> str:
    there = set(rows.right_labels)
    return f"all rows have the label {there.pop()!r}" if len(there) == 1 else ""


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


_OF_ALL: Final[dict[str, Any]] = dict(
    module="classification", evaluated=_evaluated, bounds=(0.0, 1.0)
)
_EACH: Final[dict[str, Any]] = _OF_ALL | dict(per_label=True)

SPECS: Final = (
    MetricSpec(
        name="accuracy",
        label=Said("Accuracy", "准确率"),
        meaning=Said("The share of rows answered right.", "回答正确的样本比例。"),
        sums=_summed(_accuracy),
        proportion=True,
        chance=lambda labels: 1 / labels,
        **_OF_ALL,
    ),
    MetricSpec(
        name="macro_f1",
        label=Said("Macro F1", "宏平均 F1"),
        meaning=Said(
            "The mean F1 of all labels, so that a rare label counts as much as a frequent one.",
            "各标签 F1 的平均，稀有标签与常见标签同等重要。",
        ),
        sums=_summed(_macro_f1, weighs=True),
        hub="f1",
        **_OF_ALL,
    ),
    MetricSpec(
        name="mcc",
        label=Said("MCC", "马修斯相关系数"),
        meaning=Said(
            "Matthews correlation of right and predicted labels: 1 is perfect, 0 is random guessing, "
            "below 0 is worse than guessing.",
            "真实标签与预测标签的相关性：1 为完全正确，0 等于随机猜测，负值比随机猜测还差。",
        ),
        sums=_summed(_mcc, weighs=True),
        chance=lambda labels: 0.0,
        hub="matthews_correlation",
        **_OF_ALL | dict(bounds=(-1.0, 1.0)),
    ),
    MetricSpec(
        name="precision",
        label=Said("Precision", "精确率"),
        meaning=Said(
            "Of the rows given this label, the share that has it.",
            "预测为该标签的样本中确为该标签的比例。",
        ),
        sums=_of_label(_precision),
        **_EACH,
    ),
    MetricSpec(
        name="recall",
        label=Said("Recall", "召回率"),
        meaning=Said(
            "Of the rows that have this label, the share that was given it.",
            "确为该标签的样本中被找出的比例。",
        ),
        sums=_of_label(_recall),
        **_EACH,
    ),
    MetricSpec(
        name="f1",
        label=Said("F1", "F1"),
        meaning=Said(
            "Harmonic mean of precision and recall of this label.",
            "该标签精确率与召回率的调和平均。",
        ),
        sums=_of_label(_f1),
        **_EACH,
    ),
)
