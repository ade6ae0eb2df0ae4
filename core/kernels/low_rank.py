"""What an adapter adds to many tokens in bf16, where the processor multiplies bf16 (`registers.HERE`).

oneDNN takes 40 µs for each of its two products, whose arithmetic for 60 tokens is a fifth of that.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from core.kernels.compiling import compiled
from core.kernels.elements import half, wide
from core.kernels.halves import block_onto, pairs, some_rows
from core.kernels.registers import HERE, LANES, ROWS, WIDTH


def fits(runs: Any, width: int, out: int) -> bool:
    """Whether the sizes are such as registers hold; `runs` as in `add_runs`."""
    whole = width % (2 * LANES) == 0 and out % WIDTH == 0
    return HERE and whole and not ((runs[:, 3] - runs[:, 2]) % ROWS).any()


@compiled
def _pack(block: Any, second: Any, left: Any) -> None:
    """Pairs of ranks (ranks / 2, 64) of B (ranks, out), of the outputs from `left` on."""
    for k in range(len(block)):
        one, other = second[2 * k, left : left + WIDTH], second[2 * k + 1, left : left + WIDTH]
        for o in range(WIDTH):
            block[k, o] = numba.uint32(one[o]) | numba.uint32(other[o]) << numba.uint32(16)


@compiled
def _round_onto(y: Any, left: Any, more: Any) -> None:
    """Onto 64 outputs of y (tokens, out), the bits of bf16, numbers in fp32 (tokens, 64)."""
    for t in range(len(y)):
        some = y[t, left : left + WIDTH]
        for o in range(WIDTH):
            some[o] = half(wide(some[o]) + more[t, o])


@compiled
def _add_run(y: Any, x: Any, first: Any, second: Any) -> None:
    """Onto y (tokens, out) what A (ranks, in) and B (ranks, out) make of x (tokens, in)."""
    hidden = np.zeros((len(x), len(first)), np.float32)
    some_rows(hidden, x.view(np.uint32), first.view(np.uint32), 0, len(first))
    found, block = pairs(hidden), np.empty((len(first) // 2, WIDTH), np.uint32)
    more, sums = np.empty((len(x), WIDTH), np.float32), np.empty((6, WIDTH), np.float32)
    for left in range(0, y.shape[1], WIDTH):
        _pack(block, second, left)
        more[:] = 0
        block_onto(more, 0, found, block, sums)
        _round_onto(y, left, more)


@compiled
def add_runs(y: Any, x: Any, first: Any, second: Any, runs: Any) -> None:
    """Onto y (tokens, out), from x (tokens, in), by A (ranks, in) and B (ranks, out), all bits of bf16.

    Each of `runs` (runs, 4) is the first token and the one behind the last, then the same of ranks.
    """
    for run in range(len(runs)):
        start, end, low, high = runs[run, 0], runs[run, 1], runs[run, 2], runs[run, 3]
        if low < high:
            _add_run(y[start:end], x[start:end], first[low:high], second[low:high])
