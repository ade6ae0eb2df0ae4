"""Feedback as files: rows that `quintet finetune` learns from, or preferences for other trainers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from core import store
from core.errors import BadData, QuintetError
from core.feedback.entries import Entry, check, input_of, row_of
from core.task import Row, Task

Side = Literal["train", "test", "all"]


@dataclass(frozen=True, kw_only=True)
class Exported:
    """Rows to learn from, and how many entries gave none."""

    rows: tuple[Row, ...]
    wrong: int = 0
    """Entries whose completion is said to be wrong."""
    unusable: int = 0
    """Entries that fit the task no longer."""


def training_rows(task: Task[Any], entries: Iterable[Entry], *, side: Side = "all") -> Exported:
    """The right completions as rows of the task, one for each input: what was said last counts."""
    newest: dict[str, Entry] = {}
    chosen = _of(entries, side)
    right = [entry for entry in chosen if entry.label]
    for entry in sorted(right, key=lambda entry: entry.id):
        newest[json.dumps(entry.input, sort_keys=True)] = entry
    found = [row for entry in newest.values() if (row := _row(task, entry)) is not None]
    return Exported(
        rows=tuple(found), wrong=len(chosen) - len(right), unusable=len(newest) - len(found)
    )


def _row(task: Task[Any], entry: Entry) -> Row | None:
    asked = input_of(task, entry)
    if asked is None:
        return None
    try:
        check(task, asked, entry.completion)
    except QuintetError:
        return None
    return row_of(task, asked, entry.completion)


def preferences(entries: Iterable[Entry], *, side: Side = "all") -> list[Row]:
    """`prompt`, `completion`, `label` of the entries, as trainers of unpaired preferences read them."""
    return [
        {"prompt": one.prompt, "completion": one.completion, "label": one.label}
        for one in _of(entries, side)
    ]


def _of(entries: Iterable[Entry], side: Side) -> list[Entry]:
    return [entry for entry in entries if side == "all" or entry.held_out == (side == "test")]


def write(rows: Sequence[Row], path: Path) -> Path:
    """A JSON object a line; a file that is there stays."""
    if not rows:
        raise BadData("No feedback to write: nothing that was said to be right is left.")
    if path.exists():
        raise BadData(f"{path} is there already. Give another --output.")
    lines = (json.dumps(dict(row), ensure_ascii=False) for row in rows)
    store.write_text(path, "".join(f"{line}\n" for line in lines))
    return path
