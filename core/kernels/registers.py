"""Sums of products held in registers, of many tokens at once: what numba's own loops do not come to.

In bf16 one instruction, VDPBF16PS, adds the products of 16 pairs of numbers to 16 sums in fp32. A pair is the bits
of two numbers in one (uint32), the first of them below.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import llvmlite.binding
import torch
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from core.kernels.compiling import for_this_processor

HERE = for_this_processor() and bool(torch.cpu.get_capabilities().get("avx512_bf16"))
"""Whether this processor has the instruction."""
WIDTH = 64
"""Outputs of a block."""
ROWS = 4
"""Rows of a weight at once."""
LANES = 16
"""Numbers in fp32 of a register."""
_NUMBER = ir.IntType(32)
_PAIRS = ir.VectorType(_NUMBER, LANES)
REAL = ir.VectorType(ir.FloatType(), LANES)
"""16 numbers in fp32."""
_ADD_PRODUCTS = ir.InlineAsm(
    ir.FunctionType(REAL, [REAL, _PAIRS, _PAIRS]), "vdpbf16ps $3, $2, $0", "=v,0,v,v"
)

llvmlite.binding.initialize_native_asmparser()


def block_sums(tokens: int, kind: ir.VectorType = _PAIRS) -> Any:
    """What writes (tokens, 64) sums from pairs x (tokens, in / 2) and a block (in / 2, 64) of a weight.

    As `REAL` it takes x (tokens, in) and a block (in, 64) in fp32.
    """

    def write(builder: Any, sums: Any, x: Any, block: Any) -> None:
        pairs = cgutils.unpack_tuple(builder, block.shape)[0]
        parts = range(0, WIDTH, LANES)
        held = _zeros(builder, tokens, len(parts))
        with cgutils.for_range(builder, pairs) as loop:
            start = builder.mul(loop.index, pairs.type(WIDTH))
            weights = [_load(builder, block.data, start, part, kind) for part in parts]
            for t, places in enumerate(held):
                place = builder.add(builder.mul(pairs, pairs.type(t)), loop.index)
                token = _everywhere(builder, builder.load(builder.gep(x.data, [place])), kind)
                _add(builder, places, token, weights)
        _store(builder, held, sums, pairs.type)

    return _writer(write)


def row_sums(tokens: int) -> Any:
    """What writes (tokens, 4 · 16) sums, 16 to be added up for each row, from pairs x and 4 rows (4, in / 2)."""

    def write(builder: Any, sums: Any, x: Any, rows: Any) -> None:
        pairs = cgutils.unpack_tuple(builder, rows.shape)[1]
        zero, step = pairs.type(0), pairs.type(LANES)
        held = _zeros(builder, tokens, ROWS)
        with cgutils.for_range_slice(builder, zero, pairs, step) as (index, _):
            starts = [
                builder.add(builder.mul(pairs, pairs.type(row)), index)
                for row in range(max(tokens, ROWS))
            ]
            weights = [_load(builder, rows.data, start, 0) for start in starts[:ROWS]]
            for places, start in zip(held, starts, strict=False):
                _add(builder, places, _load(builder, x.data, start, 0), weights)
        _store(builder, held, sums, pairs.type)

    return _writer(write)


def _writer(write: Callable[..., None]) -> Any:
    """For numba: `write` in arrays that follow one another without gaps."""

    @intrinsic
    def written(typing: Any, sums: Any, x: Any, weight: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            arrays = zip(signature.args, given, strict=True)
            write(
                builder, *(context.make_array(kind)(context, builder, one) for kind, one in arrays)
            )
            return context.get_dummy_value()

        return types.void(sums, x, weight), generate

    return written


def _zeros(builder: Any, tokens: int, number: int) -> list[list[Any]]:
    """So many registers for each token; LLVM finds out that they need no memory."""
    held = [[cgutils.alloca_once(builder, REAL) for _ in range(number)] for _ in range(tokens)]
    for place in (one for places in held for one in places):
        builder.store(ir.Constant(REAL, [0.0] * LANES), place)
    return held


def _add(builder: Any, places: Sequence[Any], token: Any, weights: Sequence[Any]) -> None:
    for place, weight in zip(places, weights, strict=True):
        if weight.type == REAL:
            product = builder.fmul(token, weight, flags=("contract",))
            found = builder.fadd(product, builder.load(place), flags=("contract",))
        else:
            found = builder.call(_ADD_PRODUCTS, [builder.load(place), token, weight])
        builder.store(found, place)


def _store(builder: Any, held: Sequence[Sequence[Any]], sums: Any, kind: Any) -> None:
    for number, place in enumerate(one for places in held for one in places):
        there = builder.gep(sums.data, [kind(number * LANES)])
        there = builder.bitcast(there, REAL.as_pointer())
        builder.store(builder.load(place), there, align=4)


def _load(builder: Any, data: Any, start: Any, more: int, kind: Any = _PAIRS) -> Any:
    """16 pairs, `more` behind `start`."""
    place = builder.gep(data, [builder.add(start, start.type(more))])
    return builder.load(builder.bitcast(place, kind.as_pointer()), align=4)


def _everywhere(builder: Any, one: Any, kind: Any) -> Any:
    """16 times the same."""
    none = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(none, one, _NUMBER(0))
    return builder.shuffle_vector(first, none, ir.Constant(_PAIRS, [0] * LANES))
