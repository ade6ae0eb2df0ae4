"""The product of a few tokens with a weight on a CPU, compiled by numba for the processor at hand.

It reads the weight once, row after row, at the speed of the memory, and multiplies each row with all
tokens while it lies in the cache. MKL's products read a weight of this size at two thirds of that speed
for one token, and take three times as long for eight, for which it lays the weight out anew.

`weight` is (out, in) in fp32 or int8, `scales` (out,) what its rows are to be multiplied with, or empty.
"""

from __future__ import annotations

import threading
from typing import Any

import numba
import torch
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from torch import Tensor

_AHEAD = 4
"""Rows from one that is multiplied to the one that is fetched meanwhile."""
_TILE = 576
"""Columns at a time: so much of eight tokens stays in a first-level cache of 32 KiB."""
_LINE = 64
"""Bytes that memory gives at once."""
_SMALL = 2**15
"""Numbers of a weight for which a second thread takes longer to wake than it saves."""
_INEXACT = {"reassoc", "contract"}
"""Sums in any order, and products added unrounded; infinities and NaN stay what they are."""


def compiled(function: Any = None, **options: Any) -> Any:
    """For this processor at the first call, and kept for the next process where a folder may be written."""
    if function is None:
        return lambda found: compiled(found, **options)
    options |= {"fastmath": _INEXACT, "nogil": True}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # numba finds no such folder
        return numba.njit(**options)(function)


@intrinsic  # type: ignore[untyped-decorator]
def _fetch(typing: Any, values: Any, place: Any) -> Any:
    """Ask for a number of an array, which will be wanted soon, into the second-level cache."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        start = context.make_array(values)(context, builder, given[0]).data
        address, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [address, number, number, number])
        call = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        wanted = builder.bitcast(builder.gep(start, [given[1]]), address)
        builder.call(call, [wanted, number(0), number(2), number(1)])
        return context.get_dummy_value()

    return types.void(values, place), generate


@compiled
def _four(a: Any, b: Any, c: Any, d: Any, row: Any) -> Any:
    p = q = r = s = numba.float32(0)
    for i in range(len(row)):
        w = numba.float32(row[i])
        p += a[i] * w
        q += b[i] * w
        r += c[i] * w
        s += d[i] * w
    return p, q, r, s


@compiled
def _two(a: Any, b: Any, row: Any) -> Any:
    p = q = numba.float32(0)
    for i in range(len(row)):
        w = numba.float32(row[i])
        p += a[i] * w
        q += b[i] * w
    return p, q


@compiled
def dot(a: Any, row: Any) -> Any:
    """Of two vectors."""
    p = numba.float32(0)
    for i in range(len(row)):
        p += a[i] * numba.float32(row[i])
    return p


@compiled
def _some(y: Any, x: Any, weight: Any, scales: Any, start: Any, end: Any) -> None:
    """Onto y the outputs from `start` to `end`."""
    tokens, width, flat = len(x), weight.shape[1], weight.reshape(-1)
    fours, line = tokens - tokens % 4, _LINE // weight.itemsize
    scale = numba.float32(1)
    for left in range(0, width, _TILE):
        right = min(width, left + _TILE)
        for o in range(start, end):
            soon = (o + _AHEAD) * width
            for place in range(soon + left, min(soon + right, len(flat)), line):
                _fetch(flat, place)
            if len(scales):
                scale = scales[o]
            row = weight[o, left:right]
            for t in range(0, fours, 4):
                p, q, r, s = _four(
                    x[t, left:right],
                    x[t + 1, left:right],
                    x[t + 2, left:right],
                    x[t + 3, left:right],
                    row,
                )
                y[t, o] += p * scale
                y[t + 1, o] += q * scale
                y[t + 2, o] += r * scale
                y[t + 3, o] += s * scale
            if tokens % 4 >= 2:
                p, q = _two(x[fours, left:right], x[fours + 1, left:right], row)
                y[fours, o] += p * scale
                y[fours + 1, o] += q * scale
            if tokens % 2:
                y[tokens - 1, o] += dot(x[tokens - 1, left:right], row) * scale


@compiled(parallel=True)
def _shared(y: Any, x: Any, weight: Any, scales: Any, parts: Any) -> None:
    each = -(-len(weight) // parts)
    for part in numba.prange(parts):
        _some(y, x, weight, scales, part * each, min(len(weight), (part + 1) * each))


@compiled
def add_product(y: Any, x: Any, weight: Any, scales: Any, threads: Any) -> None:
    """Onto y (tokens, out) the product of x (tokens, in), all fp32, and a weight."""
    if threads == 1 or weight.size < _SMALL:
        _some(y, x, weight, scales, 0, len(weight))
    else:
        _shared(y, x, weight, scales, threads)


class Threads:
    """As many as torch has, for kernels that share their work; one kernel at a time.

    Numba's pool may be torch's own OpenMP, which it tells another number of threads when it starts.
    """

    def __init__(self) -> None:
        self._alone = threading.Lock()
        before = torch.get_num_threads()
        numba.set_num_threads(1)
        torch.set_num_threads(before)

    def __enter__(self) -> int:
        self._alone.acquire()
        number = min(torch.get_num_threads(), numba.config.NUMBA_NUM_THREADS)
        numba.set_num_threads(number)
        return number

    def __exit__(self, *error: object) -> None:
        self._alone.release()


THREADS = Threads()
_NONE = torch.empty(0).numpy()


def add(y: Tensor, x: Tensor, weight: Tensor) -> None:
    """Onto y (tokens, out) the product of x (tokens, in) and a weight (out, in), all fp32 and contiguous."""
    with THREADS as threads:
        add_product(y.numpy(), x.numpy(), weight.detach().numpy(), _NONE, threads)
