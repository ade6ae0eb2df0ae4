"""The value that a task's criterion speaks of: of plain numbers, or of sums over rows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from core.errors import BadSetting, nearest
from core.task import Choice, Task
from finetune.evaluation.metrics.counts import Counts
from finetune.evaluation.metrics.registry import MEAN, Metric, metric
from finetune.evaluation.metrics.sums import Matrix

Found = TypeVar("Found")


def deciding_metric(task: Task[Any]) -> Metric:
    """The metric of the criterion, whatever its parts."""
    return metric(task.select_by.metric, _labels(task))


def deciding_values(task: Task[Any], values: Mapping[str, Found]) -> dict[str, Found]:
    """Of all values those that decide: one, or one for each part of which the mean decides."""
    return {name: values[name] for name in _covered(task, values)}


def deciding_value(task: Task[Any], values: Mapping[str, float]) -> float:
    """The number itself; `BadSetting` where it was not measured."""
    found = deciding_values(task, values)
    if not found:
        wanted = task.select_by.metric
        raise BadSetting(
            f"select_by of {task.name!r} names {wanted!r}, which was not measured; "
            f"measured: {', '.join(values)}.{nearest(wanted, values)}"
        )
    return math.fsum(found.values()) / len(found)


def selected(task: Task[Any], values: Mapping[str, float]) -> float:
    """The number that a better model has more of."""
    value = deciding_value(task, values)
    return value if deciding_metric(task).higher_is_better else -value


def deciding(task: Task[Any], counts: Mapping[str, Counts]) -> Counts | None:
    """The same of sums over rows, under a name of its own where it is a mean; None where there is none."""
    found = list(deciding_values(task, counts).values())
    if len(found) < 2:
        return found[0] if found else None
    return _mean(f"{task.select_by.metric}_{MEAN}", found)


def _labels(task: Task[Any]) -> tuple[str, ...]:
    return task.answer.labels if isinstance(task.answer, Choice) else ()


def _covered(task: Task[Any], names: Iterable[str]) -> list[str]:
    criterion, known = task.select_by, list(names)
    if criterion.metric in known and criterion.over_parts == "unnamed":
        return [criterion.metric]
    wanted, labels = criterion.metric, _labels(task)
    found = [(name, metric(name, labels)) for name in known if name.startswith(wanted)]
    return [
        name
        for name, one in found
        if one.family == wanted and not one.of_label and one.suffix != MEAN
    ]


def _mean(name: str, several: Sequence[Counts]) -> Counts:
    widths = np.cumsum([0, *(one.rows.shape[1] for one in several)])

    def value(sums: Matrix) -> Matrix:
        parts = [
            one.value(sums[:, start:end])
            for one, start, end in zip(several, widths, widths[1:], strict=False)
        ]
        return np.asarray(np.mean(parts, axis=0))

    return replace(
        several[0],
        name=name,
        spec=replace(several[0].spec, proportion=False),
        rows=np.hstack([one.rows for one in several]),
        value=value,
        measured=sum(one.measured for one in several),
        undefined=next((one.undefined for one in several if one.undefined), ""),
    )
