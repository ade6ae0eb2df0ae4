"""What adapters in bf16 add to many tokens, where the processor multiplies bf16 (`registers.MULTIPLIES_HALVES`).

oneDNN takes 40 µs for each of its two products, whose arithmetic for 60 tokens is a fifth of that.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba import types
from numba.extending import overload

from core.kernels.compiling import compiled
from core.kernels.elements import keep, wide
from core.kernels.halves import block_onto, pairs, some_rows
from core.kernels.registers import LANES, MULTIPLIES_HALVES, ROWS, SIX, WIDTH


def fits(runs: Any, width: int, out: int) -> bool:
    """Whether the sizes are such as registers hold; `runs` as in `add_runs`."""
    whole = width % (2 * LANES) == 0 and out % WIDTH == 0
    return MULTIPLIES_HALVES and whole and not ((runs[:, 3] - runs[:, 2]) % ROWS).any()


@compiled
def _pack(block: Any, second: Any, left: Any) -> None:
    """Pairs of ranks (ranks / 2, 64) of B (ranks, out), of the outputs from `left` on."""
    for k in range(len(block)):
        one, other = second[2 * k, left : left + WIDTH], second[2 * k + 1, left : left + WIDTH]
        for o in range(WIDTH):
            block[k, o] = numba.uint32(one[o]) | numba.uint32(other[o]) << numba.uint32(16)


@compiled
def _round_onto(y: Any, left: Any, more: Any) -> None:
    """Onto 64 outputs of y (tokens, out), in fp32 or the bits of bf16, numbers in fp32 (tokens, 64)."""
    for t in range(len(y)):
        some = y[t, left : left + WIDTH]
        for o in range(WIDTH):
            more[t, o] += wide(some[o])
        keep(some, more[t])


def _pairs(x: Any) -> Any:
    """Of numbers in fp32 or the bits of bf16."""


@overload(_pairs)
def _pairs_of(x: Any) -> Any:
    def rounded(x: Any) -> Any:
        return pairs(x)

    def as_they_are(x: Any) -> Any:
        return x.view(np.uint32)

    return rounded if x.dtype == types.float32 else as_they_are


@compiled
def _add_run(y: Any, x: Any, first: Any, second: Any) -> None:
    """Onto y (tokens, out) what A (ranks, in) and B (ranks, out) make of x (tokens, in)."""
    hidden = np.zeros((len(x), len(first)), np.float32)
    some_rows(hidden, _pairs(x), first.view(np.uint32), 0, len(first))
    found, block = pairs(hidden), np.empty((len(first) // 2, WIDTH), np.uint32)
    more, sums = np.empty((len(x), WIDTH), np.float32), np.empty((SIX, WIDTH), np.float32)
    for left in range(0, y.shape[1], WIDTH):
        _pack(block, second, left)
        more[:] = 0
        block_onto(more, 0, found, block, sums)
        _round_onto(y, left, more)


@compiled
def add_runs(y: Any, x: Any, first: Any, second: Any, runs: Any) -> None:
    """Onto y (tokens, out), from x (tokens, in), by A (ranks, in) and B (ranks, out), which are bits of bf16.

    x and y are as well, or both in fp32.
    Each of `runs` (runs, 4) is the first token and the one behind the last, then the same of ranks.
    """
    for run in range(len(runs)):
        start, end, low, high = runs[run, 0], runs[run, 1], runs[run, 2], runs[run, 3]
        if low < high:
            _add_run(y[start:end], x[start:end], first[low:high], second[low:high])
