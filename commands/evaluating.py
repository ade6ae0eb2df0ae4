"""The command that measures: evaluate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from commands.options import (
    AdapterName,
    AnsweringDtype,
    BackboneName,
    ColumnMap,
    Data,
    Device,
    Encoding,
    Json,
    Labels,
    Limit,
    Output,
    Seed,
    bundled,
    bundled_if_any,
    console,
    dumped,
    mapping,
    open_service,
    printable,
    served,
    the_task,
    typed,
)  # fmt: skip
from core.errors import BadSetting
from core.store import check_writable

if TYPE_CHECKING:
    from core.service import Service
    from finetune.data.examples import Reading
    from finetune.evaluation.comparison import Evaluation
    from finetune.report.results import Results
    from finetune.workflows.evaluating import Order

_MATRIX_ROWS = 24
Split = Annotated[str | None, typer.Option(help="Default: test, else validation.")]
Language = Literal["en", "zh"]


def evaluate(
    task: Annotated[str | None, typer.Argument(metavar="TASK")] = None,
    data: Data = None,
    adapter: AdapterName = None,
    against: Annotated[
        str | None,
        typer.Option(metavar="base,baselines,fp32,DIR,…", help="Default: base,baselines."),
    ] = None,
    column_map: ColumnMap = "",
    labels: Labels = "",
    encoding: Encoding = None,
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
    language: Annotated[Language, typer.Option(help="Of the report.")] = "en",
    seed: Seed = 0,
    resamples: Annotated[int, typer.Option(min=100)] = 1000,
    as_json: Json = False,
    device: Device = "auto",
    dtype: AnsweringDtype = "auto",
) -> None:
    """Score an adapter beside what costs nothing, with intervals and paired tests; report it."""
    if output:
        check_writable(output)
    if matrix:
        service = open_service(backbone, device, dtype)
        _matrix(service, task, output, limit or _MATRIX_ROWS, as_json)
        return
    if task is None:
        raise BadSetting("Name a task to evaluate, or all of them with --matrix.")
    from finetune.workflows import evaluating

    # A machine that asks for the score alone does not wait for what it is held against.
    others = "" if as_json and not output else "base,baselines"
    order = evaluating.Order(
        task=the_task(task),
        sources=tuple(data or [bundled(task, "test")]),
        bundled=bundled_if_any(task, "train"),
        adapter=adapter,
        bare=base,
        against=tuple(filter(None, (others if against is None else against).split(","))),
        backbone=backbone,
        layout=mapping(column_map, labels, encoding),
        limit=limit,
        split=split,
        direction=direction,
        pretraining=tuple(pretraining or ()),
        seed=seed,
        resamples=resamples,
        command=typed(),
    )
    reading = evaluating.read(order)  # before torch loads, so that bad rows are told at once
    if not base and not adapter:
        served(task, backbone)
    for problem in reading.problems:
        console(stderr=True).print(printable(f"left out: {problem}"), markup=False)
    service = open_service(backbone, device, dtype)
    found = _answers(service, order, reading)
    if as_json:
        typer.echo(dumped(found.score.as_json()))
    if output or not as_json:
        _report(service, order, found, output, language, quiet=as_json)


def _report(
    service: Service,
    order: Order,
    found: Evaluation[Any],
    output: Path | None,
    language: Language,
    *,
    quiet: bool,
) -> None:
    """Write it, and unless `quiet` show what it says."""
    from finetune.workflows import evaluating

    results = evaluating.judged(service, order, found)
    page = evaluating.write(found, results, output or _folder(order.task.name), language)
    if not quiet:
        show(results, page)


def _answers(service: Service, order: Order, reading: Reading[Any]) -> Evaluation[Any]:
    from finetune.workflows import evaluating, progress

    with progress.counting(console(stderr=True), f"scoring {order.task.name}") as told:
        return evaluating.answers(service, order, reading, told)


def _folder(task: str) -> Path:
    from core import store

    return store.new_run(Path("runs"), task, "evaluation")


def show(results: Results, report: Path) -> None:
    """For people: the table, the verdict, the path of the report."""
    from rich.markup import escape

    from finetune.report import score_table
    from finetune.report.sections import overview
    from finetune.report.sections.edition import Edition

    console().print(score_table.table(results))
    for name, signature in results.signatures.items():
        typer.echo(f"{name}: {signature}")
    banner, why = overview.warning(Edition(results, "en"))
    if banner:
        console().print(f"[bold red]{escape(banner)}[/]\n{escape(why)}")
    typer.echo(f"{results.verdict.sentence}\n{report}")


def _matrix(
    service: Service, task: str | None, output: Path | None, rows: int, as_json: bool
) -> None:
    from core import store
    from finetune.data.examples import read_examples
    from finetune.workflows import cross_task, progress

    names = [task] if task else list(service.tasks)
    examples = {
        name: read_examples(service.task(name), [bundled(name, "test")], limit=rows).examples
        for name in names
    }
    with progress.counting(console(stderr=True), "asking every adapter") as told:
        found = cross_task.measure(service, examples, progress=told)
    folder = output or _folder("matrix")
    cross_task.draw(found, folder / "matrix.png", service.tasks)
    store.write_json(folder / "matrix.json", found.as_json())
    if as_json:
        typer.echo(dumped(found.as_json()))
    else:
        console().print(cross_task.table(found))
        typer.echo(folder / "matrix.png")
    wrong = [*found.broken, *found.suspicions()]
    for line in wrong:
        typer.echo(printable(line), err=True)
    raise typer.Exit(1 if wrong else 0)
