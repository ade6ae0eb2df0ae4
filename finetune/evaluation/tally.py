"""A metric as sums over rows: whoever draws rows anew draws sums anew, and has the metric of that draw."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from finetune.evaluation.clusters import Groups

Matrix = npt.NDArray[np.float64]
Value = Callable[[Matrix], Matrix]
"""Column sums (draws, columns) → the metric of each draw (draws,)."""

LOWER_IS_BETTER = ("perplexity", "bits_per_byte", "repetition")


@dataclass(frozen=True, kw_only=True)
class Counts:
    """One metric of one contestant."""

    name: str
    rows: Any
    """(rows, columns), dense or sparse; rows that have no part in it are zero."""
    value: Value
    measured: int
    """How many rows have a part in it."""
    counts_kinds: bool = False
    """Whether it counts different things: a row drawn twice then holds nothing new, and draws are
    lower than the value by their nature."""
    keys: Mapping[Any, int] | None = None
    """What each column of a sparse matrix counts; the columns of two contestants differ."""
    groups: Groups | None = None
    """Equal numbers for rows that belong together; None where each stands alone."""
    proportion: bool = False
    """Whether it is the share of rows that are right, neither more nor less."""
    bounds: tuple[float, float] | None = None
    """The least and the most that it can be."""
    undefined: str = ""
    """Why these rows give it no value; empty where they do."""

    @property
    def sign(self) -> int:
        """1 where higher is better, -1 where lower is."""
        return -1 if self.name.startswith(LOWER_IS_BETTER) else 1

    @property
    def clustered(self) -> Counts:
        """The same with a row for each group of rows: what is drawn, and swapped, together."""
        if self.groups is None or len(np.unique(self.groups)) == self.rows.shape[0]:
            return replace(self, groups=None)
        places = np.arange(self.rows.shape[0])
        among = sparse.coo_array((np.ones(len(places)), (self.groups, places))).tocsr()
        return replace(self, rows=among @ self.rows, groups=None)

    @property
    def alone(self) -> bool:
        """Whether every row stands for itself."""
        return self.groups is None or len(np.unique(self.groups)) == self.rows.shape[0]

    def of_all(self) -> float:
        """The metric of all rows as they are."""
        return float(self.value(np.asarray(self.rows.sum(0)).reshape(1, -1))[0])


def share(part: Matrix, whole: Matrix) -> Matrix:
    """Part of whole; 0 where there is nothing."""
    return np.divide(part, whole, out=np.zeros_like(part), where=whole != 0)
