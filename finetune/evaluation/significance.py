"""Intervals and paired tests over rows: percentile bootstrap, approximate randomisation, McNemar.

The draws are scipy's, the metric of a draw is the one of `metrics.counts`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import sparse, stats

from finetune.evaluation.metrics.counts import Counts
from finetune.evaluation.metrics.sums import Matrix

RESAMPLES = 1000
LEVEL = 0.95
SIGNIFICANT = 0.05
_LEAST = 0.001
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
    p: float
    """The one that decides."""
    outcome: Outcome


def interval(counts: Counts, *, seed: int, resamples: int = RESAMPLES) -> Interval:
    """Percentile bootstrap (Efron 1979) over rows, or over the groups of rows that belong together.

    Where all rows or none are right, draws tell nothing of how sure that is: a share then has the
    exact interval of Clopper & Pearson (1934).
    """
    value, drawn = counts.of_all(), counts.clustered
    draws = _draws(drawn, lambda w: drawn.value(_summed(w, drawn)), seed, resamples)
    low, high = _bounds(draws, value, moved=counts.spec.counts_kinds)
    bounds = counts.spec.bounds
    if counts.spec.proportion and low == high and bounds and value in bounds:
        low, high = _exact(value, bounds, _taking_part(drawn))
    return Interval(value=value, low=_within(low, bounds), high=_within(high, bounds))


def _taking_part(counts: Counts) -> int:
    return int(np.asarray(counts.rows.any(axis=1)).sum())


def _exact(value: float, bounds: tuple[float, float], rows: int) -> tuple[float, float]:
    from statsmodels.stats.proportion import proportion_confint

    right = rows if value == bounds[1] else 0
    low, high = proportion_confint(right, rows, alpha=1 - LEVEL, method="beta")
    return bounds[1] * float(low), bounds[1] * float(high)


def _within(value: float, bounds: tuple[float, float] | None) -> float:
    return value if bounds is None else float(np.clip(value, *bounds))


def compare(ours: Counts, theirs: Counts, *, seed: int, resamples: int = RESAMPLES) -> Paired:
    """All tests are two-sided and paired by row, or by the group of rows that belong together.

    Shares of rows that are right and stand alone are decided by the exact test of McNemar (1947), everything
    else by approximate randomisation (Noreen 1989), which assumes nothing but that what is swapped is
    exchangeable.
    """
    difference = ours.of_all() - theirs.of_all()
    mine, other = ours.clustered, theirs.clustered

    def apart(weights: Matrix) -> Matrix:
        return mine.value(_summed(weights, mine)) - other.value(_summed(weights, other))

    draws = _draws(mine, apart, seed, resamples)
    low, high = _bounds(draws, difference, moved=ours.spec.counts_kinds)
    swapped = _randomised(mine, other, seed, resamples)
    exact = _mcnemar(ours, theirs) if ours.spec.proportion and ours.alone else None
    chance = swapped if exact is None else exact
    return Paired(
        difference=difference,
        low=low,
        high=high,
        p_bootstrap=_p_bootstrap(draws, difference),
        p_randomisation=swapped,
        p_mcnemar=exact,
        p=chance,
        outcome=decided(difference, low, high, chance, sign=ours.sign),
    )


def decided(difference: float, low: float, high: float, p: float, *, sign: int) -> Outcome:
    """The one rule for every outcome word: p < 0.05 and an interval on one side of no difference."""
    if p >= SIGNIFICANT or low <= 0 <= high or difference == 0:
        return "tie"
    return "win" if difference * sign > 0 else "loss"


def corrected(chances: Sequence[float]) -> list[float]:
    """Of several tests that are shown together (Holm 1979): each as rare as if it were the only one."""
    if not chances:
        return []
    from statsmodels.stats.multitest import multipletests

    return [float(p) for p in multipletests(chances, method="holm")[1]]


def floor(resamples: int) -> float:
    """No rarer chance is told by so many draws, and none below 0.001 is written out: it is '≤'."""
    return max(_LEAST, 1 / (resamples + 1))


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
    """Swaps the answers of both, row by row; every way of it where there are no more than draws."""
    rows = ours.rows.shape[0]
    if rows < 2:
        return 1.0
    both = _stacked(ours, theirs)
    difference = abs(ours.of_all() - theirs.of_all())
    as_far, done = 0, 0
    for swaps in _swaps(rows, seed, resamples, _batch(2 * rows, both.shape[1])):
        kept = ~swaps
        first = np.asarray(np.hstack([kept, swaps]).astype(np.float64) @ both)
        second = np.asarray(np.hstack([swaps, kept]).astype(np.float64) @ both)
        apart = np.abs(ours.value(first) - theirs.value(second))
        as_far += int((apart >= difference - 1e-12 * max(1.0, difference)).sum())
        done += len(swaps)
    every = 2**rows if rows < 60 else resamples + 1
    return as_far / done if every <= resamples else (as_far + 1) / (done + 1)


def _swaps(rows: int, seed: int, resamples: int, batch: int) -> Iterator[npt.NDArray[np.bool_]]:
    """Which rows are swapped: (draws, rows) at a time."""
    if rows < 60 and 2**rows <= resamples:
        numbers = np.arange(2**rows)[:, None]
        yield (numbers >> np.arange(rows)) & 1 == 1
        return
    chance = np.random.default_rng(seed)
    for start in range(0, resamples, batch):
        yield chance.random((min(batch, resamples - start), rows)) < 0.5


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
    """Each row as if it were the only one."""
    return np.asarray(counts.value(counts.rows) > 0)


def _weights(places: npt.NDArray[np.int64], rows: int) -> Matrix:
    """How often each draw (draws, drawn) holds each row: (draws, rows)."""
    shifted = places + rows * np.arange(len(places))[:, None]
    found = np.bincount(shifted.ravel(), minlength=len(places) * rows)
    return found.reshape(len(places), rows).astype(np.float64)


def _summed(weights: Matrix, counts: Counts) -> Matrix:
    return np.asarray(weights @ counts.rows)
