"""The command that measures: evaluate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import typer

from commands.options import (
    AdapterName,
    BackboneName,
    ColumnMap,
    Data,
    Device,
    Encoding,
    Json,
    Labels,
    Limit,
    Output,
    bundled,
    bundled_if_any,
    console,
    dumped,
    mapping,
    open_service,
    served,
    the_task,
    typed,
)  # fmt: skip
from core.errors import BadSetting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.adapters.passport import Passport
    from core.service import Service
    from core.task import Example
    from finetune.data.examples import Reading
    from finetune.evaluation.comparison import Contestant, Evaluation
    from finetune.evaluation.contamination import TrainingRows
    from finetune.report.results import Results

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
    from finetune.data.splits import read_test, training_examples
    from finetune.evaluation.training_sources import own_training

    # Before torch loads: bad rows are told at once.
    found, sources = the_task(task), list(data or [bundled(task, "test")])
    columns = mapping(column_map, labels, encoding)
    reading = read_test(
        found, sources, columns_map=columns, limit=limit, direction=direction, split=split
    )
    # A machine that asks for the score alone does not wait for what it is held against.
    others = against if against is not None else "" if as_json and not output else "base,baselines"
    names = others.split(",")
    free = "baselines" in names
    from core.adapters.passport import read_passport

    folder = None if base else adapter or served(task, backbone)
    passport = None if folder is None else read_passport(folder)
    own = own_training(found, passport) if free else None
    learned_from = bundled_if_any(task, "train")
    other = training_examples(found, sources, learned_from, columns) if free and own is None else ()
    for problem in reading.problems:
        console(stderr=True).print(f"left out: {problem}", markup=False)
    service = open_service(backbone, device)
    contestants = _contestants(service, task, adapter, names, judge_base=base)
    seen = _seen(folder, passport) if folder and passport else None
    asked = Asked(reading, other if own is None else own, own is not None, seen, ", ".join(sources))
    result = _asked(contestants, asked, free, seed)
    if as_json:
        typer.echo(dumped(result.score.as_json()))
    if output or not as_json:
        results = _results(result, service, adapter, pretraining, seed, resamples, judge_base=base)
        _write(result, results, output, language, quiet=as_json)


class Asked(NamedTuple):
    """What is scored, and what everyone had learned before."""

    reading: Reading[Any]
    train: Sequence[Example[Any]]
    own: bool
    seen: TrainingRows | None
    name: str


def _seen(folder: Path, passport: Passport) -> TrainingRows | None:
    from finetune.evaluation.contamination import read_rows_of

    return read_rows_of(folder, passport.training_rows_hash)


def _asked(
    contestants: list[Contestant[Any]], asked: Asked, against_baselines: bool, seed: int
) -> Evaluation[Any]:
    from finetune.evaluation import comparison
    from finetune.workflows import progress

    title = f"scoring {contestants[-1].application.task.name}"
    with progress.counting(console(stderr=True), title) as told:
        return comparison.evaluate(
            contestants,
            asked.reading,
            asked.train,
            name=asked.name,
            against_baselines=against_baselines,
            own=asked.own,
            seen=asked.seen,
            seed=seed,
            progress=told,
        )


def _results(
    result: Evaluation[Any],
    service: Service,
    adapter: Path | None,
    pretraining: list[str] | None,
    seed: int,
    resamples: int,
    *,
    judge_base: bool,
) -> Results:
    from core.adapters.passport import read_passport
    from finetune.evaluation.contamination.search import pretraining_texts
    from finetune.report.build import build

    folder = None if judge_base else adapter or service.find(result.task.name)
    return build(
        result,
        commands=(typed(),),
        seed=seed,
        resamples=resamples,
        passport=read_passport(folder) if folder else None,
        adapter=folder,
        documents=pretraining_texts(pretraining or [], service.tasks),
        device=str(service.engine.backbone.device),
    )


def _write(
    found: Evaluation[Any], results: Results, output: Path | None, language: Any, *, quiet: bool
) -> None:
    from rich.markup import escape

    from core import store
    from finetune.report import predictions, render, score_table
    from finetune.report.sections import overview
    from finetune.report.sections.edition import Edition

    folder = output or store.new_run(Path("runs"), results.task, "evaluation")
    page = render.write(results, folder, language)
    predictions.write(found, folder)
    if quiet:
        return
    console().print(score_table.table(results))
    for name, signature in results.signatures.items():
        typer.echo(f"{name}: {signature}")
    banner, why = overview.warning(Edition(results, "en"))
    if banner:
        console().print(f"[bold red]{escape(banner)}[/]\n{escape(why)}")
    typer.echo(f"{results.verdict.sentence}\n{page}")


def _contestants(
    service: Service, task: str, adapter: Path | None, others: list[str], *, judge_base: bool
) -> list[Contestant[Any]]:
    """The subject comes last."""
    from finetune.evaluation.comparison import Contestant

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
    from finetune.data.examples import read_examples
    from finetune.workflows import cross_task, progress

    names = [task] if task else list(service.tasks)
    examples = {
        name: read_examples(service.task(name), [bundled(name, "test")], limit=rows).examples
        for name in names
    }
    with progress.counting(console(stderr=True), "asking every adapter") as told:
        found = cross_task.measure(service, examples, progress=told)
    folder = output or store.new_run(Path("runs"), "matrix", "evaluation")
    cross_task.draw(found, folder / "matrix.png", service.tasks)
    store.write_json(folder / "matrix.json", found.as_json())
    if as_json:
        typer.echo(dumped(found.as_json()))
    else:
        console().print(cross_task.table(found))
        typer.echo(folder / "matrix.png")
    for line in found.suspicions():
        typer.echo(line, err=True)
    raise typer.Exit(1 if found.suspicions() else 0)
