"""The command that measures: evaluate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, NoReturn

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
    from core.backbone import Dtype
    from core.service import Service
    from finetune.report.results import Results
    from finetune.workflows.evaluating import Order

Against = Annotated[
    str | None,
    typer.Option(metavar="base,baselines,fp32,DIR,…", help="Default: base,baselines."),
]
Split = Annotated[str | None, typer.Option(help="Default: test, else validation.")]
Direction = Annotated[str, typer.Option(help="en-zh, zh-en or both.")]
Bare = Annotated[bool, typer.Option("--base", help="Judge the bare backbone.")]
_MATRIX_ROWS = 24
Matrix = Annotated[
    bool,
    typer.Option(
        "--matrix",
        help=f"The base and every adapter on {_MATRIX_ROWS} bundled rows of every task, or --limit.",
    ),
]
Pretraining = Annotated[
    list[str] | None,
    typer.Option(metavar="RECIPE.yaml|FILE|DIR", help="Text to look for leaks in as well."),
]
Language = Annotated[Literal["en", "zh"], typer.Option(help="Of the report.")]
Resamples = Annotated[int, typer.Option(min=100)]


def evaluate(
    task: Annotated[str | None, typer.Argument(metavar="TASK")] = None,
    data: Data = None,
    adapter: AdapterName = None,
    against: Against = None,
    column_map: ColumnMap = "",
    labels: Labels = "",
    encoding: Encoding = None,
    limit: Limit = None,
    split: Split = None,
    direction: Direction = "both",
    base: Bare = False,
    matrix: Matrix = False,
    pretraining: Pretraining = None,
    backbone: BackboneName = None,
    output: Output = None,
    language: Language = "en",
    seed: Seed = 0,
    resamples: Resamples = 1000,
    as_json: Json = False,
    device: Device = "auto",
    dtype: AnsweringDtype = "auto",
) -> None:
    """Score an adapter beside what costs nothing, with intervals and paired tests; report it."""
    wanted = Wanted(backbone, device, dtype, output, language, as_json)
    wanted.check()
    if matrix:
        _check_matrix(data, adapter, against, column_map, labels, split, base, pretraining)
        _matrix(task, limit or _MATRIX_ROWS, wanted)
    if task is None:
        raise BadSetting("Name a task to evaluate, or all of them with --matrix.")
    from finetune.workflows import evaluating

    order = evaluating.Order(
        task=the_task(task),
        sources=tuple(data or [bundled(task, "test")]),
        bundled=bundled_if_any(task, "train"),
        adapter=adapter,
        bare=base,
        against=wanted.beside(against),
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
    _score(order, wanted)


def _check_matrix(*given: object) -> None:
    if any(given):
        raise BadSetting(
            "--matrix asks the served adapters about bundled rows; of what says which rows and which "
            "adapter it takes TASK and --limit alone."
        )


class Wanted(NamedTuple):
    """On what the answers are made, and what is shown of them."""

    backbone: str | None
    device: str
    dtype: Dtype
    output: Path | None
    language: Literal["en", "zh"]
    as_json: bool

    @property
    def report(self) -> bool:
        """A machine that asks for the score alone does not wait for what it is held against."""
        return self.output is not None or not self.as_json

    def beside(self, against: str | None) -> tuple[str, ...]:
        """The systems that `against` names, or those of a report."""
        given = ("base,baselines" if self.report else "") if against is None else against
        return tuple(filter(None, given.split(",")))

    def check(self) -> None:
        """Raise `BadSetting` where the output cannot be written, before any work."""
        if self.report:
            check_writable(self.output or Path("runs"))

    def service(self) -> Service:
        """Opened; this loads the backbone."""
        return open_service(self.backbone, self.device, self.dtype)


def _score(order: Order, wanted: Wanted) -> None:
    from finetune.workflows import evaluating, progress

    reading = evaluating.read(order)  # before torch loads, so that bad rows are told at once
    if not order.bare and not order.adapter:
        served(order.task.name, wanted.backbone)
    for problem in reading.problems:
        console(stderr=True).print(printable(f"left out: {problem}"), markup=False)
    service = wanted.service()
    with progress.counting(console(stderr=True), f"scoring {order.task.name}") as told:
        found = evaluating.answers(service, order, reading, told)
    if wanted.as_json:
        typer.echo(dumped(found.score.as_json()))
    if wanted.report:
        results = evaluating.judged(service, order, found)
        folder = wanted.output or _folder(order.task.name)
        page = evaluating.write(found, results, folder, wanted.language)
        if not wanted.as_json:
            show(results, page)


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


def _matrix(task: str | None, rows: int, wanted: Wanted) -> NoReturn:
    from core import store
    from finetune.data.examples import read_examples
    from finetune.workflows import cross_task, progress

    check_writable(wanted.output or Path("runs"))  # its picture is always written
    service = wanted.service()
    names = [task] if task else list(service.tasks)
    examples = {
        name: read_examples(service.task(name), [bundled(name, "test")], limit=rows).examples
        for name in names
    }
    with progress.counting(console(stderr=True), "asking every adapter") as told:
        found = cross_task.measure(service, examples, progress=told)
    folder = wanted.output or _folder("matrix")
    cross_task.draw(found, folder / "matrix.png", service.tasks)
    store.write_json(folder / "matrix.json", found.as_json())
    if wanted.as_json:
        typer.echo(dumped(found.as_json()))
    else:
        console().print(cross_task.table(found))
        typer.echo(folder / "matrix.png")
    wrong = [*found.broken, *found.suspicions()]
    for line in wrong:
        typer.echo(printable(line), err=True)
    raise typer.Exit(1 if wrong else 0)
