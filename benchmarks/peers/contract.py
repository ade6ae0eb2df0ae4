"""What every system of `quintet bench serve` does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from core.engine.sequences import Request


@dataclass(frozen=True, kw_only=True)
class Answered:
    """What a system said: the ids of each request, or the place of the likeliest mark."""

    ids: list[tuple[int, ...]]
    tokens: int
    """Computed, end-of-text included; a closed answer is one."""


class System(Protocol):
    """Answers requests with its own backbone and adapters."""

    def answer(self, requests: Sequence[Request]) -> Answered: ...


def until(ids: Sequence[int], end: int) -> tuple[tuple[int, ...], int]:
    """What stands before end-of-text, and how many tokens were computed."""
    if end not in ids:
        return tuple(ids), len(ids)
    return tuple(ids[: ids.index(end)]), ids.index(end) + 1
