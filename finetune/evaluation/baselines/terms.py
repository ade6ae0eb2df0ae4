"""What a text is counted by: the words of English, the characters of Chinese, and marks."""

from __future__ import annotations

import re
from collections.abc import Sequence

_HAN = r"\u3400-\u9fff\uf900-\ufaff"
_WORD = rf"[^\W{_HAN}]+"
_PIECE = re.compile(rf"[{_HAN}]|{_WORD}(?:['’]{_WORD})*|[^\w\s]")


def pieces(text: str) -> list[str]:
    """Words, single Han characters and single marks, in their order and without the spaces."""
    return _PIECE.findall(text)


def grams(parts: Sequence[str], longest: int, separator: str) -> list[str]:
    """Runs of one to `longest` neighbours, the single ones first."""
    found = list(parts)
    for size in range(2, longest + 1):
        shifted = (parts[start:] for start in range(size))
        found += map(separator.join, zip(*shifted, strict=False))
    return found
