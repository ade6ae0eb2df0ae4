"""The product of a few tokens with a weight in int8, the tokens in whole numbers as in `core.backbone.int8`."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from core.kernels.compiling import compiled, ordered, shared
from core.kernels.products import SMALL
from core.kernels.registers import SIX, WHOLE, WIDTH, block_sums

_MOST, _ZERO = np.float32(127), np.float32(128)
_two, _six = block_sums(2, WHOLE), block_sums(SIX, WHOLE)


@compiled
def _whole_dot(a: Any, row: Any) -> Any:
    p = numba.int32(0)
    for i in range(len(row)):
        product = numba.int32(numba.int32(a[i]) * numba.int32(row[i]))
        p = numba.int32(p + product)  # numba would go on in 64 bits
    return p


@compiled
def _some_whole(y: Any, x: Any, sizes: Any, weight: Any, scales: Any, start: Any, end: Any) -> None:
    """Onto y (tokens, out) the outputs from `start` to `end`."""
    for o in range(start, end):
        for t in range(len(x)):
            y[t, o] += numba.float32(_whole_dot(x[t], weight[o])) * scales[o] * sizes[t]


@ordered
def _largest(numbers: Any) -> Any:
    """The largest absolute value, which is not 0."""
    found = np.finfo(np.float32).tiny
    for number in numbers:
        found = max(found, abs(number))
    return found


@compiled
def _whole(x: Any, most: Any) -> Any:
    """Tokens in whole numbers from -most to most, and the largest absolute value of each."""
    found, sizes = np.empty(x.shape, np.int8), np.empty(len(x), np.float32)
    for t in range(len(x)):
        size = sizes[t] = _largest(x[t])
        for i in range(x.shape[1]):
            found[t, i] = np.rint(x[t, i] / size * most)
    return found, sizes


@shared
def _shared_whole(y: Any, x: Any, sizes: Any, weight: Any, scales: Any, threads: Any) -> None:
    each = -(-len(weight) // threads)
    for part in numba.prange(threads):
        end = min(len(weight), (part + 1) * each)
        _some_whole(y, x, sizes, weight, scales, part * each, end)


@compiled
def add_whole(y: Any, x: Any, weight: Any, scales: Any, most: Any, threads: Any) -> None:
    """Onto y (tokens, out) the product of x (tokens, in), both fp32, and a weight (out, in).

    Its rows are multiplied with `scales` (out,), tokens put into whole numbers up to `most`.
    """
    tokens, sizes = _whole(x, most)
    if threads == 1 or weight.size < SMALL:
        _some_whole(y, tokens, sizes, weight, scales, 0, len(weight))
    else:
        _shared_whole(y, tokens, sizes, weight, scales, threads)


@compiled
def _fours(x: Any) -> Any:
    """Tokens in whole numbers from 1 to 255, 128 for 0, four in one (uint32), and the size of each as in `_whole`.

    Behind them there is room for 5 more.
    """
    found, sizes = np.zeros((len(x) + SIX - 1, x.shape[1]), np.uint8), np.empty(len(x), np.float32)
    for t in range(len(x)):
        size = sizes[t] = _largest(x[t])
        for i in range(x.shape[1]):
            found[t, i] = np.rint(x[t, i] / size * _MOST) + _ZERO
    return found.view(np.uint32), sizes


@compiled
def _some_blocks(
    y: Any, x: Any, sizes: Any, weights: Any, around: Any, start: Any, end: Any
) -> None:
    """Onto y (tokens, out of all weights) the outputs of their blocks from `start` to `end`."""
    (scales, zeros), sums, before = around, np.empty((SIX, WIDTH), np.int32), 0
    for blocks in weights:
        for place in range(max(start - before, 0), min(end - before, len(blocks))):
            left = (before + place) * WIDTH
            scale, zero = scales[left : left + WIDTH], zeros[left : left + WIDTH]
            for t in range(0, len(y), SIX):
                some = min(SIX, len(y) - t)
                if some > 2:
                    _six(sums, x[t : t + SIX], blocks[place])
                else:
                    _two(sums, x[t : t + 2], blocks[place])
                for s in range(some):
                    there, size = y[t + s, left : left + WIDTH], sizes[t + s]
                    for o in range(WIDTH):
                        found = numba.float32(numba.int32(sums[s, o] - zero[o]))
                        there[o] += found * scale[o] * size
        before += len(blocks)


@shared
def _shared_blocks(y: Any, x: Any, sizes: Any, weights: Any, around: Any, threads: Any) -> None:
    each = -(-y.shape[1] // WIDTH // threads)
    for part in numba.prange(threads):
        _some_blocks(y, x, sizes, weights, around, part * each, (part + 1) * each)


@compiled
def add_whole_blocks(y: Any, x: Any, weights: Any, around: Any, threads: Any) -> None:
    """Onto y (tokens, out of all weights) the products of x (tokens, in), both fp32, with blocks of weights.

    A block holds for 64 outputs four inputs in one (int32). `around` are their scales (out,) and what they
    make of inputs that are 128 (out,), which stands for 0.
    """
    tokens, sizes = _fours(x)
    if threads == 1 or y.shape[1] * x.shape[1] < SMALL:
        _some_blocks(y, tokens, sizes, weights, around, 0, y.shape[1] // WIDTH)
    else:
        _shared_blocks(y, tokens, sizes, weights, around, threads)
