"""The product of a few tokens with weights in bf16 that oneDNN has packed, where the processor multiplies bf16.

The blocks (out / 64, in / 2, 64) of a weight hold for 64 outputs, two inputs at a time, the bits of two numbers
in one (uint32), the first of them below. One instruction, VDPBF16PS, adds the products of such pairs to 16 sums in
fp32, and the sums of six tokens stay in registers while a block is read from end to end. oneDNN itself takes
twice as long for up to eight tokens.
"""

from __future__ import annotations

from typing import Any

import llvmlite.binding
import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from core.kernels.compiling import compiled, shared

WIDTH = 64
"""Outputs of a block."""
_LANES = 16
"""Numbers in fp32 of a register."""
_SMALL = 2**14
"""Pairs of a weight for which a second thread takes longer to wake than it saves."""
_NUMBER = ir.IntType(32)
_PAIRS = ir.VectorType(_NUMBER, _LANES)
_SUMS = ir.VectorType(ir.FloatType(), _LANES)
_ADD_PRODUCTS = ir.InlineAsm(
    ir.FunctionType(_SUMS, [_SUMS, _PAIRS, _PAIRS]), "vdpbf16ps $3, $2, $0", "=v,0,v,v"
)

llvmlite.binding.initialize_native_asmparser()


def _products_of(tokens: int) -> Any:
    """What writes the sums (tokens, 64) of a block (in / 2, 64) from pairs x (tokens, in / 2)."""

    @intrinsic
    def products(typing: Any, sums: Any, x: Any, block: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            arrays = zip(signature.args, given, strict=True)
            made = [context.make_array(kind)(context, builder, one) for kind, one in arrays]
            _write(builder, tokens, *made)
            return context.get_dummy_value()

        return types.void(sums, x, block), generate

    return products


def _write(builder: Any, tokens: int, sums: Any, x: Any, block: Any) -> None:
    pairs = cgutils.unpack_tuple(builder, block.shape)[0]
    zero, parts = ir.Constant(_SUMS, [0.0] * _LANES), range(0, WIDTH, _LANES)
    held = [[cgutils.alloca_once(builder, _SUMS) for _ in parts] for _ in range(tokens)]
    for place in (one for row in held for one in row):
        builder.store(zero, place)
    with cgutils.for_range(builder, pairs) as loop:
        start = builder.mul(loop.index, pairs.type(WIDTH))
        read = [_registers(builder, block.data, start, part, _PAIRS) for part in parts]
        weights = [builder.load(place, align=4) for place in read]
        for t, row in enumerate(held):
            place = builder.add(builder.mul(pairs, pairs.type(t)), loop.index)
            token = _everywhere(builder, builder.load(builder.gep(x.data, [place])))
            for place, weight in zip(row, weights, strict=True):
                found = builder.call(_ADD_PRODUCTS, [builder.load(place), token, weight])
                builder.store(found, place)
    for t, row in enumerate(held):
        for place, part in zip(row, parts, strict=True):
            there = _registers(builder, sums.data, pairs.type(t * WIDTH), part, _SUMS)
            builder.store(builder.load(place), there, align=4)


def _registers(builder: Any, data: Any, start: Any, part: int, kind: Any) -> Any:
    """Where 16 numbers lie, `part` behind `start`."""
    place = builder.gep(data, [builder.add(start, start.type(part))])
    return builder.bitcast(place, kind.as_pointer())


def _everywhere(builder: Any, number: Any) -> Any:
    """16 times the same."""
    none = ir.Constant(_PAIRS, ir.Undefined)
    first = builder.insert_element(none, number, _NUMBER(0))
    return builder.shuffle_vector(first, none, ir.Constant(_PAIRS, [0] * _LANES))


_one, _two, _four, _six = (_products_of(tokens) for tokens in (1, 2, 4, 6))


@compiled
def pairs(x: Any) -> Any:
    """x (tokens, in) in fp32 as the bits of two numbers in bf16 each, (tokens, in / 2)."""
    bits = x.view(np.uint32)
    found = np.empty((len(x), x.shape[1] // 2), np.uint32)
    for t in range(len(x)):
        for k in range(found.shape[1]):
            first, second = bits[t, 2 * k], bits[t, 2 * k + 1]
            first += numba.uint32(0x7FFF) + ((first >> numba.uint32(16)) & numba.uint32(1))
            second += numba.uint32(0x7FFF) + ((second >> numba.uint32(16)) & numba.uint32(1))
            found[t, k] = (first >> numba.uint32(16)) | (second & numba.uint32(0xFFFF0000))
    return found


@compiled
def _block(y: Any, x: Any, block: Any, sums: Any) -> None:
    """Onto y (tokens, 64)."""
    t = 0
    while t < len(x):
        left = len(x) - t
        if left >= 6:
            some = 6
            _six(sums, x[t : t + 6], block)
        elif left >= 4:
            some = 4
            _four(sums, x[t : t + 4], block)
        elif left >= 2:
            some = 2
            _two(sums, x[t : t + 2], block)
        else:
            some = 1
            _one(sums, x[t : t + 1], block)
        for s in range(some):
            for o in range(WIDTH):
                y[t + s, o] += sums[s, o]
        t += some


@compiled
def _some(y: Any, x: Any, weights: Any, start: Any, end: Any) -> None:
    """Onto y (tokens, out of all weights) the outputs of their blocks from `start` to `end`."""
    sums, before = np.empty((6, WIDTH), np.float32), 0
    for blocks in weights:
        for place in range(max(start - before, 0), min(end - before, len(blocks))):
            left = (before + place) * WIDTH
            _block(y[:, left : left + WIDTH], x, blocks[place], sums)
        before += len(blocks)


@shared
def _shared(y: Any, x: Any, weights: Any, threads: Any) -> None:
    each = -(-y.shape[1] // WIDTH // threads)
    for part in numba.prange(threads):
        _some(y, x, weights, part * each, (part + 1) * each)


@compiled
def add_halves(y: Any, x: Any, weights: Any, threads: Any) -> None:
    """Onto y (tokens, out of all weights) the products of x (tokens, in), both fp32, with blocks of weights."""
    found = pairs(x)
    if threads == 1 or y.shape[1] * found.shape[1] < _SMALL:
        _some(y, found, weights, 0, y.shape[1] // WIDTH)
    else:
        _shared(y, found, weights, threads)
