"""The product of a few tokens with weights in bf16, where the processor multiplies it (`MULTIPLIES_HALVES`).

Of a weight that oneDNN has packed, the blocks (out / 64, in / 2, 64) hold for 64 outputs pairs of two inputs each.
The sums of six tokens stay in registers while a block is read from end to end; oneDNN itself takes twice as
long for up to eight tokens. A weight that lies as it was is read four rows at a time.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from core.kernels.compiling import compiled, shared
from core.kernels.elements import half
from core.kernels.products import soon
from core.kernels.registers import HALVES, LANES, ROWS, SIX, WIDTH, block_sums, row_sums

_SMALL = 2**14
"""Pairs of a weight for which a second thread takes longer to wake than it saves."""
_two, _six = block_sums(2, HALVES), block_sums(SIX, HALVES)
_one_by_rows, _four_by_rows = (row_sums(tokens) for tokens in (1, 4))


@compiled
def pairs(x: Any) -> Any:
    """x (tokens, in) in fp32 as two numbers in bf16 each, (tokens, in / 2); behind, room for 5 more."""
    found = np.zeros((len(x) + SIX - 1, x.shape[1] // 2), np.uint32)
    for t in range(len(x)):
        for k in range(found.shape[1]):
            found[t, k] = half(x[t, 2 * k]) | half(x[t, 2 * k + 1]) << numba.uint32(16)
    return found


@compiled
def block_onto(y: Any, left: Any, x: Any, block: Any, sums: Any) -> None:
    """Onto 64 outputs of y (tokens, out), from `left` on; `sums` (6, 64) is room for them."""
    for t in range(0, len(y), SIX):
        some = min(SIX, len(y) - t)
        if some > 2:  # reading a block takes longer than to multiply it with some zeros
            _six(sums, x[t : t + SIX], block)
        else:
            _two(sums, x[t : t + 2], block)
        for s in range(some):
            there = y[t + s, left : left + WIDTH]  # numba sees that these follow one another
            for o in range(WIDTH):
                there[o] += sums[s, o]


@compiled
def _some(y: Any, x: Any, weights: Any, start: Any, end: Any) -> None:
    """Onto y (tokens, out of all weights) the outputs of their blocks from `start` to `end`."""
    sums, before = np.empty((SIX, WIDTH), np.float32), 0
    for blocks in weights:
        for place in range(max(start - before, 0), min(end - before, len(blocks))):
            block_onto(y, (before + place) * WIDTH, x, blocks[place], sums)
        before += len(blocks)


@compiled
def _add_up(y: Any, sums: Any) -> None:
    """Onto y (tokens, 4) sums (tokens, 4, 16)."""
    for t in range(len(y)):
        for row in range(ROWS):
            found = numba.float32(0)
            for lane in range(LANES):
                found += sums[t, row, lane]
            y[t, row] += found


@compiled
def some_rows(y: Any, x: Any, weight: Any, start: Any, end: Any) -> None:
    """Onto y (tokens, out) the outputs from `start` to `end`, four by four, of a weight (out, in / 2)."""
    sums, fours = np.empty((4, ROWS, LANES), np.float32), len(y) - len(y) % 4
    for o in range(start, end, ROWS):
        rows = weight[o : o + ROWS]
        for row in range(o + ROWS, o + 2 * ROWS):
            soon(weight, row, 0, weight.shape[1])
        for t in range(0, fours, 4):
            _four_by_rows(sums, x[t : t + 4], rows)
            _add_up(y[t : t + 4, o : o + ROWS], sums)
        for t in range(fours, len(y)):
            _one_by_rows(sums, x[t : t + 1], rows)
            _add_up(y[t : t + 1, o : o + ROWS], sums)


@shared
def _shared(y: Any, x: Any, weights: Any, threads: Any) -> None:
    each = -(-y.shape[1] // WIDTH // threads)
    for part in numba.prange(threads):
        _some(y, x, weights, part * each, (part + 1) * each)


@shared
def _shared_rows(y: Any, x: Any, weight: Any, threads: Any) -> None:
    each = -(-len(weight) // ROWS // threads) * ROWS
    for part in numba.prange(threads):
        some_rows(y, x, weight, part * each, min(len(weight), (part + 1) * each))


@compiled
def add_blocks(y: Any, x: Any, weights: Any, threads: Any) -> None:
    """Onto y (tokens, out of all weights) the products of x (tokens, in), both fp32, with blocks of weights."""
    found = pairs(x)
    if threads == 1 or y.shape[1] * found.shape[1] < _SMALL:
        _some(y, found, weights, 0, y.shape[1] // WIDTH)
    else:
        _shared(y, found, weights, threads)


@compiled
def in_rows(weight: Any) -> Any:
    """Whether `add_rows` can read a weight (out, in)."""
    return weight.shape[0] % ROWS == 0 and weight.shape[1] % (2 * LANES) == 0


@compiled
def add_rows(y: Any, x: Any, weight: Any, threads: Any) -> None:
    """Onto y (tokens, out) the product of x (tokens, in), both fp32, and the bits of a weight (out, in)."""
    found, rows = pairs(x), weight.view(np.uint32)
    if threads == 1 or rows.size < _SMALL:
        some_rows(y, found, rows, 0, len(rows))
    else:
        _shared_rows(y, found, rows, threads)
