"""What the cells of a row mean: its label by name or index, its texts."""

from __future__ import annotations

from typing import Any

from core.errors import BadData, nearest
from core.task import Row


def label_of(value: Any, labels: tuple[str, ...]) -> str:
    """The label that a cell names: its name in any case, or its index as a number or digits."""
    named = str(value).strip()
    by_name = {label.casefold(): label for label in labels}
    if isinstance(value, str) and named.casefold() in by_name:
        return by_name[named.casefold()]
    index = _index(value)
    if index is not None and 0 <= index < len(labels):
        return labels[index]
    allowed = ", ".join(f"{label} or {index}" for index, label in enumerate(labels))
    raise BadData(f"Unknown label {named[:80]!r}; allowed: {allowed}.{nearest(named, labels)}")


def _index(value: Any) -> int | None:
    if isinstance(value, int):  # bool as well: `is_spam: true` is the second label
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and value.strip().isdecimal() and len(value) < 9:
        return int(value)
    return None


def text_of(row: Row, column: str) -> str:
    """The text in a column; `BadData` where there is none or it is blank."""
    value = row.get(column)
    if not isinstance(value, str):
        raise BadData(f"Column {column!r} holds {type(value).__name__}, not a text.")
    if not value.strip():
        raise BadData(f"Column {column!r} is empty.")
    return value
