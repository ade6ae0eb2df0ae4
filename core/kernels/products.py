"""The product of a few tokens with a weight on a CPU, compiled by numba for the processor at hand.

It reads the weight once, row after row, at the speed of the memory, and multiplies each row with all
tokens while it lies in the cache. MKL's products read a weight of this size at two thirds of that speed
for one token, and take three times as long for eight, for which it lays the weight out anew.

A weight (out, in) is in fp32, or in bf16 as the bits (uint16) of each number.
"""

from __future__ import annotations

from typing import Any

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from core.kernels.compiling import compiled, shared
from core.kernels.elements import wide

_AHEAD = 4
"""Rows from one that is multiplied to the one that is fetched meanwhile."""
_TILE = 576
"""Columns at a time: so much of eight tokens stays in a first-level cache of 32 KiB."""
_LINE = 64
"""Bytes that memory gives at once."""
SMALL = 2**15
"""Numbers of a weight for which a second thread takes longer to wake than it saves."""


@intrinsic
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
def _eight(a: Any, b: Any, c: Any, d: Any, first: Any, second: Any) -> Any:
    p = q = r = s = t = u = v = w = numba.float32(0)
    for i in range(len(first)):
        p += a[i] * wide(first[i])
        q += b[i] * wide(first[i])
        r += c[i] * wide(first[i])
        s += d[i] * wide(first[i])
        t += a[i] * wide(second[i])
        u += b[i] * wide(second[i])
        v += c[i] * wide(second[i])
        w += d[i] * wide(second[i])
    return (p, q, r, s), (t, u, v, w)


@compiled
def four(a: Any, b: Any, c: Any, d: Any, row: Any) -> Any:
    p = q = r = s = numba.float32(0)
    for i in range(len(row)):
        p += wide(a[i]) * wide(row[i])
        q += wide(b[i]) * wide(row[i])
        r += wide(c[i]) * wide(row[i])
        s += wide(d[i]) * wide(row[i])
    return p, q, r, s


@compiled
def _two(a: Any, b: Any, row: Any) -> Any:
    p = q = numba.float32(0)
    for i in range(len(row)):
        p += wide(a[i]) * wide(row[i])
        q += wide(b[i]) * wide(row[i])
    return p, q


@compiled
def dot(a: Any, row: Any) -> Any:
    """Of two vectors."""
    p = numba.float32(0)
    for i in range(len(row)):
        p += a[i] * wide(row[i])
    return p


@compiled
def soon(weight: Any, row: Any, left: Any, right: Any) -> None:
    """Fetch what lies between two columns of a row that will be wanted."""
    flat, start = weight.reshape(-1), row * weight.shape[1]
    end = min(start + right, len(flat))
    for place in range(start + left, end, _LINE // weight.itemsize):
        _fetch(flat, place)  # type: ignore[call-arg]


@compiled
def _output(y: Any, x: Any, weight: Any, o: Any, left: Any, right: Any) -> None:
    """Onto one output of all tokens what some columns add."""
    tokens, row = len(x), weight[o, left:right]
    fours = tokens - tokens % 4
    for t in range(0, fours, 4):
        a, b, c, d = (
            x[t, left:right],
            x[t + 1, left:right],
            x[t + 2, left:right],
            x[t + 3, left:right],
        )
        p, q, r, s = four(a, b, c, d, row)
        y[t, o] += p
        y[t + 1, o] += q
        y[t + 2, o] += r
        y[t + 3, o] += s
    if tokens % 4 >= 2:
        p, q = _two(x[fours, left:right], x[fours + 1, left:right], row)
        y[fours, o] += p
        y[fours + 1, o] += q
    if tokens % 2:
        y[tokens - 1, o] += dot(x[tokens - 1, left:right], row)


@compiled
def _outputs(y: Any, x: Any, weight: Any, o: Any, left: Any, right: Any) -> None:
    """Onto two outputs, so that each number of four tokens is read once for both."""
    tokens, first, second = len(x), weight[o, left:right], weight[o + 1, left:right]
    fours = tokens - tokens % 4
    for t in range(0, fours, 4):
        a, b, c, d = (
            x[t, left:right],
            x[t + 1, left:right],
            x[t + 2, left:right],
            x[t + 3, left:right],
        )
        one, other = _eight(a, b, c, d, first, second)
        for i in range(4):
            y[t + i, o] += one[i]
            y[t + i, o + 1] += other[i]
    for t in range(fours, tokens):
        p, q = _two(first, second, x[t, left:right])
        y[t, o] += p
        y[t, o + 1] += q


@compiled
def _some(y: Any, x: Any, weight: Any, start: Any, end: Any) -> None:
    """Onto y the outputs from `start` to `end`."""
    tokens, width = len(x), weight.shape[1]
    if tokens == 1:  # the processor itself keeps up with one, and each call would cost a third
        for o in range(start, end):
            y[0, o] += dot(x[0], weight[o])
        return
    paired = start + (end - start) // 2 * 2 if tokens > 4 else start
    for left in range(0, width, _TILE):
        right = min(width, left + _TILE)
        for o in range(start, paired, 2):
            soon(weight, o + _AHEAD, left, right)
            soon(weight, o + _AHEAD + 1, left, right)
            _outputs(y, x, weight, o, left, right)
        for o in range(paired, end):
            soon(weight, o + _AHEAD, left, right)
            _output(y, x, weight, o, left, right)


@shared
def _shared(y: Any, x: Any, weight: Any, threads: Any) -> None:
    each = -(-len(weight) // threads)
    for part in numba.prange(threads):
        _some(y, x, weight, part * each, min(len(weight), (part + 1) * each))


@compiled
def add_plain(y: Any, x: Any, weight: Any, threads: Any) -> None:
    """Onto y (tokens, out) the product of x (tokens, in), both fp32, and a weight (out, in)."""
    if threads == 1 or weight.size < SMALL:
        _some(y, x, weight, 0, len(weight))
    else:
        _shared(y, x, weight, threads)
