"""Located rows → checked examples of a task, with every row that was left out and why."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic

from pydantic import ValidationError

from core.errors import BadData
from core.task import Example, In, Row, Skip, Task
from finetune.data import Layout, Problem, layout_of, read_rows
from finetune.data.columns import ask_for, check_columns, check_map, is_known, layout_for
from finetune.data.labelling import Labels

_SHOWN = 3


@dataclass(frozen=True, kw_only=True)
class Reading(Generic[In]):
    """What a source gave: examples by row, and the rows that gave none."""

    by_row: tuple[tuple[Example[In], ...], ...]
    problems: tuple[Problem, ...] = ()
    sources: tuple[str, ...] = ()
    """The source of each row of `by_row`, where more than one was read."""
    places: tuple[str, ...] = ()
    """Where each row of `by_row` stands."""
    notes: tuple[str, ...] = ()
    """What a person should know: encodings, separators, what was left out on purpose."""

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


@dataclass
class _Found(Generic[In]):
    """What the rows have given so far."""

    good: list[tuple[Example[In], ...]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    notes: dict[str, None] = field(default_factory=dict)
    skipped: Counter[str] = field(default_factory=Counter)

    def reading(self) -> Reading[In]:
        left = [f"left out, {reason}: {count}" for reason, count in self.skipped.items()]
        return Reading(
            by_row=tuple(self.good),
            problems=tuple(self.problems),
            places=tuple(self.places),
            notes=(*self.notes, *left),
        )


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
    layout = layout_of(columns_map)
    check_map(task, sources, split, layout)
    found: _Found[In] = _Found()
    for source in sources:
        _read(task, source, split, layout_for(task, source, split, layout), limit, found)
    reading = found.reading()
    _check_share(reading, tolerate, found.skipped)
    return reading


def _read(
    task: Task[In], source: str, split: str, layout: Layout, limit: int | None, found: _Found[In]
) -> None:
    labels = Labels(task, layout)
    rows = read_rows(
        source,
        split=split,
        columns_map=layout,
        limit=limit,
        pairs=ask_for(task, "en", "zh"),
        tell=lambda line: found.notes.setdefault(line),
    )
    for number, located in enumerate(rows):
        if isinstance(located, Problem):
            found.problems.append(located)
            continue
        if number == 0:
            check_columns(task, located.row, located.place)
        _take(found, _examples(task, labels, located.row, located.place), located.place)
    labels.check(source)


def _take(
    found: _Found[In], given: tuple[Example[In] | Skip[In], ...] | Problem, place: str
) -> None:
    if isinstance(given, Problem):
        found.problems.append(given)
        return
    found.skipped.update(one.reason for one in given if isinstance(one, Skip))
    if examples := tuple(one for one in given if isinstance(one, Example)):
        found.good.append(examples)
        found.places.append(place)


def _examples(
    task: Task[In], labels: Labels, row: Row, place: str
) -> tuple[Example[In] | Skip[In], ...] | Problem:
    if not is_known(task, row):
        return Problem(place, f"lacks columns: it has {', '.join(map(str, row)) or 'none'}")
    try:
        said = labels.said(row)
        found = (said,) if isinstance(said, Skip) else tuple(task.read(said))
    except BadData as error:
        return Problem(place, str(error))
    except ValidationError as error:
        return Problem(place, error.errors()[0]["msg"])
    return found or Problem(place, "holds nothing to learn")


def _check_share(reading: Reading[Any], tolerate: float, skipped: Counter[str]) -> None:
    bad = len(reading.problems)
    if reading.by_row and bad <= tolerate * reading.rows:
        return
    if not bad:
        left = ", ".join(f"{reason}: {count}" for reason, count in skipped.items())
        raise BadData(f"No row is left to learn from; left out, {left}.")
    shown = "; ".join(map(str, reading.problems[:_SHOWN]))
    more = f"; and {bad - _SHOWN} more" if bad > _SHOWN else ""
    limit = f"; at most {tolerate:.0%} are left out" if tolerate < 1 else ""
    raise BadData(
        f"{bad} of {reading.rows} rows cannot be used ({bad / max(reading.rows, 1):.1%}{limit}): "
        f"{shown}{more}"
    )
