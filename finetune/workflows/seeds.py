"""The same fine-tuning under several seeds: mean and spread of every value."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from core import store
from core.errors import BadSetting
from core.task import In
from finetune.data.training_data import RUNS, Request, gather

if TYPE_CHECKING:
    from rich.console import Console

    from core.engine.engine import Engine
    from finetune.workflows.finetuning import Run


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Of one value over the seeds; `deviation` is the sample standard deviation."""

    mean: float
    deviation: float
    lowest: float
    highest: float


def parsed(text: str) -> tuple[int, ...]:
    """'0,1,2' as seeds; `BadSetting` unless there are two or more different ones."""
    pieces = [piece.strip() for piece in text.split(",")]
    if not all(piece.isdecimal() for piece in pieces) or len(set(pieces)) < max(2, len(pieces)):
        raise BadSetting(
            f"--seeds takes two or more different whole numbers, as 0,1,2; not {text!r}."
        )
    return tuple(int(piece) for piece in pieces)


def finetune_all(
    request: Request[In], engine: Engine, seeds: Sequence[int], console: Console
) -> tuple[Path, list[Run]]:
    """One run a seed, in `seed-N` of one folder, and `seeds.json` with the spread of all values.

    Each seed draws its own order and initial weights; held-out and test rows are the same.
    """
    from finetune.workflows.finetuning import finetune

    folder = request.output or store.new_run(RUNS, request.task.name, "seeds")
    runs = []
    for seed in seeds:
        update = {"seed": seed, "split_seed": request.settings.splitting}
        settings = request.settings.model_copy(update=update)
        one = replace(request, settings=settings, output=folder / f"seed-{seed}")
        runs.append(finetune(one, engine, gather(one), console))
    spreads = spread([run.passport.metrics for run in runs])
    about = {name: vars(value) for name, value in spreads.items()}
    store.write_json(folder / "seeds.json", {"seeds": list(seeds), "metrics": about})
    return folder, runs


def best_of(seeds: Sequence[int], runs: Sequence[Run]) -> tuple[int, Run]:
    """The run whose checkpoint validated best, and its seed; the scored rows have no say."""
    return max(zip(seeds, runs, strict=True), key=lambda pair: _validated(pair[1]))


def _validated(run: Run) -> float:
    return -math.inf if run.best is None else run.best


def spread(metrics: Sequence[Mapping[str, float]]) -> dict[str, Spread]:
    """Of every value that all runs have."""
    names = [name for name in metrics[0] if all(name in one for one in metrics)]
    columns = {name: [one[name] for one in metrics] for name in names}
    return {
        name: Spread(
            mean=statistics.fmean(values),
            deviation=statistics.stdev(values),
            lowest=min(values),
            highest=max(values),
        )
        for name, values in columns.items()
    }
