"""Commands that measure: evaluate, calibrate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from commands.options import (
    AdapterName,
    BackboneName,
    ColumnMap,
    Data,
    Device,
    Json,
    Limit,
    Output,
    TaskName,
    bundled,
    console,
    dumped,
    mapping,
    open_service,
    the_task,
    typed,
)  # fmt: skip
from core.errors import BadSetting

if TYPE_CHECKING:
    from core.service import Service
    from finetune.evaluation import Contestant

_MATRIX_ROWS = 24
Split = Annotated[str | None, typer.Option(help="Default: test, else validation.")]
Seed = Annotated[int, typer.Option(help="Of the resampling.")]


def evaluate(
    task: Annotated[str | None, typer.Argument(metavar="TASK")] = None,
    data: Data = None,
    adapter: AdapterName = None,
    against: Annotated[
        str | None,
        typer.Option(metavar="base,baselines,DIR,…", help="Default: base,baselines."),
    ] = None,
    column_map: ColumnMap = "",
    limit: Limit = None,
    split: Split = None,
    direction: Annotated[str, typer.Option(help="en-zh, zh-en or both.")] = "both",
    base: Annotated[bool, typer.Option("--base", help="Judge the bare backbone.")] = False,
    matrix: Annotated[
        bool, typer.Option("--matrix", help="The base and every adapter on every task.")
    ] = False,
    pretraining: Annotated[
        list[str] | None,
        typer.Option(metavar="RECIPE.yaml|FILE|DIR", help="Text to look for leaks in as well."),
    ] = None,
    backbone: BackboneName = None,
    output: Output = None,
    language: Annotated[Literal["en", "zh"], typer.Option(help="Of the report.")] = "en",
    seed: Seed = 0,
    resamples: Annotated[int, typer.Option(min=100)] = 1000,
    as_json: Json = False,
    device: Device = "auto",
) -> None:
    """Score an adapter beside what costs nothing, with intervals and paired tests; report it."""
    if matrix:
        _matrix(open_service(backbone, device), task, output, limit or _MATRIX_ROWS, as_json)
        return
    if task is None:
        raise BadSetting("Name a task to evaluate, or all of them with --matrix.")
    from finetune.splits import read_test, training_examples

    # Before torch loads: bad rows are told at once.
    found, sources = the_task(task), list(data or [bundled(task, "test")])
    columns, screen = mapping(column_map), console(stderr=True)
    reading = read_test(
        found, sources, columns_map=columns, limit=limit, direction=direction, split=split
    )
    train = training_examples(found, sources, bundled(task, "train"), columns)
    for problem in reading.problems:
        screen.print(f"left out: {problem}", markup=False)
    from core import store
    from finetune import evaluation, progress, score_table
    from finetune.leaks.search import pretraining_texts
    from finetune.report import render
    from finetune.report.build import build

    service = open_service(backbone, device)
    # A machine that asks for the score alone does not wait for what it is held against.
    others = against if against is not None else "" if as_json and not output else "base,baselines"
    contestants = _contestants(service, task, adapter, others.split(","), judge_base=base)
    with progress.counting(screen, f"scoring {task}") as told:
        result = evaluation.evaluate(
            contestants,
            reading,
            train,
            name=", ".join(sources),
            against_baselines="baselines" in others.split(","),
            seed=seed,
            progress=told,
        )
    if as_json:
        typer.echo(dumped(result.score.as_json()))
        if not output:
            return
    folder = None if base else adapter or store.find_adapter(task)
    results = build(
        result,
        commands=(typed(),),
        seed=seed,
        resamples=resamples,
        passport=store.read_passport(folder) if folder else None,
        log=folder.parent / "log.jsonl" if folder else None,
        documents=pretraining_texts(pretraining or [], {task: found}),
        device=str(service.engine.backbone.device),
    )
    page = render.write(
        results, output or store.new_run(Path("runs"), task, "evaluation"), language
    )
    if as_json:
        return
    console().print(score_table.table(results))
    for name, signature in results.signatures.items():
        typer.echo(f"{name}: {signature}")
    if not results.verdict.better:
        typer.echo("NOT BETTER THAN BASELINE")
    typer.echo(f"{results.verdict.sentence}\n{page}")


def _contestants(
    service: Service, task: str, adapter: Path | None, others: list[str], *, judge_base: bool
) -> list[Contestant[Any]]:
    """The subject comes last."""
    from finetune.evaluation import Contestant

    found = []
    for name in (other for other in others if other not in ("", "baselines")):
        if name == "base":
            if not judge_base:
                found.append(Contestant("base", "base", service.bare(task)))
        elif Path(name).is_dir():
            found.append(Contestant(name, "adapter", service.application(task, Path(name))))
        else:
            raise BadSetting(
                f"--against names {name!r}; it takes base, baselines and folders of adapters."
            )
    if judge_base:
        return [*found, Contestant("base", "base", service.bare(task))]
    return [*found, Contestant("adapter", "adapter", service.application(task, adapter))]


def _matrix(
    service: Service, task: str | None, output: Path | None, rows: int, as_json: bool
) -> None:
    from core import store
    from finetune import matrix, progress
    from finetune.examples import read_examples

    names = [task] if task else list(service.tasks)
    examples = {
        name: read_examples(service.task(name), [bundled(name, "test")], limit=rows).examples
        for name in names
    }
    with progress.counting(console(stderr=True), "asking every adapter") as told:
        found = matrix.measure(service, examples, progress=told)
    folder = output or store.new_run(Path("runs"), "matrix", "evaluation")
    matrix.draw(found, folder / "matrix.png", service.tasks)
    store.write_json(folder / "matrix.json", found.as_json())
    if as_json:
        typer.echo(dumped(found.as_json()))
    else:
        console().print(matrix.table(found))
        typer.echo(folder / "matrix.png")
    for line in found.suspicions():
        typer.echo(line, err=True)
    raise typer.Exit(1 if found.suspicions() else 0)


def calibrate(
    task: TaskName,
    data: Data = None,
    adapter: AdapterName = None,
    max_false_positive_rate: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help="The share of other rows that may get the label."),
    ] = None,
    label: Annotated[str | None, typer.Option(help="Default: the task's last label.")] = None,
    abstain_below: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Give no answer less probable than this.")
    ] = 0.0,
    column_map: ColumnMap = "",
    limit: Limit = None,
    split: Annotated[str, typer.Option(help="Rows that are not scored elsewhere.")] = "validation",
    backbone: BackboneName = None,
    device: Device = "auto",
) -> None:
    """Fit temperature and threshold on validation rows; every caller of the adapter obeys them."""
    from finetune import data as rows
    from finetune.splits import read_test

    found, sources = the_task(task), list(data or [bundled(task, "train")])
    there = split if any(rows.has_split(source, split) for source in sources) else "train"
    reading = read_test(found, sources, columns_map=mapping(column_map), limit=limit, split=there)
    from core import store
    from finetune import calibrating, progress

    service = open_service(backbone, device)
    folder = adapter or store.find_adapter(task)
    with progress.counting(console(stderr=True), f"calibrating {task}") as told:
        kept = calibrating.calibrate(
            service,
            task,
            folder,
            reading.examples,
            label=label,
            max_false_positive_rate=max_false_positive_rate,
            abstain_below=abstain_below,
            progress=told,
        )
    point = store.read_passport(kept).operating_point
    typer.echo(f"{kept}: {point.model_dump_json() if point else ''}")
