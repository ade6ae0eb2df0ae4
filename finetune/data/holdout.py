"""Rows set aside from training: whole texts of every kind, the same ones for any order of rows."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

from core.errors import BadData
from core.task import Example, In, Task
from finetune.data.examples import Reading

_MOST = 3
"""At most one row in so many is set aside."""


def hold_out(
    reading: Reading[In], task: Task[In], rows: int, *, seed: int, by_row: bool = False
) -> tuple[Reading[In], Reading[In]]:
    """Training rows, and about `rows` for validation; rows about one text stay on one side.

    `by_row` parts the rows of one text where there is no other. Raises `BadData` where nothing
    could be set aside.
    """
    groups = set(_keys(reading, task))
    by_row = by_row and len(groups) < 2
    if len(groups) < 2 and not (by_row and len(reading.by_row) > 1):
        what = f"different {_plural(reading, task)}" if len(reading.by_row) > 1 else "rows"
        raise BadData(
            f"Too few {what} ({len(groups)}) to set rows aside for picking the checkpoint. "
            "Give more, a folder with train and validation files, or --test."
        )
    wanted = max(1, min(rows, len(reading.by_row) // _MOST))
    return divide(reading, task, wanted, seed=seed, by_row=by_row)


def divide(
    reading: Reading[In], task: Task[In], rows: int, *, seed: int, by_row: bool = False
) -> tuple[Reading[In], Reading[In]]:
    """The rest, and about `rows` rows drawn text by text, from each kind of input its share."""
    keys = _keys(reading, task)
    if by_row:
        keys = [f"{key}\0{row[0].input!r}" for key, row in zip(keys, reading.by_row, strict=True)]
    kinds = [_kind(row[0], task) for row in reading.by_row]
    taken: set[str] = set()
    for kind in sorted(set(kinds)):
        own = [key for key, other in zip(keys, kinds, strict=True) if other == kind]
        share = round(rows * len(own) / len(keys))
        taken |= _drawn(own, share or 1, seed, spare=len(set(kinds)) > 1 or by_row)
    places = range(len(keys))
    rest = [n for n in places if keys[n] not in taken]
    held = sorted((n for n in places if keys[n] in taken), key=lambda n: keys[n])
    return _only(reading, rest, problems=True), _only(reading, held)


def _plural(reading: Reading[Any], task: Task[Any]) -> str:
    return f"{task.shorten}s" if _text(reading.by_row[0][0], task) else "inputs"


def _keys(reading: Reading[In], task: Task[In]) -> list[str]:
    """What rows about one text share: the text, or without one the whole input."""
    return [_text(row[0], task) or row[0].input.model_dump_json() for row in reading.by_row]


def _text(example: Example[Any], task: Task[Any]) -> str:
    return str(getattr(example.input, task.shorten, "") or "")


def _kind(example: Example[Any], task: Task[Any]) -> str:
    """Questions about passages and conversations without one are two kinds."""
    return "text" if _text(example, task) else "none"


def _drawn(keys: list[str], rows: int, seed: int, *, spare: bool) -> set[str]:
    """Keys that together hold at least `rows` rows; `spare` never takes the last key."""
    order = sorted(set(keys))
    random.Random(seed).shuffle(order)
    counts = Counter(keys)
    taken: set[str] = set()
    held = 0
    while len(order) > spare and held < rows:
        key = order.pop()
        taken.add(key)
        held += counts[key]
    return taken


def _only(reading: Reading[In], places: list[int], *, problems: bool = False) -> Reading[In]:
    def those(values: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(values[n] for n in places) if values else ()

    return Reading(
        by_row=those(reading.by_row),
        sources=those(reading.sources),
        places=those(reading.places),
        problems=reading.problems if problems else (),
        notes=reading.notes if problems else (),
    )
