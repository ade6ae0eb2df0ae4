"""A row and where it stands, or why it cannot be used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.task import Row

LONGEST_ROW = 500_000
"""Bytes of a row; more is a file in the wrong format, not a text to learn from."""


@dataclass(frozen=True)
class Located:
    """A row and where it stands."""

    row: Row
    place: str


@dataclass(frozen=True)
class Problem:
    """A row that cannot be used: where it stands, and why."""

    place: str
    reason: str

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"


def as_row(value: Any, place: str) -> Located | Problem:
    """The value as a row, where it is one."""
    if not isinstance(value, Mapping):
        return Problem(place, f"a {type(value).__name__} where a row of columns is expected")
    return sized(dict(value), place)


def sized(row: dict[str, Any], place: str) -> Located | Problem:
    """The row, unless it is too long or no valid Unicode."""
    try:
        size = sum(len(cell.encode()) for cell in row.values() if isinstance(cell, str))
    except UnicodeEncodeError:  # "\ud800" in JSON
        return Problem(place, "a text that is no valid Unicode: half of a surrogate pair")
    return Problem(place, too_long(size)) if size > LONGEST_ROW else Located(row, place)


def too_long(size: int) -> str:
    """Why a row of so many bytes is left out."""
    return f"a row of {size:,} bytes; at most {LONGEST_ROW:,} are read"
