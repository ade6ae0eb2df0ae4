"""The whole of `quintet finetune`: sources → a run with an adapter, its score and its passport."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from core import store
from core.adapters import registry
from core.adapters.passport import Passport, read_passport
from core.engine.engine import Engine
from core.engine.prompting import Encoded
from core.errors import BadSetting, Busy, Mismatch, MissingAdapter
from core.task import In, Task
from finetune.data import layout_of
from finetune.data.training_data import RUNS, Request, Splits
from finetune.report.results import Results
from finetune.settings import FinetuneSettings
from finetune.training import dry_run, learning_rate, memory, processes, sft, shards
from finetune.workflows import progress, run_artifacts

if TYPE_CHECKING:
    from rich.console import Console


START = "start"
"""In a run, a copy of the adapter that it began from: installing another one changes nothing."""


@dataclass(frozen=True)
class Run:
    """What a fine-tuning left behind."""

    folder: Path
    passport: Passport
    results: Results
    best: float | None
    """The value that picked the checkpoint, on validation rows."""


def warm_start(task: Task[Any], engine: Engine, settings: FinetuneSettings) -> Path | None:
    """The served adapter of this task, where it was trained on this backbone and prompt."""
    try:
        folder = registry.find(task.name, engine.backbone.name, engine.backbone.fingerprint)
        passport = read_passport(folder)
        passport.check(
            fingerprint=engine.backbone.fingerprint,
            tokenizer_hash=engine.backbone.tokenizer_hash,
            prompt_hash=task.prompt_hash,
            folder=folder,
        )
    except (MissingAdapter, Mismatch):
        return None
    if settings.lora:
        raise BadSetting(
            f"Keys under lora: {', '.join(settings.lora)} cannot change the adapter in {folder} "
            "that this run would go on from. Begin anew with --from-base."
        )
    return folder


def encoded(request: Request[In], engine: Engine, splits: Splits[In]) -> list[Encoded]:
    """Token rows of what is to be learned."""
    return dry_run.encode(request.task, splits.train.examples, engine.backbone, request.settings)


def look(
    request: Request[In], engine: Engine, splits: Splits[In], *, rows: Sequence[Encoded] = ()
) -> dry_run.Preview:
    """What the run would learn and cost; `rows` as for `finetune`."""
    return dry_run.preview(
        request.task,
        splits.train,
        splits.validation.examples,
        rows or encoded(request, engine, splits),
        engine,
        _fitted(request, engine).settings,
    )


def finetune(
    request: Request[In],
    engine: Engine,
    splits: Splits[In],
    console: Console,
    *,
    rows: Sequence[Encoded] = (),
) -> Run:
    """Train, score once on the test rows, and write adapter, passport, card and plot.

    `rows` spares encoding again what `encoded` gave.
    """
    request, task = _fitted(request, engine), request.task
    rows = rows or encoded(request, engine, splits)
    rows = dry_run.learnable(rows, request.settings.max_bad_fraction)
    batches = sft.plan(rows, engine.backbone, request.settings)
    memory.must_fit(memory.forecast(engine, batches, request.settings), engine)
    folder = processes.by_first(
        lambda: request.output or store.new_run(RUNS, task.name, "finetune")
    )
    if request.resume and (folder / "config.yaml").is_file():
        kept = folder / START
        request = replace(request, start=kept if kept.is_dir() else None)
    training_set = sft.TrainingSet(
        task=task,
        rows=rows,
        validation=splits.validation.examples,
        data_hash=splits.digest,
    )
    with progress.training(console, f"fine-tuning {task.name}") as seen:
        state = sft.train(
            engine,
            training_set,
            request.settings,
            folder,
            start=request.start,
            device=request.device,
            resume=request.resume,
            begun=lambda: _begin(request, engine, folder, console),
            report=seen,
        )
    passport, results = processes.by_first(
        lambda: _finish(request, engine, splits, folder, console), engine.backbone.model
    )
    return Run(folder, passport, results, state.best)


def _finish(
    request: Request[In], engine: Engine, splits: Splits[In], folder: Path, console: Console
) -> tuple[Passport, Results]:
    progress.plot_log(folder / "log.jsonl", folder / "loss.png")
    return run_artifacts.finish(request, engine, splits, folder, console)


def _fitted(request: Request[In], engine: Engine) -> Request[In]:
    return replace(request, settings=learning_rate.fitted(request.settings, engine.backbone))


def _begin(request: Request[Any], engine: Engine, folder: Path, console: Console) -> None:
    _describe(request, engine, folder)
    if shards.sharded(engine.backbone.model):
        console.print(shards.told(engine.backbone.model))


def _describe(request: Request[Any], engine: Engine, folder: Path) -> None:
    """Under the folder's lock, so that a run that ended while the weights were read is seen."""
    if not request.resume and (folder / "config.yaml").is_file():
        raise Busy(f"Another process has trained in {folder} meanwhile. Give another --output.")
    if request.start and not (folder / START).is_dir():
        with store.new_folder(folder / START) as kept:
            shutil.copytree(request.start, kept, dirs_exist_ok=True)
    about = {
        "task": request.task.name,
        "backbone": engine.backbone.name,
        "fingerprint": engine.backbone.fingerprint,
        "dtype": engine.backbone.dtype,
        "data": list(request.sources),
        **layout_of(request.columns_map).described(),
        "limit": request.limit,
        "start": str(request.start or ""),
        **request.settings.model_dump(mode="json"),
    }
    store.write_text(folder / "config.yaml", yaml.safe_dump(about, sort_keys=False))
