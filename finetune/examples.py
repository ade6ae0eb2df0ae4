"""Located rows → checked examples of a task, with every row that was left out and why."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic

from pydantic import ValidationError

from core.errors import BadColumns, BadData, nearest
from core.task import Example, In, Row, Task
from finetune.data import Problem, read_rows

_SHOWN = 3


@dataclass(frozen=True, kw_only=True)
class Reading(Generic[In]):
    """What a source gave: examples by row, and the rows that gave none."""

    by_row: tuple[tuple[Example[In], ...], ...]
    problems: tuple[Problem, ...] = ()
    sources: tuple[str, ...] = ()
    """The source of each row of `by_row`, where more than one was read."""

    @property
    def examples(self) -> tuple[Example[In], ...]:
        """All examples, in the order of the rows."""
        return tuple(example for row in self.by_row for example in row)

    @property
    def origins(self) -> tuple[str, ...]:
        """The source of each example."""
        if not self.sources:
            return ("",) * len(self.examples)
        pairs = zip(self.sources, self.by_row, strict=True)
        return tuple(source for source, row in pairs for _ in row)

    @property
    def rows(self) -> int:
        """Rows read, good and bad."""
        return len(self.by_row) + len(self.problems)

    @property
    def digest(self) -> str:
        """16 hex digits over inputs and answers."""
        digest = hashlib.sha256()
        for example in self.examples:
            digest.update(f"{example.input.model_dump_json()}\0{example.answers!r}\1".encode())
        return digest.hexdigest()[:16]


def read_examples(
    task: Task[In],
    sources: Sequence[str],
    *,
    split: str = "train",
    columns_map: Mapping[str, str] | None = None,
    limit: int | None = None,
    tolerate: float = 0.01,
) -> Reading[In]:
    """The examples of several sources, the first `limit` rows of each.

    Raises `BadColumns` where a source lacks the task's columns, and `BadData` where more than the
    share `tolerate` of the rows gives nothing to learn.
    """
    good: list[tuple[Example[In], ...]] = []
    problems: list[Problem] = []
    for source in sources:
        renamed = _needed(task, source, split, columns_map)
        found = read_rows(source, split=split, columns_map=renamed, limit=limit)
        for number, row in enumerate(found):
            if isinstance(row, Problem):
                problems.append(row)
                continue
            if number == 0:
                _check_columns(task, row.row, row.place)
            examples = _examples(task, row.row, row.place)
            if isinstance(examples, Problem):
                problems.append(examples)
            else:
                good.append(examples)
    reading = Reading(by_row=tuple(good), problems=tuple(problems))
    _check_share(reading, tolerate)
    return reading


def hold_out(
    reading: Reading[In], task: Task[In], rows: int, *, seed: int
) -> tuple[Reading[In], Reading[In]]:
    """Training rows, and about `rows` for validation; rows about one text stay on one side."""
    groups: dict[str, list[tuple[Example[In], ...]]] = {}
    for row in reading.by_row:
        groups.setdefault(str(getattr(row[0].input, task.shorten)), []).append(row)
    order = sorted(groups)
    random.Random(seed).shuffle(order)
    held: list[tuple[Example[In], ...]] = []
    while order and len(held) < rows:
        held += groups.pop(order.pop())
    kept = tuple(row for group in groups.values() for row in group)
    return Reading(by_row=kept, problems=reading.problems), Reading(by_row=tuple(held))


def _needed(
    task: Task[Any], source: str, split: str, columns_map: Mapping[str, str] | None
) -> Mapping[str, str] | None:
    """The renaming, unless the source has the task's own columns only: sources may be mixed."""
    if not columns_map:
        return None
    first = next(read_rows(source, split=split, limit=1))
    if isinstance(first, Problem) or any(name in first.row for name in columns_map.values()):
        return columns_map
    return None if _known(task, first.row) else columns_map


def _check_columns(task: Task[Any], row: Row, place: str) -> None:
    if _known(task, row):
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


def _known(task: Task[Any], row: Row) -> bool:
    return any(all(name in row for name in names) for names in task.columns)


def _examples(task: Task[In], row: Row, place: str) -> tuple[Example[In], ...] | Problem:
    if not _known(task, row):
        return Problem(place, f"lacks columns: it has {', '.join(map(str, row)) or 'none'}")
    try:
        found = tuple(task.read(row))
    except BadData as error:
        return Problem(place, str(error))
    except ValidationError as error:
        return Problem(place, error.errors()[0]["msg"])
    return found or Problem(place, "holds nothing to learn")


def _check_share(reading: Reading[Any], tolerate: float) -> None:
    bad = len(reading.problems)
    if reading.by_row and bad <= tolerate * reading.rows:
        return
    shown = "; ".join(map(str, reading.problems[:_SHOWN]))
    more = f"; and {bad - _SHOWN} more" if bad > _SHOWN else ""
    raise BadData(
        f"{bad} of {reading.rows} rows cannot be used ({bad / max(reading.rows, 1):.1%}; "
        f"at most {tolerate:.0%} are left out): {shown}{more}"
    )
