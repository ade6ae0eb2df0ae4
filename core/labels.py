"""What the cells of a row mean: its label by name or index, its texts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from core.errors import BadData, nearest
from core.task import Row

_NO_AND_YES = (
    ("false", "no", "n", "f", "否", "不是", "错"),
    ("true", "yes", "y", "t", "是", "对"),
)
"""What names the first and the second of two labels."""
_CLASS = re.compile(r"(?:label|class)[_ -]?(\d{1,8})", re.IGNORECASE)
_NUMBER = re.compile(r"(\d{1,8})(?:\.0+)?")


def label_of(
    value: Any, labels: tuple[str, ...], also: Mapping[str, tuple[str, ...]] | None = None
) -> str:
    """The label that a cell names: its name in any case, another of its names, or its index.

    `also` holds for each label what others call it; of two labels, "no" and "yes" name the first
    and the second.
    """
    named = " ".join(str(value).split())
    known = {name: label for label in labels for name in _names(label, labels, also or {})}
    if isinstance(value, str) and _plain(named) in known:
        return known[_plain(named)]
    index = _index(value)
    if index is not None and 0 <= index < len(labels):
        return labels[index]
    allowed = ", ".join(f"{label} or {index}" for index, label in enumerate(labels))
    raise BadData(
        f"Unknown label {named[:80]!r}; allowed: {allowed}.{nearest(named, labels)} "
        f"Or say what it is: --labels '{named[:20]}={labels[-1]} …=skip'"
    )


def _names(
    label: str, labels: tuple[str, ...], also: Mapping[str, tuple[str, ...]]
) -> Iterator[str]:
    yield _plain(label)
    yield from map(_plain, also.get(label, ()))
    if len(labels) == 2:
        yield from _NO_AND_YES[labels.index(label)]


def _plain(name: str) -> str:
    return name.casefold().replace("_", " ").replace("-", " ")


def _index(value: Any) -> int | None:
    if isinstance(value, int):  # bool as well: `is_spam: true` is the second label
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str):
        text = value.strip()
        found = _NUMBER.fullmatch(text) or _CLASS.fullmatch(text)
        return int(found[1]) if found else None
    return None


def text_of(row: Row, column: str) -> str:
    """The text in a column; `BadData` where there is none or it is blank."""
    value = row.get(column)
    if not isinstance(value, str):
        raise BadData(f"Column {column!r} holds {type(value).__name__}, not a text.")
    if not value.strip():
        raise BadData(f"Column {column!r} is empty.")
    return value
