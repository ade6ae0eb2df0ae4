"""Nested files as rows: an article of SQuAD, DRCD or CMRC holds passages, these hold questions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_LEVELS = ("paragraphs", "qas")


def unfolded(value: Any) -> Iterator[Any]:
    """The innermost objects, each with what its parents say; a flat row is itself."""
    if isinstance(value, dict):
        for level in _LEVELS:
            if isinstance(children := value.get(level), list):
                about = {name: cell for name, cell in value.items() if name not in _LEVELS}
                for child in children:
                    yield from unfolded({**about, **child} if isinstance(child, dict) else child)
                return
    yield value
