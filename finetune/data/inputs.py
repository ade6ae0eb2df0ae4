"""A file of rows → what is asked of an application, every row checked before the first is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from core.application import Application
from core.errors import BadColumns, BadData, BadInput, nearest
from core.task import Input, Row, Task
from finetune.data import Problem, layout_of, read_rows, renamed
from finetune.data.columns import check_map, is_known, layout_for
from finetune.data.reading.rows import Located

_SHOWN = 3


@dataclass
class Asked:
    """Rows as they stand in the file, what each asks, and why the others ask nothing."""

    rows: list[Row] = field(default_factory=list)
    inputs: list[Input | None] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """For each row; empty where it can be asked."""

    def add(self, row: Row, found: Input | None, problem: str = "") -> None:
        """One more row."""
        self.rows.append(row)
        self.inputs.append(found)
        self.problems.append(problem)


def read_asked(
    application: Application[Any],
    source: Path,
    *,
    columns_map: Mapping[str, str] | None = None,
    limit: int | None = None,
    max_new_tokens: int | None = None,
    skip_bad: bool = False,
) -> Asked:
    """All rows of a file; raises `BadColumns` or `BadData` for those that ask nothing.

    With `skip_bad` such rows are kept, with the reason.
    """
    asked = Asked()
    for row in each_asked(
        application, source, columns_map=columns_map, limit=limit, max_new_tokens=max_new_tokens
    ):
        asked.add(*row)
    if not skip_bad or not any(asked.inputs):
        _refuse(asked)
    return asked


def each_asked(
    application: Application[Any],
    source: Path,
    *,
    columns_map: Mapping[str, str] | None = None,
    limit: int | None = None,
    max_new_tokens: int | None = None,
) -> Iterator[tuple[Row, Input | None, str]]:
    """Row by row as the file is read: what stands there, what it asks, or why it asks nothing."""
    task, layout = application.task, layout_of(columns_map)
    check_map(task, [str(source)], "train", layout)
    columns = layout_for(task, str(source), "train", layout).columns
    bare = type(layout)(encoding=layout.encoding)
    first = True
    for located in read_rows(str(source), columns_map=bare, limit=limit):
        if isinstance(located, Problem):
            yield {}, None, str(located)
            continue
        ours = renamed(located, columns)
        found: Input | Problem = (
            ours
            if isinstance(ours, Problem)
            else _checked(application, ours, max_new_tokens, first=first)
        )
        first = False
        if isinstance(found, Problem):
            yield located.row, None, str(found)
        else:
            yield located.row, found, ""


def _refuse(asked: Asked) -> None:
    bad = [problem for problem in asked.problems if problem]
    if bad:
        more = f"; and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
        raise BadData(
            f"{len(bad)} of {len(asked.rows)} rows cannot be answered: {'; '.join(bad[:_SHOWN])}"
            f"{more}. Mend them, or leave their answers empty with --skip-bad."
        )


def _checked(
    application: Application[Any],
    located: Located,
    max_new_tokens: int | None,
    *,
    first: bool,
) -> Input | Problem:
    """What the row asks, once it is known that the application will take it."""
    try:
        found = input_of(application.task, located.row, located.place)
        application.dropped(found, max_new_tokens=max_new_tokens)
    except ValidationError as error:
        wrong = error.errors()[0]
        return Problem(located.place, f"{wrong['loc'][0]!r}: {wrong['msg']}")
    except BadColumns as error:
        if first:
            raise
        return Problem(located.place, str(error).removeprefix(f"{located.place}: ").rstrip("."))
    except (BadData, BadInput) as error:
        return Problem(located.place, str(error).rstrip("."))
    return found


def input_of(task: Task[Any], row: Row, place: str) -> Input:
    """From the fields of the input by name; what only a gold row tells is read as in training."""
    fields = task.input.model_fields
    given = {name: cell for name in fields if (cell := _cell(task, name, row)) is not None}
    missing = [name for name, about in fields.items() if about.is_required() and name not in given]
    gold = is_known(task, row)
    if gold and (missing or not given):
        return _read(task, row)
    if missing or not given:
        raise BadColumns(_no_column(next(iter(missing or fields)), row, place))
    named: Input = task.input.model_validate(given)
    return _fuller(task, row, named) if gold else named


def _cell(task: Task[Any], name: str, row: Row) -> Any:
    """Under the field's name or what others call it."""
    names = (name, *task.aliases.get(name, ()))
    return next((row[one] for one in names if row.get(one) is not None), None)


def _read(task: Task[Any], row: Row) -> Input:
    for found in task.read(row):
        if isinstance(found.input, Input):
            return found.input
    raise BadData("holds nothing to ask")


def _fuller(task: Task[Any], row: Row, named: Input) -> Input:
    """The gold reading where it fills a field that the columns do not name, such as a passage."""
    try:
        read = _read(task, row)
    except BadData:  # an unlabelled row can be asked all the same
        return named
    unnamed = set(task.input.model_fields) - named.model_fields_set
    return read if any(getattr(read, n) != getattr(named, n) for n in unnamed) else named


def _no_column(name: str, row: Row, place: str) -> str:
    found = [str(column) for column in row]
    return (
        f"{place}: no column {name!r} among {', '.join(found)}.{nearest(name, found)} "
        f"Rename with --map {name}=COLUMN."
    )
