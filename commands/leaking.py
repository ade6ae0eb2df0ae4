"""The command that looks for rows which were seen before: data leak."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from commands.options import Json, all_tasks, dumped, the_task
from core.errors import BadData, BadSetting

if TYPE_CHECKING:
    from finetune.evaluation.contamination.search import Search

_SHOWN = 20
_WIDTH = 100


def leak_data(
    sources: Annotated[
        list[str] | None,
        typer.Argument(metavar="FILE|DIR…", help="Default: the bundled rows of all tasks."),
    ] = None,
    task: Annotated[str | None, typer.Option("--task", metavar="TASK")] = None,
    against: Annotated[
        list[str] | None,
        typer.Option("--against", metavar="FILE|DIR", help="More rows of the task to look in."),
    ] = None,
    pretraining: Annotated[
        list[str] | None,
        typer.Option("--pretraining", metavar="RECIPE.yaml|FILE|DIR", help="Documents to look in."),
    ] = None,
    threshold: Annotated[
        float, typer.Option(min=0.1, max=1.0, help="Jaccard from which texts are near.")
    ] = 0.8,
    as_json: Json = False,
) -> None:
    """Name rows to score that stand in what is learned; exit with 1 where there are any."""
    from finetune.evaluation.contamination import search as leak_search

    if task is None and (sources or against):
        raise BadSetting("These files need --task TASK, which says how their rows are read.")
    done = leak_search.search(
        _pairs(sources, task, against or [], alone=bool(pretraining)),
        leak_search.pretraining_texts(pretraining or [], all_tasks()),
        threshold=threshold,
    )
    if as_json:
        typer.echo(dumped(_described(done, threshold)))
    else:
        for line in _lines(done):
            typer.echo(line)
    raise typer.Exit(1 if any(one.found for one in done) else 0)


def _pairs(sources: list[str] | None, task: str | None, against: list[str], *, alone: bool) -> Any:
    import apps
    from finetune.evaluation.contamination import search as leak_search

    if task and sources:
        return leak_search.of_sources(the_task(task), sources, against, alone=alone)
    tasks = {task: the_task(task)} if task else all_tasks()
    bundled = {name: one for name, one in tasks.items() if task or _is_bundled(name)}
    return leak_search.of_samples(bundled, apps.samples)


def _is_bundled(task: str) -> bool:
    """Whether rows came with it; a task from a folder of one's own may have none."""
    import apps

    try:
        return apps.samples(task, "train").is_file() and apps.samples(task, "test").is_file()
    except BadData:
        return False


def _described(done: list[Search], threshold: float) -> dict[str, Any]:
    return {
        "threshold": threshold,
        "searches": [one.as_json() for one in done],
        "pairs": [pair for one in done for pair in one.pairs()],
    }


def _lines(done: list[Search]) -> list[str]:
    """A line a search, and the pairs that are most alike."""
    lines = [
        f"{one.side.name} in {one.source}: {len(one.side.asked):,} searched in {one.size:,}, "
        f"{one.exact:,} exact, {one.near:,} near"
        for one in done
    ]
    pairs = sorted((pair for one in done for pair in one.pairs()), key=lambda p: -p["similarity"])
    for pair in pairs[:_SHOWN]:
        lines += [
            f"{pair['similarity']:.3f} {pair['rows']}, example {pair['row'] + 1}, in {pair['source']}",
            f"      {_short(pair['text'])}",
            f"      {_short(pair['other'])}",
        ]
    if len(pairs) > _SHOWN:
        lines.append(f"and {len(pairs) - _SHOWN:,} more; all of them with --json")
    return lines


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _WIDTH else f"{line[: _WIDTH - 1]}…"
