"""One GPT, five skills. In Python: `quintet.load("sentiment")("What a warm film!").text`

Importing this loads nothing; torch comes with the first call that needs it. The command is `quintet`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quintet import packages

if TYPE_CHECKING:
    from core.application import Application
    from core.backbone import Dtype
    from core.engine.engine import Engine
    from core.service import Service
    from finetune.data.training_data import Request, Splits
    from finetune.report.results import Results
    from finetune.workflows.finetuning import Run

    Sources = str | Path | Sequence[str | Path]

__all__ = ["evaluate", "finetune", "load", "serve"]


def load(
    task: str,
    *,
    adapter: str | Path | None = None,
    backbone: str | Path | None = None,
    device: str = "auto",
    dtype: Dtype = "auto",
) -> Application[Any]:
    """The application of a task: call it with a text, or fields by name, and get a `Prediction`.

    `task` may name a version, as 'spam@2'; `adapter` is a folder, else the one that is served answers.
    Applications on one backbone share it.
    """
    service = _service(_text(backbone), device, dtype)
    return service.application(task, Path(adapter) if adapter else None)


def serve(
    *tasks: str,
    backbone: str | Path | None = None,
    host: str = "127.0.0.1",
    port: int | None = None,
    open_browser: bool = False,
    auth: tuple[str, str] | None = None,
    device: str = "auto",
    dtype: Dtype = "auto",
) -> None:
    """Open the pages, all or those of these tasks, until Ctrl-C; another host than loopback needs `auth`."""
    from commands.naming import naming
    from demos import pages, server

    server.login(host, ":".join(auth) if auth else None)
    service = _service(_text(backbone), device, dtype)
    built = pages.build(service, tasks or list(service.tasks), naming=naming())
    pages.launch(built, port=port, host=host, open_browser=open_browser, auth=auth)


def finetune(
    task: str,
    data: Sources | None = None,
    *,
    test: Sources | None = None,
    columns: Mapping[str, str] | None = None,
    labels: Mapping[str, str | None] | None = None,
    encoding: str | None = None,
    limit: int | None = None,
    backbone: str | Path | None = None,
    output: str | Path | None = None,
    from_base: bool = False,
    resume: bool = False,
    install: bool = False,
    device: str = "auto",
    dtype: Dtype = "auto",
    **settings: Any,
) -> Run:
    """Fine-tune an adapter, score it once, and leave a run: `folder`, `passport`, `results`.

    `data` are files, folders or hub ids (default: the bundled rows), `columns` names of ours → theirs,
    `labels` what is written → our label, or None to leave the row out. `settings` are keys as on the
    command line: `learning_rate=3e-4, lora={"r": 16}`.
    """
    packages.come_first()
    import apps
    from finetune.data import Layout
    from finetune.data.training_data import Request, gather, run_folder
    from finetune.settings import FinetuneSettings, read

    own = () if data else (str(apps.samples(task, "test")),)
    request = Request(
        task=apps.load(task),
        sources=_texts(data or apps.samples(task, "train")),
        test=_texts(test) if test else own,
        columns_map=Layout(columns=columns or {}, labels=labels or {}, encoding=encoding),
        limit=limit,
        settings=read(FinetuneSettings, None, settings),
        output=run_folder(task, Path(output) if output else None, resume=resume),
        resume=resume,
        device=device,
    )
    splits = gather(request)  # before torch loads: bad rows are told at once
    from core import opening

    engine = opening.open_engine(_text(backbone), device=device, dtype=dtype)
    return _learn(request, splits, engine, from_base=from_base, install=install)


def _learn(
    request: Request[Any], splits: Splits[Any], engine: Engine, *, from_base: bool, install: bool
) -> Run:
    from rich.console import Console

    from core.adapters import registry
    from finetune.workflows import finetuning

    if not from_base:
        start = finetuning.warm_start(request.task, engine, request.settings)
        request = replace(request, start=start)
    run = finetuning.finetune(request, engine, splits, Console(quiet=True))
    if install:
        registry.install(run.folder)  # services that are open serve it from now on
    return run


def evaluate(
    task: str,
    data: Sources | None = None,
    *,
    adapter: str | Path | None = None,
    against: Sequence[str] = ("base", "baselines"),
    columns: Mapping[str, str] | None = None,
    labels: Mapping[str, str | None] | None = None,
    encoding: str | None = None,
    limit: int | None = None,
    split: str | None = None,
    direction: str = "both",
    backbone: str | Path | None = None,
    output: str | Path | None = None,
    seed: int = 0,
    resamples: int = 1000,
    device: str = "auto",
    dtype: Dtype = "auto",
) -> Results:
    """Score an adapter beside what costs nothing, with intervals and paired tests.

    The results hold what a report draws, their `verdict` first; it is written where `output` names a
    folder.
    """
    packages.come_first()
    import apps
    from finetune.data import Layout
    from finetune.workflows import evaluating

    order = evaluating.Order(
        task=apps.load(task),
        sources=_texts(data or apps.samples(task, "test")),
        bundled=_text(apps.samples_if_any(task, "train")),
        adapter=Path(adapter) if adapter else None,
        against=tuple(against),
        backbone=_text(backbone),
        layout=Layout(columns=columns or {}, labels=labels or {}, encoding=encoding),
        limit=limit,
        split=split,
        direction=direction,
        seed=seed,
        resamples=resamples,
    )
    reading = evaluating.read(order)
    service = _service(_text(backbone), device, dtype)
    found = evaluating.answers(service, order, reading)
    results = evaluating.judged(service, order, found)
    if output:
        evaluating.write(found, results, Path(output))
    return results


def main() -> None:
    """The command `quintet`."""
    packages.leave_working_folder()
    packages.come_first()
    from commands import table

    table.main()


@lru_cache(maxsize=2)
def _service(backbone: str | None, device: str, dtype: Dtype) -> Service:
    """Kept, so that applications share a backbone; two at most are in memory."""
    packages.come_first()
    import apps
    from core import opening

    tasks = {name: apps.load(name) for name in apps.names()}
    return opening.open_service(tasks, backbone, device=device, dtype=dtype)


def _text(path: str | Path | None) -> str | None:
    return None if path is None else str(path)


def _texts(sources: Sources) -> tuple[str, ...]:
    several = [sources] if isinstance(sources, str | Path) else sources
    return tuple(str(one) for one in several)
