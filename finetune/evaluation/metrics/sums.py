"""A metric as sums over rows: whoever draws rows anew draws sums anew, and has the metric of that draw."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]
Value = Callable[[Matrix], Matrix]
"""Column sums (draws, columns) → the metric of each draw (draws,)."""


@dataclass(frozen=True, kw_only=True)
class Sums:
    """What each row adds, and what the sums of the columns come to."""

    rows: Any
    """(rows, columns), dense or sparse; rows that have no part in it are zero."""
    value: Value
    measured: int
    """How many rows have a part in it."""
    keys: Mapping[Any, int] | None = None
    """What each column of a sparse matrix counts; the columns of two systems differ."""
    undefined: str = ""
    """Why these rows give it no value; empty where they do."""


def share(part: Matrix, whole: Matrix) -> Matrix:
    """Part of whole; 0 where there is nothing."""
    return np.divide(part, whole, out=np.zeros_like(part), where=whole != 0)


def averaged(values: Sequence[float], factor: float = 1.0) -> Sums:
    """The mean of a value that each row has by itself, times `factor`."""
    rows = np.column_stack([values, np.ones(len(values))])
    return Sums(
        rows=rows,
        value=lambda sums: factor * share(sums[:, 0], sums[:, 1]),
        measured=len(values),
    )
