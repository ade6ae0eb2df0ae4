"""Single numbers within loops: from bf16 and back, and the exponential function.

Numbers in bf16 are the bits of them (uint16), the upper half of those of fp32.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

from core.kernels.compiling import compiled

_NUMBER = ir.IntType(32)
_LEAST, _MOST = np.float32(-87), np.float32(88)
"""Beyond these the exponential of a number in fp32 is no number in full precision."""
_PER_TWO = np.float32(1 / np.log(2))
_LN2 = np.float32(0.693359375), np.float32(-2.12194440e-4)
"""The natural logarithm of 2, in two parts of which the first has few digits (Cephes, expf.c)."""


def _within(function: Callable[..., Any]) -> Any:
    """An intrinsic, of which type checkers know no more than that it can be called."""
    return intrinsic(function)


@_within
def wide(typing: Any, number: Any) -> Any:
    """In fp32, from fp32 or from the bits of bf16, which are the upper half of it."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        if number == types.float32:
            return given[0]
        bits = builder.zext(given[0], _NUMBER)
        return builder.bitcast(builder.shl(bits, _NUMBER(16)), ir.FloatType())

    return types.float32(number), generate


@_within
def bits_of(typing: Any, number: Any) -> Any:
    """Of a number in fp32 (uint32)."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return builder.bitcast(given[0], _NUMBER)

    return types.uint32(types.float32), generate


@compiled
def half(number: Any) -> Any:
    """The bits of a number in bf16, in the lower half, from one in fp32; halves go to the even one."""
    bits = bits_of(number)
    odd = (bits >> numba.uint32(16)) & numba.uint32(1)
    return (bits + numba.uint32(0x7FFF) + odd) >> numba.uint32(16)


def keep(place: Any, numbers: Any) -> None:
    """Write numbers in fp32 to a place that holds fp32 or bf16."""


@overload(keep)
def _keep_as(place: Any, numbers: Any) -> Any:
    def real(place: Any, numbers: Any) -> None:
        for i in range(len(numbers)):  # numba's own assignment looks for an overlap first
            place[i] = numbers[i]

    def halves(place: Any, numbers: Any) -> None:
        for i in range(len(numbers)):
            place[i] = half(numbers[i])

    return real if place.dtype == types.float32 else halves


@_within
def power_of_two(typing: Any, exponent: Any) -> Any:
    """2 to a whole number (int32) from -126 to 127."""

    def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        bits = builder.shl(builder.add(given[0], _NUMBER(127)), _NUMBER(23))
        return builder.bitcast(bits, ir.FloatType())

    return types.float32(types.int32), generate


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


@compiled
def silu(x: Any) -> Any:
    """x times its sigmoid."""
    return x / (np.float32(1) + exponential(-x))
