"""Commands about what people said of the answers: feedback list, export, delete."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from commands.options import Json, console, dumped, the_task

if TYPE_CHECKING:
    from core.feedback.entries import Entry

OneTask = Annotated[str | None, typer.Option("--task", metavar="TASK", help="Default: all.")]


def list_feedback(
    task: OneTask = None,
    search: Annotated[str, typer.Option(help="A text in the prompt or the completion.")] = "",
    right: Annotated[bool | None, typer.Option("--right/--wrong", help="Default: both.")] = None,
    limit: Annotated[int, typer.Option(min=1)] = 50,
    as_json: Json = False,
) -> None:
    """The newest rows: prompt, completion, and whether it was said to be right."""
    from core.feedback.database import Feedback, Query

    query = Query(task=_checked(task), text=search, label=right)
    store = Feedback()
    entries, count = store.entries(query, limit=limit), store.count(query)
    if as_json:
        typer.echo(dumped([asdict(entry) for entry in entries]))
        return
    from rich.markup import escape
    from rich.table import Table

    table = Table("id", "time", "task", "adapter", "right", "prompt", "completion")
    for one in entries:
        shown = (str(one.id), one.time, one.task, one.adapter, "yes" if one.label else "no")
        table.add_row(*map(escape, (*shown, _short(one.prompt), _short(one.completion))))
    console().print(table)
    typer.echo(f"{len(entries)} of {count} rows")


def export_feedback(
    task: Annotated[str, typer.Argument(metavar="TASK")],
    output: Annotated[Path, typer.Option("--output", metavar="FILE.jsonl")],
    side: Annotated[
        Literal["train", "test", "all"],
        typer.Option(help="test: the fifth of the inputs that 'adapters promote' decides on."),
    ] = "train",
    preferences: Annotated[
        bool, typer.Option("--preferences", help="prompt, completion, label, wrong ones too.")
    ] = False,
) -> None:
    """Write what was said to be right as rows for 'quintet finetune TASK --data FILE'."""
    from core.feedback import export
    from core.feedback.database import Feedback, Query

    found = the_task(task)
    entries = Feedback().entries(Query(task=task))
    if preferences:
        rows = export.preferences(entries, side=side)
        typer.echo(f"{export.write(rows, output)}: {len(rows)} rows")
        _tell_kept(entries, side)
        return
    made = export.training_rows(found, entries, side=side)
    typer.echo(f"{export.write(made.rows, output)}: {len(made.rows)} rows")
    if made.wrong or made.unusable:
        left = f"{made.wrong} said to be wrong, {made.unusable} that fit the task no longer"
        typer.echo(f"left out: {left}", err=True)
    _tell_kept(entries, side)


def _tell_kept(entries: Sequence[Entry], side: str) -> None:
    """Say how many entries were kept for the test of a candidate."""
    if side == "train" and (kept := sum(entry.held_out for entry in entries)):
        typer.echo(f"kept for 'adapters promote': {kept}", err=True)


def delete_feedback(
    numbers: Annotated[list[int] | None, typer.Argument(metavar="ID…")] = None,
    task: OneTask = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Every row, or every row of --task.")
    ] = False,
) -> None:
    """Remove rows by their numbers, or all of them."""
    from core.errors import BadSetting
    from core.feedback.database import Feedback, Query

    if bool(numbers) == everything:
        raise BadSetting("Give the numbers of rows (see 'quintet feedback list'), or --all.")
    store = Feedback()
    asked = numbers or [entry.id for entry in store.entries(Query(task=_checked(task)))]
    removed = store.delete(asked)
    if numbers and not removed:
        raise BadSetting(
            "None of these rows is there; 'quintet feedback list' shows their numbers."
        )
    typer.echo(f"removed {removed} rows")


def _checked(task: str | None) -> str:
    return the_task(task).name if task else ""


def _short(text: str, most: int = 60) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"
