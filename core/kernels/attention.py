"""What single tokens find among the keys and values of their rows, and the exponential function that it takes.

torch's attention reads keys in bf16 one at a time, and those of all rows from the column in which the longest
begins.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

from core.kernels.compiling import compiled
from core.kernels.halves import half
from core.kernels.products import dot, wide

_LEAST, _MOST = np.float32(-87), np.float32(88)
"""Beyond these the exponential of a number in fp32 is no number in full precision."""
_PER_TWO = np.float32(1 / np.log(2))
_LN2 = np.float32(0.693359375), np.float32(-2.12194440e-4)
"""The natural logarithm of 2, in two parts of which the first has few digits (Cephes, expf.c)."""


@intrinsic
def _power_of_two(typing: Any, exponent: Any) -> Any:
    """2 to a whole number (int32) from -126 to 127."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        number = ir.IntType(32)
        bits = builder.shl(builder.add(given[0], number(127)), number(23))
        return builder.bitcast(bits, ir.FloatType())

    return types.float32(types.int32), generate


power_of_two: Any = _power_of_two


@compiled
def exponential(x: Any) -> Any:
    """Of a number in fp32, to 2 units in the last place; in a loop, of as many at once as a register holds.

    Minimax polynomial of Cephes (Moshier 1989, expf.c).
    """
    x = _LEAST if x < _LEAST else _MOST if x > _MOST else x
    power = np.rint(x * _PER_TWO)
    x = x - power * _LN2[0] - power * _LN2[1]
    y = np.float32(1.9875691500e-4)
    y = y * x + np.float32(1.3981999507e-3)
    y = y * x + np.float32(8.3334519073e-3)
    y = y * x + np.float32(4.1665795894e-2)
    y = y * x + np.float32(1.6666665459e-1)
    y = y * x + np.float32(5.0000001201e-1)
    return (y * x * x + x + np.float32(1)) * power_of_two(numba.int32(power))


def _keep(place: Any, numbers: Any) -> None:
    """Write numbers in fp32 to a place of a cache."""


@overload(_keep)
def _keep_as(place: Any, numbers: Any) -> Any:
    def real(place: Any, numbers: Any) -> None:
        place[:] = numbers

    def halves(place: Any, numbers: Any) -> None:
        bits = numbers.view(np.uint32)
        for i in range(len(bits)):
            place[i] = half(bits[i])

    return real if place.dtype == types.float32 else halves


@compiled
def _find(found: Any, query: Any, keys: Any, values: Any, scale: Any) -> None:
    """Into `found` (size,), from keys and values (columns, size)."""
    weights = np.empty(len(keys), np.float32)
    for c in range(len(keys)):
        weights[c] = dot(query, keys[c]) * scale
    most = np.max(weights)
    total = np.float32(0)
    for c in range(len(keys)):
        weights[c] = exponential(weights[c] - most)
        total += weights[c]
    found[:] = 0
    for c in range(len(keys)):
        weight, value = weights[c] / total, values[c]
        for i in range(len(value)):
            found[i] += weight * wide(value[i])


@compiled
def attended(y: Any, kept: Any, first: Any, end: Any, lengths: Any) -> Any:
    """What tokens (rows, heads · size) find with their queries; their keys and values are kept.

    y (rows, all heads · size) holds queries, keys and values. `kept` are keys and values (rows, heads, columns,
    size) in fp32 or as the bits of bf16, those of y from row `first` on; `lengths` (rows,) columns before `end`
    are seen, and what is kept in `end` itself.
    """
    keys, values = kept
    groups, size = keys.shape[1], keys.shape[3]
    asking = y.shape[1] // size - 2 * groups
    found, each = np.empty((len(y), asking * size), np.float32), asking // groups
    for row in range(len(y)):
        start, place = end - lengths[row], first + row
        for group in range(groups):
            key, value = (asking + group) * size, (asking + groups + group) * size
            _keep(keys[place, group, end], y[row, key : key + size])
            _keep(values[place, group, end], y[row, value : value + size])
            for head in range(group * each, (group + 1) * each):
                left, right = head * size, (head + 1) * size
                _find(
                    found[row, left:right],
                    y[row, left:right],
                    keys[place, group, start : end + 1],
                    values[place, group, start : end + 1],
                    np.float32(1 / np.sqrt(size)),
                )
    return found
