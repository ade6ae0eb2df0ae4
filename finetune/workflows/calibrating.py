"""`quintet calibrate`: an operating point, fitted on rows and stored in the adapter."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core import store
from core.adapters import registry
from core.adapters.decision import DECISION
from core.adapters.passport import PASSPORT, OperatingPoint, read_passport
from core.application import Application
from core.errors import BadData
from core.service import Service
from core.task import Example, Task
from finetune.evaluation.calibration import operating_point
from finetune.evaluation.contamination.training_rows import (
    TrainingRows,
    read_rows_of,
    rows_of,
    with_fitted,
    write_rows,
)
from finetune.evaluation.scoring import answer

_FEWEST = 20


@dataclass(frozen=True, kw_only=True)
class Calibrated:
    """What was done."""

    folder: Path
    """A new version where the adapter is served or shipped; an adapter in a run stays where it is."""
    point: OperatingPoint
    learned: int
    """Rows left out, since the adapter has learned them."""
    scored: int
    """Rows left out, since the metrics in its passport were measured on them."""
    known: bool
    """Whether it is known which rows it has learned."""

    def lines(self) -> list[str]:
        """In words."""
        point = self.point
        return [
            *self._left_out(),
            f"Fitted on {point.fitted_on:,} rows: temperature {point.temperature:.3f}"
            + ("." if point.temperature != 1 else " (no row is wrong, so it cannot be told)."),
            *([_promised(point)] if point.threshold is not None else []),
            *(
                [f"No answer is given below a probability of {point.abstain_below:g}."]
                if point.abstain_below
                else []
            ),
            f"Stored in {self.folder}; every caller obeys it.",
        ]

    def _left_out(self) -> list[str]:
        gone = f"Left out: {self.learned:,} rows that it has learned, {self.scored:,} that it was scored on."
        unknown = "Which rows the adapter has learned is not fully known: make sure that these are others."
        return [gone] * bool(self.learned + self.scored) + [unknown] * (not self.known)


def _promised(point: OperatingPoint) -> str:
    return (
        f"{point.label!r} is said from a probability of {point.threshold:.4f} on. Asked for: at most "
        f"{point.max_false_positive_rate:.2%} of other rows; on these rows {point.false_positive_rate:.2%}; "
        f"on others like them at most {point.false_positive_bound:.2%} with 95 % confidence."
    )


def calibrate(
    service: Service,
    task: str,
    folder: Path,
    examples: Sequence[Example[Any]],
    *,
    label: str | None = None,
    max_false_positive_rate: float | None = None,
    abstain_below: float = 0.0,
    progress: Callable[[int, int], None] | None = None,
) -> Calibrated:
    """Fit on those of the rows that the adapter has neither learned nor been scored on."""
    opened = service.application(task, folder)
    seen = read_rows_of(folder, read_passport(folder).training_rows_hash)
    learned, scored = _known(opened.task, examples, seen)
    rows = [one for place, one in enumerate(examples) if place not in learned | scored]
    if len(rows) < _FEWEST:
        raise BadData(_too_few(len(rows), len(learned), len(scored)))
    raw = Application(opened.task, service.engine, opened.adapter)  # without its operating point
    found = answer(raw, rows, progress=progress)
    point = operating_point(
        opened.task,
        rows,
        found.predictions,
        label=label,
        max_false_positive_rate=max_false_positive_rate,
        abstain_below=abstain_below,
    )
    kept = registry.install(folder) if _is_served(folder) else folder
    before = seen or rows_of(opened.task, (), known=False)
    keep(point, kept, with_fitted(before, opened.task, rows))
    return Calibrated(
        folder=kept,
        point=point,
        learned=len(learned),
        scored=len(scored),
        known=bool(seen and seen.ancestors_known),
    )


def _known(
    task: Task[Any], examples: Sequence[Example[Any]], seen: TrainingRows | None
) -> tuple[set[int], set[int]]:
    """Places of the rows that were learned, and of further ones that were scored."""
    if seen is None:
        return set(), set()
    learned = {one.row for one in seen.find(task, examples)}
    return learned, set(seen.places(task, examples, "scored")) - learned


def _too_few(rows: int, learned: int, scored: int) -> str:
    gone = f" ({learned} more were learned, {scored} were scored)" if learned + scored else ""
    return (
        f"{rows} rows are too few to calibrate on{gone}; give at least {_FEWEST} that the adapter has "
        "neither learned nor been scored on, with --data."
    )


def _is_served(folder: Path) -> bool:
    roots = (store.home(), store.SHIPPED)
    return any(folder.resolve().is_relative_to(root.resolve()) for root in roots)


def keep(point: OperatingPoint, folder: Path, rows: TrainingRows) -> None:
    """Write it into passport and decision at once: both are old, or both are new."""
    passport = read_passport(folder)
    with store.new_folder(folder) as changed:
        shutil.copytree(folder, changed, dirs_exist_ok=True)
        about = {"operating_point": point, "training_rows_hash": write_rows(rows, changed)}
        made = passport.model_copy(update=about).sealed()
        store.write_json(changed / PASSPORT, made.model_dump(mode="json"))
        if (changed / DECISION).is_file():
            decision = json.loads((changed / DECISION).read_text(encoding="utf-8"))
            decision["temperature"]["choice"] = point.temperature
            # transformers reads the temperature; the rest is for other callers.
            decision["operating_point"] = point.model_dump()
            store.write_json(changed / DECISION, decision)
