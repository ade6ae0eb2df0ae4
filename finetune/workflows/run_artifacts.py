"""What a run leaves beside its weights: a score, a report, a passport, a card."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from core import store
from core.adapters.configuration import configuration_hash
from core.adapters.decision import write_decision
from core.adapters.passport import PASSPORT, Passport, weights_hash
from core.adapters.registry import REPORT_ZH
from core.application import Application
from core.engine.engine import Engine
from core.task import In
from finetune.data.splits import short
from finetune.evaluation import ancestry, comparison, contamination
from finetune.evaluation.ancestry import Ancestry
from finetune.evaluation.comparison import Evaluation, System
from finetune.evaluation.training_sources import described
from finetune.report import predictions, render
from finetune.report.build import build
from finetune.report.results import Results
from finetune.workflows import progress

if TYPE_CHECKING:
    from rich.console import Console

    from finetune.data.training_data import Request, Splits


def finish(
    request: Request[In], engine: Engine, splits: Splits[In], folder: Path, console: Console
) -> tuple[Passport, Results]:
    """Score `folder/adapter` once, and write everything that stands beside it."""
    parent = ancestry.of(request.task, request.start)
    found = _score(request, engine, folder / "adapter", splits, parent, console)
    passport = _passport(request, engine, splits, found, parent, folder / "adapter")
    return passport, _write(request, engine, folder, passport, found)


def _score(
    request: Request[In],
    engine: Engine,
    adapter: Path,
    splits: Splits[In],
    parent: Ancestry[In],
    console: Console,
) -> Evaluation[In]:
    """On the test rows, or else on those that picked the checkpoint; beside what it came from."""
    folders = {"before": request.start, "adapter": adapter}
    kept = {name: folder for name, folder in folders.items() if folder}
    for name, folder in kept.items():
        engine.adapters.load(name, folder)
    asked = [System("base", "base", Application(request.task, engine))]
    asked += [System(name, "adapter", Application(request.task, engine, name)) for name in kept]
    try:
        with progress.counting(console, f"scoring {request.task.name}") as told:
            return comparison.evaluate(
                asked,
                splits.test if splits.test.by_row else splits.validation,
                (*parent.train, *splits.train.examples),
                name=", ".join(short(source) for source in request.test or request.sources),
                own=parent.known,
                seen=parent.extended(request.task, splits.train.examples),
                seed=request.settings.seed,
                progress=told,
            )
    finally:
        for name in kept:
            engine.adapters.delete(name)


def _passport(
    request: Request[In],
    engine: Engine,
    splits: Splits[In],
    found: Evaluation[In],
    parent: Ancestry[In],
    adapter: Path,
) -> Passport:
    best = found.best_baseline
    own = described(request.sources, request.columns_map, request.limit, splits.digest)
    rows = parent.extended(
        request.task,
        splits.train.examples,
        picked=splits.validation.examples,
        scored=splits.test.examples,
    )
    return Passport(
        task=request.task.name,
        backbone=engine.backbone.name,
        fingerprint=engine.backbone.fingerprint,
        tokenizer_hash=engine.backbone.tokenizer_hash,
        prompt_hash=request.task.prompt_hash,
        weights_hash=weights_hash(adapter),
        configuration_hash=configuration_hash(adapter),
        dtype=str(engine.backbone.model.dtype).removeprefix("torch."),
        code_version=store.code_version(),
        data_hash=splits.digest,
        data=", ".join(short(source) for source in request.sources),
        learned=(*parent.learned, own),
        ancestors_known=parent.recorded,
        training_rows_hash=contamination.write_rows(rows, adapter),
        metrics=found.score.metrics,
        rows=found.score.rows,
        scored_on="test" if splits.test.by_row else "validation",
        baseline=found.score_of(best).metrics if best else {},
        baseline_name=best.name if best else "",
        seed=request.settings.seed,
        versions=store.library_versions(),
        created=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
    ).sealed()


def _write(
    request: Request[In], engine: Engine, folder: Path, passport: Passport, found: Evaluation[In]
) -> Results:
    """The report beside the adapter; its card, decision and passport within it."""
    results = build(
        found,
        commands=(request.command,) if request.command else (),
        seed=request.settings.seed,
        passport=passport,
        adapter=folder / "adapter",
        device=engine.backbone.place,
        picked_checkpoint=passport.scored_on == "validation",
    )
    adapter = folder / "adapter"
    render.write(results, folder / "report")
    store.write_text(folder / "report" / REPORT_ZH, render.html(results, "zh"))
    predictions.write(found, folder / "report")
    write_decision(request.task, engine.backbone.tokenizer, adapter)
    store.write_text(adapter / "README.md", render.card(results))
    store.write_json(adapter / PASSPORT, passport.model_dump(mode="json"))
    return results
