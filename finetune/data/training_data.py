"""What a fine-tuning is asked for, and its rows in three splits. Loads no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic

from core import store
from core.errors import BadSetting
from core.task import In, Task
from finetune import data
from finetune.data.examples import Reading, read_examples
from finetune.data.holdout import divide, hold_out
from finetune.data.splits import read_test
from finetune.settings import FinetuneSettings

RUNS = Path("runs")
LOCK = ".lock"
"""Of the process that trains; alone in a folder, it is of one that was killed before it began."""
_LEAST_HELD_OUT = 16


@dataclass(frozen=True, kw_only=True)
class Request(Generic[In]):
    """What to learn, from what, on which backbone, and where to."""

    task: Task[In]
    sources: tuple[str, ...]
    test: tuple[str, ...] = ()
    """Where the final score comes from; nothing here picks a checkpoint."""
    columns_map: Mapping[str, str] = field(default_factory=dict)
    limit: int | None = None
    settings: FinetuneSettings
    output: Path | None = None
    """The folder of the run; None is a fresh one under `runs`."""
    start: Path | None = None
    """The adapter to go on from."""
    resume: bool = False
    device: str = "auto"
    command: str = ""
    """What a person types to get the same, for the report."""


@dataclass(frozen=True)
class Splits(Generic[In]):
    """Rows in three splits: to learn, to pick the checkpoint, to score."""

    train: Reading[In]
    validation: Reading[In]
    test: Reading[In]
    digest: str
    """Of all rows read for training, those that pick the checkpoint included."""


def run_folder(task: str, output: Path | None, *, resume: bool) -> Path | None:
    """The folder to go on with, or an empty one; None is a fresh `runs/<task>/<time>-finetune`.

    Without `output` the newest run of the task is resumed. One that was killed before its first
    checkpoint begins again.
    """
    store.check_writable(output or RUNS / task)
    if resume:
        found = output or store.newest_run(RUNS, task)
        if found is None or not _holds_run(found):
            raise BadSetting(
                f"No run to go on with in {found or RUNS / task}. Begin one without --resume."
            )
        return found
    if output and output.exists() and any(path.name != LOCK for path in output.iterdir()):
        raise BadSetting(f"{output} is not empty. Go on with --resume, or give another --output.")
    return output


def _holds_run(folder: Path) -> bool:
    return any(folder.glob("config.yaml")) or any(folder.glob("seed-*/config.yaml"))


def gather(request: Request[In]) -> Splits[In]:
    """Read all rows. The split that is scored never picks the checkpoint.

    Where every source has a validation split that is not scored, it picks; otherwise rows held
    out from training pick, and the split that there is is scored.
    """
    task, settings = request.task, request.settings
    read: dict[str, Any] = {
        "columns_map": request.columns_map,
        "tolerate": settings.max_bad_fraction,
    }
    train = read_examples(task, request.sources, limit=request.limit, **read)
    digest = train.digest
    if all(_picks(request, source) for source in request.sources):
        validation = read_examples(task, request.sources, split="validation", **read)
        validation, _ = _at_most(validation, task, settings.max_eval_rows, settings.splitting)
    else:
        wanted = max(_LEAST_HELD_OUT, train.rows // 10)
        train, validation = hold_out(
            train,
            task,
            min(settings.max_eval_rows, wanted),
            seed=settings.splitting,
            by_row=bool(request.test),
        )
    scored = request.test or tuple(s for s in request.sources if _scored(s))
    empty: Reading[In] = Reading(by_row=())
    if not scored or not settings.max_test_rows:
        return Splits(train, validation, empty, digest)
    test = read_test(task, scored, **read)
    test, _ = _at_most(test, task, settings.max_test_rows, settings.splitting)
    return Splits(train, validation, test, digest)


def _picks(request: Request[Any], source: str) -> bool:
    """Whether a validation split is there that is not scored."""
    return _has(source, "validation") and (bool(request.test) or _has(source, "test"))


def _has(source: str, split: str) -> bool:
    return data.has_split(source, split)


def _scored(source: str) -> bool:
    return _has(source, "test") or _has(source, "validation")


def _at_most(
    reading: Reading[In], task: Task[In], rows: int, seed: int
) -> tuple[Reading[In], Reading[In]]:
    if len(reading.by_row) <= rows:
        return reading, Reading(by_row=())
    rest, taken = divide(reading, task, rows, seed=seed)
    return taken, rest
