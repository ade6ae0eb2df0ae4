"""The runs of fine-tunings, read from their folders: what `quintet finetune` left there, and its log.

Nothing of this is kept in memory: a run of yesterday is found as well as the one that was started last.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from core import store
from core.adapters import registry

RUNS = Path("runs")
"""Where `quintet finetune` puts them, from the folder that the pages were started in."""

_QUIET = 120
"""Seconds without a line in the log, after which a run that nobody knows of has stopped."""
_TRAINING = ("tokens", "loss", "grad_norm", "learning_rate", "tokens_per_second", "progress")


@dataclass(frozen=True, kw_only=True)
class Run:
    """One folder under `runs/<task>/`."""

    folder: Path
    task: str
    settings: Mapping[str, Any]
    """`config.yaml`; empty before the training began."""
    scores: Mapping[str, Any]
    """The passport of its adapter: metrics, the best baseline; empty before it was scored."""

    @property
    def name(self) -> str:
        """'spam/20260101-120000-finetune'."""
        return f"{self.task}/{self.folder.name}"

    @property
    def backbone(self) -> str:
        """The one that it was trained on."""
        return str(self.settings.get("backbone", ""))

    @property
    def started(self) -> datetime:
        """When the folder was made or the settings were written, whichever is known."""
        path = self.folder / "config.yaml"
        there = path if path.is_file() else self.folder
        return datetime.fromtimestamp(there.stat().st_mtime, UTC)

    @property
    def adapter(self) -> Path:
        """Where its adapter lies, or will lie."""
        return self.folder / "adapter"

    @property
    def report(self) -> Path | None:
        """The report, once there is one."""
        return self._report(registry.REPORT)

    @property
    def chinese_report(self) -> Path | None:
        """The same in Chinese; runs of earlier versions have none."""
        return self._report(registry.REPORT_ZH)

    def _report(self, name: str) -> Path | None:
        path = self.folder / "report" / name
        return path if path.is_file() else None

    @property
    def finished(self) -> bool:
        """Whether its adapter was scored: the last thing that happens."""
        return bool(self.scores)

    @property
    def resumable(self) -> bool:
        """Whether `--resume` finds a checkpoint to go on from."""
        return any(self.folder.glob("checkpoint-*")) and not self.finished


@dataclass(frozen=True, kw_only=True)
class Log:
    """The curves of a run: (step, value) pairs by name."""

    steps: int = 0
    loss: tuple[tuple[int, float], ...] = ()
    progress: tuple[tuple[int, float], ...] = ()
    metrics: Mapping[str, tuple[tuple[int, float], ...]] = field(default_factory=dict)
    tokens_per_second: float = 0.0


def find(root: Path = RUNS) -> list[Run]:
    """Every fine-tuning under `root`, the newest first."""
    folders = {path.parent for path in root.glob("*/*/config.yaml")}
    return sorted(filter(None, map(read, folders)), key=lambda run: run.started, reverse=True)


def read(folder: Path) -> Run | None:
    """The run in a folder; None where it is no fine-tuning."""
    settings = _yaml(folder / "config.yaml")
    task = settings.get("task")
    if not isinstance(task, str):
        return None
    return Run(
        folder=folder,
        task=task,
        settings=settings,
        scores=_json(folder / "adapter" / "passport.json"),
    )


def read_log(folder: Path) -> Log:
    """What was logged so far; a line that is just being written is left for the next time."""
    columns: dict[str, list[tuple[int, float]]] = {}
    steps, speed = 0, 0.0
    for line in _lines(folder / "log.jsonl"):
        step = int(line.get("step", 0))
        steps, speed = max(steps, step), float(line.get("tokens_per_second", speed))
        for name, value in line.items():
            if name != "step" and isinstance(value, int | float):
                columns.setdefault(name, []).append((step, float(value)))
    metrics = {name: tuple(one) for name, one in columns.items() if name not in _TRAINING}
    return Log(
        steps=steps,
        loss=tuple(columns.get("loss", ())),
        progress=tuple(columns.get("progress", ())),
        metrics=metrics,
        tokens_per_second=speed,
    )


def planned_steps(run: Run) -> int:
    """How many steps it will take at most, by its own log; 0 where that is not known."""
    most = int(run.settings.get("max_steps") or -1)
    if most > 0:
        return most
    progress = read_log(run.folder).progress
    return round(progress[-1][0] / progress[-1][1]) if progress and progress[-1][1] > 0 else 0


def still_written(folder: Path) -> bool:
    """Whether something was logged in the last minutes."""
    try:
        return time.time() - (folder / "log.jsonl").stat().st_mtime < _QUIET
    except OSError:
        return False


def promotion(run: Run) -> Mapping[str, Any]:
    """What `quintet adapters promote` last decided about it; empty where it was never asked."""
    return _json(run.folder / "promotion.json")


def fresh_folder(task: str, root: Path = RUNS) -> Path:
    """The folder of a run that is to begin."""
    return store.new_run(root, task, "finetune")


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    for line in text.splitlines():
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict):
            yield found


def _yaml(path: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return found if isinstance(found, dict) else {}


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
