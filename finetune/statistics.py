"""Intervals and paired tests over rows: percentile bootstrap, approximate randomisation, McNemar.

The draws are scipy's, the metric of a draw is the one of `counts`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import sparse, stats

from finetune.counts import Counts, Matrix

RESAMPLES = 1000
LEVEL = 0.95
SIGNIFICANT = 0.05
_CELLS = 2_000_000
"""Weights that are held at once."""

Outcome = Literal["win", "tie", "loss"]


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A value and where 95 % of its bootstrap draws lie."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Paired:
    """Ours minus theirs on the same rows, and how likely so large a difference is by chance."""

    difference: float
    low: float
    high: float
    p_bootstrap: float
    p_randomisation: float
    p_mcnemar: float | None
    outcome: Outcome


def interval(counts: Counts, *, seed: int, resamples: int = RESAMPLES) -> Interval:
    """Percentile bootstrap (Efron 1979) over rows."""
    value = counts.of_all()
    draws = _draws(counts, lambda w: counts.value(_summed(w, counts)), seed, resamples)
    low, high = _bounds(draws, value, moved=counts.counts_kinds)
    return Interval(value=value, low=low, high=high)


def compare(ours: Counts, theirs: Counts, *, seed: int, resamples: int = RESAMPLES) -> Paired:
    """All tests are two-sided and paired by row; the outcome is for ours at p < 0.05.

    Accuracies are decided by the exact test of McNemar (1947), everything else by approximate
    randomisation (Noreen 1989), which assumes nothing but that rows are exchangeable.
    """
    difference = ours.of_all() - theirs.of_all()

    def apart(weights: Matrix) -> Matrix:
        return ours.value(_summed(weights, ours)) - theirs.value(_summed(weights, theirs))

    draws = _draws(ours, apart, seed, resamples)
    low, high = _bounds(draws, difference, moved=ours.counts_kinds)
    swapped = _randomised(ours, theirs, seed, resamples)
    exact = _mcnemar(ours, theirs) if ours.name == "accuracy" else None
    chance = swapped if exact is None else exact
    return Paired(
        difference=difference,
        low=low,
        high=high,
        p_bootstrap=_p_bootstrap(draws, difference),
        p_randomisation=swapped,
        p_mcnemar=exact,
        outcome=_outcome(difference * ours.sign, chance),
    )


def _outcome(gain: float, chance: float) -> Outcome:
    if chance >= SIGNIFICANT or gain == 0:
        return "tie"
    return "win" if gain > 0 else "loss"


def _draws(counts: Counts, statistic: Any, seed: int, resamples: int) -> Matrix:
    """The statistic of `resamples` draws of all rows with replacement."""
    rows, columns = counts.rows.shape
    if rows < 2:
        return np.array([])

    def of_places(places: npt.NDArray[np.int64], axis: int = -1) -> Matrix:
        flat = places.reshape(-1, places.shape[-1])
        return np.asarray(statistic(_weights(flat, rows)).reshape(places.shape[:-1]))

    found = stats.bootstrap(
        (np.arange(rows),),
        of_places,
        n_resamples=resamples,
        batch=_batch(rows, columns),
        vectorized=True,
        method="percentile",
        confidence_level=LEVEL,
        rng=np.random.default_rng(seed),
    )
    return np.asarray(found.bootstrap_distribution)


def _batch(rows: int, columns: int) -> int:
    return max(1, _CELLS // max(rows, columns))


def _bounds(draws: Matrix, value: float, *, moved: bool) -> tuple[float, float]:
    """Percentiles of the draws; with `moved`, after moving their mean to the value."""
    if not draws.size:
        return value, value
    draws = draws + (value - draws.mean()) if moved else draws
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _p_bootstrap(draws: Matrix, difference: float) -> float:
    """Share of draws, shifted to no difference, that are as far off (Koehn 2004; as sacreBLEU)."""
    if not draws.size:
        return 1.0
    farther = np.abs(draws - draws.mean()) >= abs(difference) - 1e-12
    return float((farther.sum() + 1) / (len(draws) + 1))


def _randomised(ours: Counts, theirs: Counts, seed: int, resamples: int) -> float:
    """Swaps the answers of both, row by row: scipy's permutation test of paired samples."""
    rows = ours.rows.shape[0]
    if rows < 2:
        return 1.0
    both = _stacked(ours, theirs)

    def apart(x: npt.NDArray[np.int64], y: npt.NDArray[np.int64], axis: int = -1) -> Matrix:
        sums = (_weights(side.reshape(-1, side.shape[-1]), 2 * rows) @ both for side in (x, y))
        first, second = (np.asarray(side) for side in sums)
        return np.asarray((ours.value(first) - theirs.value(second)).reshape(x.shape[:-1]))

    found = stats.permutation_test(
        (np.arange(rows), np.arange(rows, 2 * rows)),
        apart,
        permutation_type="samples",
        vectorized=True,
        n_resamples=resamples,
        batch=_batch(2 * rows, both.shape[1]),
        rng=np.random.default_rng(seed),
    )
    return float(found.pvalue)


def _stacked(ours: Counts, theirs: Counts) -> Any:
    """The rows of both under shared columns: (2 x rows, columns)."""
    if ours.keys is None or theirs.keys is None:
        return np.vstack([ours.rows, theirs.rows])
    shared = {key: place for place, key in enumerate(dict.fromkeys([*ours.keys, *theirs.keys]))}
    moved = [_moved(one.rows, one.keys or {}, shared) for one in (ours, theirs)]
    return sparse.vstack(moved).tocsr()


def _moved(rows: Any, keys: Mapping[Any, int], shared: Mapping[Any, int]) -> Any:
    found = rows.tocoo()
    place = np.zeros(max(rows.shape[1], 1), dtype=np.int64)
    for key, column in keys.items():
        place[column] = shared[key]
    shape = (rows.shape[0], max(len(shared), 1))
    return sparse.coo_array((found.data, (found.coords[0], place[found.coords[1]])), shape)


def _mcnemar(ours: Counts, theirs: Counts) -> float:
    from statsmodels.stats.contingency_tables import mcnemar

    mine, other = (_right(one) for one in (ours, theirs))
    table = [[int((a & b).sum()) for b in (other, ~other)] for a in (mine, ~mine)]
    return float(mcnemar(table, exact=True).pvalue)


def _right(counts: Counts) -> npt.NDArray[np.bool_]:
    """Rows in a cell of the diagonal."""
    size = int(counts.rows.shape[1] ** 0.5)
    return np.asarray(counts.rows.reshape(-1, size, size).trace(axis1=1, axis2=2) > 0)


def _weights(places: npt.NDArray[np.int64], rows: int) -> Matrix:
    """How often each draw (draws, drawn) holds each row: (draws, rows)."""
    shifted = places + rows * np.arange(len(places))[:, None]
    found = np.bincount(shifted.ravel(), minlength=len(places) * rows)
    return found.reshape(len(places), rows).astype(np.float64)


def _summed(weights: Matrix, counts: Counts) -> Matrix:
    return np.asarray(weights @ counts.rows)
