"""What every system of `quintet bench serve` does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import torch

from core.engine.sequences import Request

Precision = Literal["fp32", "bf16"]
"""Of the weights that every system multiplies with."""
DTYPES: Mapping[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True, kw_only=True)
class Answered:
    """What a system said: the ids of each request, or the place of the likeliest mark."""

    ids: list[tuple[int, ...]]
    tokens: int
    """Computed, end-of-text included; a closed answer is one."""


class System(Protocol):
    """Answers requests with its own backbone and adapters."""

    def answer(self, requests: Sequence[Request]) -> Answered: ...


class Maker(Protocol):
    """Opens a system on the backbone in a folder, with adapters by their names."""

    def __call__(
        self, folder: str, adapters: Mapping[str, Path], precision: Precision
    ) -> System: ...


def until(ids: Sequence[int], end: int) -> tuple[tuple[int, ...], int]:
    """What stands before end-of-text, and how many tokens were computed."""
    if end not in ids:
        return tuple(ids), len(ids)
    return tuple(ids[: ids.index(end)]), ids.index(end) + 1
