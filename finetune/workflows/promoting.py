"""`quintet adapters promote`: a candidate is installed only where a paired test shows no loss.

The rule, on held-out rows that neither adapter has learned: there are at least `LEAST_ROWS` of them that
stand alone; the candidate is not significantly worse than what is served (p < 0.05 and an interval
below 0); and the lower end of the 95 % interval of candidate minus served, in the metric that
picks the task's checkpoints, is not below minus `margin`, a share of the metric's range.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from core import store
from core.adapters import registry
from core.adapters.passport import read_passport
from core.errors import BadData, BadSetting, MissingAdapter
from core.feedback.entries import Entry
from core.feedback.export import training_rows
from core.service import Service
from core.task import Example, Task
from finetune.data.examples import Reading
from finetune.data.splits import read_test
from finetune.evaluation import comparison, contamination, significance
from finetune.evaluation.clusters import groups_of, rows_of
from finetune.evaluation.comparison import System
from finetune.evaluation.metrics.counts import Counts
from finetune.evaluation.significance import Paired

MARGIN = 0.02
LEAST_ROWS = 50
RECORD = "promotion.json"
_SEEN = ("picked", "fitted")


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What was compared on which rows, and what follows from it."""

    task: str
    candidate: str
    served: str
    metric: str
    lower_is_better: bool
    rows: int
    left_out: int
    """Rows that one of the two has learned, or that picked its checkpoint."""
    value: float
    """Of the candidate."""
    value_served: float
    difference: float
    """Candidate minus served."""
    low: float
    high: float
    p: float
    margin: float
    """In units of the metric."""
    promoted: bool
    reason: str
    decided: str
    """When, in UTC."""
    installed: str = ""

    def lines(self) -> list[str]:
        """One fact a line."""
        return [
            f"{self.metric} on {self.rows} held-out rows ({self.left_out} more left out: seen before)",
            f"  served    {self.value_served:.4f}  {self.served}",
            f"  candidate {self.value:.4f}  {self.candidate}",
            f"  difference {self.difference:+.4f} (95 % from {self.low:+.4f} to {self.high:+.4f}), "
            f"p = {self.p:.3f}, margin {self.margin:.4f}",
            f"{'promoted' if self.promoted else 'not promoted'}: {self.reason}",
            *([self.installed] if self.installed else []),
        ]


def held_out(
    task: Task[Any], sources: Sequence[str], entries: Sequence[Entry], layout: Any = None
) -> Reading[Any]:
    """The rows of the sources' test splits, and the feedback that is kept from training."""
    found: Reading[Any] = Reading(by_row=())
    if sources:
        found = read_test(task, sources, columns_map=layout)
    rows = training_rows(task, entries, side="test").rows
    read = [tuple(one for one in task.read(row) if isinstance(one, Example)) for row in rows]
    said = tuple(row for row in read if row)
    return replace(
        found,
        by_row=(*found.by_row, *said),
        sources=(*found.sources, *("feedback" for _ in said)),
        places=(),
    )


def decide(
    service: Service,
    name: str,
    run: Path,
    reading: Reading[Any],
    *,
    margin: float = MARGIN,
    least_rows: int = LEAST_ROWS,
    seed: int = 0,
    resamples: int = significance.RESAMPLES,
    progress: Callable[[int, int], None] | None = None,
) -> Decision:
    """Ask the candidate and what is served the same rows; nothing is installed here."""
    if not 0 <= margin < 1:
        raise BadSetting(f"margin is {margin}; it must be a share from 0 up to 1.")
    candidate = run / "adapter" if (run / "adapter").is_dir() else run
    served = _served(service, name)
    kept, gone = _unseen(service.task(name), reading, [candidate, *([served] if served else [])])
    _enough(service.task(name), kept, gone, least_rows)
    found = comparison.evaluate(
        _both(service, name, candidate, served),
        kept,
        (),
        name="held-out rows",
        against_baselines=False,
        seed=seed,
        progress=progress,
    )
    ours, theirs = (found.counts[who][found.deciding] for who in ("candidate", "served"))
    paired = significance.compare(ours, theirs, seed=seed, resamples=resamples)
    allowed = margin * _range(theirs)
    good, reason = judged(paired, allowed, sign=ours.sign)
    return Decision(
        task=name,
        candidate=str(run),
        served=str(served or "the bare backbone"),
        metric=found.deciding,
        lower_is_better=ours.sign < 0,
        rows=len(kept.examples),
        left_out=gone,
        value=ours.of_all(),
        value_served=theirs.of_all(),
        margin=allowed,
        **{name: getattr(paired, name) for name in ("difference", "low", "high", "p")},
        promoted=good,
        reason=reason,
        decided=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
    )


def _both(service: Service, name: str, candidate: Path, served: Path | None) -> list[System[Any]]:
    """What is served, or the bare backbone, and the candidate."""
    before = service.application(name, served) if served else service.bare(name)
    return [
        System("served", "adapter" if served else "base", before),
        System("candidate", "adapter", service.application(name, candidate)),
    ]


def judged(paired: Paired, margin: float, *, sign: int) -> tuple[bool, str]:
    """Whether this difference is no loss, and why; `margin` is in units of the metric."""
    if paired.outcome == "loss":
        return False, f"it is worse than what is served (p = {paired.p:.3f})"
    worst = paired.low if sign > 0 else -paired.high
    if worst < -margin:
        return False, (
            f"a loss of up to {-worst:.4f} cannot be ruled out, and {margin:.4f} is allowed. "
            "More held-out rows (--data) narrow the interval"
        )
    if paired.outcome == "win":
        return True, f"it is better than what is served (p = {paired.p:.3f})"
    return True, f"a loss of more than {margin:.4f} is ruled out"


def promote(decision: Decision, run: Path) -> Decision:
    """Install the candidate where the decision allows it, and keep the record beside the run."""
    if decision.promoted:
        decision = replace(decision, installed=str(registry.install(run)))
    store.write_json(run / RECORD, asdict(decision))
    return decision


def _served(service: Service, name: str) -> Path | None:
    try:
        return service.find(name)
    except MissingAdapter:
        return None


def _range(counts: Counts) -> float:
    """What the margin is a share of: the metric's range, or where it has none, its value."""
    bounds = counts.spec.bounds
    return abs(counts.of_all()) if bounds is None else bounds[1] - bounds[0]


def _unseen(
    task: Task[Any], reading: Reading[Any], folders: Sequence[Path]
) -> tuple[Reading[Any], int]:
    """Without the rows that one of the adapters has learned, and how many those were."""
    gone: set[int] = set()
    for folder in folders:
        rows = contamination.read_rows_of(folder, read_passport(folder).training_rows_hash)
        if rows is not None:
            gone |= {one.row for one in rows.find(task, reading.examples)}
            gone |= {n for name in _SEEN for n in rows.places(task, reading.examples, name)}
    return comparison.without(reading, sorted(gone)), len(gone)


def _enough(task: Task[Any], kept: Reading[Any], gone: int, least: int) -> None:
    alone = 0
    if kept.by_row:
        alone = len(np.unique(groups_of(task, kept.examples, rows_of(kept.by_row))))
    if alone < least:
        raise BadData(
            f"{alone} held-out rows that stand alone are too few to decide on ({gone} more were seen "
            f"before); at least {least}. Give more with --data, or install without a test: "
            "quintet adapters install RUN"
        )
