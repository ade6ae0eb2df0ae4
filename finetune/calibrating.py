"""`quintet calibrate`: an operating point, fitted on rows and stored in the adapter."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from core import store
from core.adapters.decision import DECISION
from core.adapters.passport import PASSPORT, OperatingPoint
from core.application import Application
from core.errors import BadData
from core.service import Service
from core.task import Example
from finetune.calibration import operating_point
from finetune.scoring import answer

_FEWEST = 20


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
) -> Path:
    """The folder of the calibrated adapter: a new version where `folder` is served or shipped.

    An adapter in a run is calibrated where it lies.
    """
    if len(examples) < _FEWEST:
        raise BadData(f"{len(examples)} rows are too few to calibrate on; give at least {_FEWEST}.")
    opened = service.application(task, folder)
    raw = Application(opened.task, service.engine, opened.adapter)  # without its operating point
    found = answer(raw, examples, progress=progress)
    point = operating_point(
        opened.task,
        examples,
        found.predictions,
        label=label,
        max_false_positive_rate=max_false_positive_rate,
        abstain_below=abstain_below,
    )
    kept = store.install(folder) if _is_served(folder) else folder
    keep(point, kept)
    return kept


def _is_served(folder: Path) -> bool:
    roots = (store.home(), store.SHIPPED)
    return any(folder.resolve().is_relative_to(root.resolve()) for root in roots)


def keep(point: OperatingPoint, folder: Path) -> None:
    """Write it into passport and decision at once: both are old, or both are new."""
    passport = store.read_passport(folder).model_copy(update={"operating_point": point})
    with store.new_folder(folder) as changed:
        shutil.copytree(folder, changed, dirs_exist_ok=True)
        store.write_json(changed / PASSPORT, passport.sealed().model_dump(mode="json"))
        if (changed / DECISION).is_file():
            decision = json.loads((changed / DECISION).read_text(encoding="utf-8"))
            decision["temperature"]["choice"] = point.temperature
            # transformers reads the temperature; the rest is for other callers.
            decision["operating_point"] = point.model_dump()
            store.write_json(changed / DECISION, decision)
