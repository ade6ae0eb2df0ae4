"""The whole of `quintet finetune`: sources → a run with an adapter, its score and its passport."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic

import yaml

from core import store
from core.application import Application
from core.decision import write_decision
from core.engine import Engine
from core.errors import BadSetting, Mismatch, MissingAdapter
from core.passport import Passport
from core.task import In, Task
from core.weights import WEIGHTS
from finetune import checkpoint, data, evaluation, lora, preview, progress
from finetune.evaluation import Contestant, Evaluation
from finetune.examples import Reading, hold_out, read_examples
from finetune.report import render
from finetune.report.build import build
from finetune.report.results import Results
from finetune.settings import FinetuneSettings

if TYPE_CHECKING:
    from rich.console import Console

_RUNS = Path("runs")
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
class Run:
    """What a fine-tuning left behind."""

    folder: Path
    passport: Passport
    results: Results


@dataclass(frozen=True)
class Material(Generic[In]):
    """Rows on their three sides: to learn, to pick the checkpoint, to score."""

    train: Reading[In]
    validation: Reading[In]
    test: Reading[In]


def run_folder(task: str, output: Path | None, *, resume: bool) -> Path | None:
    """The folder to go on with, or an empty one; None is a fresh `runs/<task>/<time>-finetune`.

    Without `output` the newest run of the task is resumed.
    """
    if resume:
        runs = sorted((_RUNS / task).glob("*/config.yaml"))
        found = output or (runs[-1].parent if runs else None)
        if found is None or not checkpoint.checkpoints(found):
            raise BadSetting(f"No checkpoint to go on from in {found or _RUNS / task}.")
        return found
    if output and output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise BadSetting(f"{output} is not empty. Go on with --resume, or give another --output.")
    return output


def warm_start(task: Task[Any], engine: Engine, settings: FinetuneSettings) -> Path | None:
    """The served adapter of this task, where it was trained on this backbone and prompt."""
    try:
        folder = store.find_adapter(task.name)
        passport = store.read_passport(folder)
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


def gather(request: Request[In]) -> Material[In]:
    """Read all rows. The split that is scored never picks the checkpoint.

    Where every source has both `test` and `validation`, the former is scored and the latter picks;
    otherwise rows held out from training pick, and the split that there is is scored.
    """
    task, settings = request.task, request.settings
    read: dict[str, Any] = {
        "columns_map": request.columns_map,
        "tolerate": settings.max_bad_fraction,
    }
    train = read_examples(task, request.sources, limit=request.limit, **read)
    if all(_has(source, "test") and _has(source, "validation") for source in request.sources):
        validation = read_examples(task, request.sources, split="validation", **read)
        validation, _ = _at_most(validation, task, settings.max_eval_rows, settings.seed)
    else:
        wanted = max(_LEAST_HELD_OUT, train.rows // 10)
        train, validation = hold_out(
            train, task, min(settings.max_eval_rows, wanted), seed=settings.seed
        )
    scored = request.test or tuple(s for s in request.sources if _scored(s))
    empty: Reading[In] = Reading(by_row=())
    if not scored or not settings.max_test_rows:
        return Material(train, validation, empty)
    test = evaluation.read_test(task, scored, **read)
    test, _ = _at_most(test, task, settings.max_test_rows, settings.seed)
    return Material(train, validation, test)


def _has(source: str, split: str) -> bool:
    return data.has_split(source, split)


def _scored(source: str) -> bool:
    return _has(source, "test") or _has(source, "validation")


def _at_most(
    reading: Reading[In], task: Task[In], rows: int, seed: int
) -> tuple[Reading[In], Reading[In]]:
    if len(reading.by_row) <= rows:
        return reading, Reading(by_row=())
    rest, taken = hold_out(reading, task, rows, seed=seed)
    return taken, rest


def look(request: Request[In], engine: Engine, material: Material[In]) -> preview.Preview:
    """What the run would learn and cost."""
    rows = preview.encode(request.task, material.train.examples, engine.backbone)
    return preview.preview(
        request.task,
        material.train,
        material.validation.examples,
        rows,
        engine,
        request.settings,
    )


def finetune(request: Request[In], engine: Engine, material: Material[In], console: Console) -> Run:
    """Train, score once on the test rows, and write adapter, passport, card and plot."""
    task = request.task
    encoded = preview.encode(task, material.train.examples, engine.backbone)
    rows = preview.learnable(encoded, request.settings.max_bad_fraction)
    folder = request.output or store.new_run(_RUNS, task.name, "finetune")
    folder.mkdir(parents=True, exist_ok=True)
    _describe(request, engine, folder)
    lesson = lora.Lesson(
        task=task,
        rows=rows,
        validation=material.validation.examples,
        data_hash=material.train.digest,
    )
    with progress.training(console, f"fine-tuning {task.name}") as seen:
        lora.train(
            engine,
            lesson,
            request.settings,
            folder,
            start=request.start,
            device=request.device,
            resume=request.resume,
            report=seen,
        )
    progress.plot_log(folder / "log.jsonl", folder / "loss.png")
    found = _score(request, engine, folder / "adapter", material, console)
    passport = _passport(request, engine, material, found, folder / "adapter")
    results = _finish(request, engine, folder, passport, found)
    return Run(folder, passport, results)


def _describe(request: Request[Any], engine: Engine, folder: Path) -> None:
    about = {
        "task": request.task.name,
        "backbone": engine.backbone.name,
        "fingerprint": engine.backbone.fingerprint,
        "data": list(request.sources),
        "map": dict(request.columns_map),
        "limit": request.limit,
        "start": str(request.start or ""),
        **request.settings.model_dump(mode="json"),
    }
    store.write_text(folder / "config.yaml", yaml.safe_dump(about, sort_keys=False))


def _score(
    request: Request[In], engine: Engine, adapter: Path, material: Material[In], console: Console
) -> Evaluation[In]:
    """On the test rows, or else on those that picked the checkpoint; beside what it came from."""
    folders = {"before": request.start, "adapter": adapter}
    kept = {name: folder for name, folder in folders.items() if folder}
    for name, folder in kept.items():
        engine.adapters.load(name, folder)
    asked = [Contestant("base", "base", Application(request.task, engine))]
    asked += [Contestant(name, "adapter", Application(request.task, engine, name)) for name in kept]
    try:
        with progress.counting(console, f"scoring {request.task.name}") as told:
            return evaluation.evaluate(
                asked,
                material.test if material.test.by_row else material.validation,
                material.train.examples,
                name=", ".join(_short(source) for source in request.test or request.sources),
                seed=request.settings.seed,
                progress=told,
            )
    finally:
        for name in kept:
            engine.adapters.delete(name)


def _passport(
    request: Request[In],
    engine: Engine,
    material: Material[In],
    found: Evaluation[In],
    adapter: Path,
) -> Passport:
    best = found.best_baseline
    return Passport(
        task=request.task.name,
        backbone=engine.backbone.name,
        fingerprint=engine.backbone.fingerprint,
        tokenizer_hash=engine.backbone.tokenizer_hash,
        prompt_hash=request.task.prompt_hash,
        weights_hash=store.file_hash(adapter / WEIGHTS),
        code_version=store.code_version(),
        data_hash=material.train.digest,
        data=", ".join(_short(source) for source in request.sources),
        metrics=found.score.metrics,
        rows=found.score.rows,
        scored_on="test" if material.test.by_row else "validation",
        baseline=found.score_of(best).metrics if best else {},
        baseline_name=best.name if best else "",
        seed=request.settings.seed,
        versions=store.library_versions(),
        created=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
    )


def _short(source: str) -> str:
    """The last two names of a path: enough to know the data, nothing of the machine."""
    path = Path(source)
    return "/".join(path.parts[-2:]) if path.exists() else source


def _finish(
    request: Request[In], engine: Engine, folder: Path, passport: Passport, found: Evaluation[In]
) -> Results:
    """The report beside the adapter; its card, decision and passport within it."""
    results = build(
        found,
        commands=(request.command,) if request.command else (),
        seed=request.settings.seed,
        passport=passport,
        log=folder / "log.jsonl",
        device=str(engine.backbone.device),
    )
    adapter = folder / "adapter"
    render.write(results, folder / "report")
    write_decision(request.task, engine.backbone.tokenizer, adapter)
    store.write_text(adapter / "README.md", render.card(results))
    store.write_json(adapter / store.PASSPORT, passport.model_dump())
    return results
