"""The columns a task reads: under other names, through --map, or missing."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from core.errors import BadColumns, nearest
from core.task import Row, Task
from finetune.data import Layout, Problem, read_rows

_AHEAD = 50
"""Rows looked at to know the columns of a source."""


def ask_for(task: Task[Any], *names: str) -> bool:
    """Whether these are a whole set of the task's columns."""
    return any(set(names) == set(columns) for columns in task.columns)


def is_known(task: Task[Any], row: Row) -> bool:
    """Whether a row holds a whole set of the task's columns."""
    return any(all(name in row for name in names) for names in task.columns)


def check_columns(task: Task[Any], row: Row, place: str) -> None:
    """Raise `BadColumns` where a row lacks the task's columns."""
    if is_known(task, row):
        return
    found = [str(name) for name in row]
    missing = min(([c for c in names if c not in row] for names in task.columns), key=len)
    allowed = " or ".join("+".join(names) for names in task.columns)
    hint = nearest(missing[0], found)
    way = f" Rename with --map {missing[0]}=COLUMN."
    raise BadColumns(
        f"{place}: no column {missing[0]!r} among {', '.join(found)}.{hint} "
        f"{task.title} reads {allowed}.{way}"
    )


def check_map(task: Task[Any], sources: Sequence[str], split: str, layout: Layout) -> None:
    """Every column that is mapped must be one of the task's, and stand in one of the sources."""
    if not layout.columns:
        return
    ours = {*itertools.chain(*task.columns), *task.input.model_fields, *task.aliases}
    for name in layout.columns:
        if name not in ours:
            raise BadColumns(
                f"--map names {name!r}, which {task.title} does not read; "
                f"it reads {', '.join(sorted(ours))}.{nearest(name, ours)}"
            )
    found = {name: None for source in sources for name in columns_of(task, source, split, layout)}
    for theirs in layout.columns.values():
        if theirs not in found:
            raise BadColumns(
                f"{', '.join(sources)}: --map names column {theirs!r}, which is not among "
                f"{', '.join(found)}.{nearest(theirs, found)}"
            )


def layout_for(task: Task[Any], source: str, split: str, layout: Layout) -> Layout:
    """The layout of one source: renamed are those of its columns that the map names.

    Without them, columns that others call otherwise are found by the task's aliases.
    """
    if not layout.columns and not task.aliases:
        return layout
    found = columns_of(task, source, split, layout)
    given = {ours: theirs for ours, theirs in layout.columns.items() if theirs in found}
    return replace(layout, columns={**_called_otherwise(task, found, given), **given})


def columns_of(task: Task[Any], source: str, split: str, layout: Layout) -> list[str]:
    """The columns of the first rows of a source, in their order."""
    bare = replace(layout, columns={})
    pairs = ask_for(task, "en", "zh")
    rows = read_rows(source, split=split, columns_map=bare, limit=_AHEAD, pairs=pairs)
    names = (str(name) for row in rows if not isinstance(row, Problem) for name in row.row)
    return list(dict.fromkeys(names))


def _called_otherwise(
    task: Task[Any], found: Sequence[str], given: dict[str, str]
) -> dict[str, str]:
    """Aliases of the columns that one set of the task lacks, and of those that may be missing."""
    others = {_plain(name): name for name in reversed(found)}
    have = {*found, *given}

    def alias(ours: str) -> str | None:
        names = map(_plain, task.aliases.get(ours, ()))
        return next((others[name] for name in names if name in others), None)

    for columns in sorted(task.columns, key=lambda names: not have >= set(names)):
        lacking = [ours for ours in columns if ours not in have]
        if all(alias(ours) for ours in lacking):
            own = {*itertools.chain(*task.columns), *task.input.model_fields}
            optional = set(task.aliases) - own - have
            taken = {ours: alias(ours) for ours in (*lacking, *sorted(optional))}
            return {ours: theirs for ours, theirs in taken.items() if theirs}
    return {}


def _plain(name: str) -> str:
    return name.strip().casefold().replace("_", "-").replace(" ", "-")
