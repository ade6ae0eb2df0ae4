"""Sums of products held in registers, of many tokens at once: what numba's own loops do not come to.

In bf16 one instruction, VDPBF16PS, adds the products of 16 pairs of numbers to 16 sums in fp32, in int8 VPDPBUSD
those of 16 times four numbers, the tokens' without a sign. A pair, or four, are the bits of numbers in one
(uint32), the first of them below.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import llvmlite.binding
import torch
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from core.kernels.compiling import for_this_processor

WIDTH = 64
"""Outputs of a block."""
ROWS = 4
"""Rows of a weight at once."""
SIX = 6
"""Tokens of which the sums of a block, and some weights, are held at once."""
LANES = 16
"""Numbers in fp32 of a register."""
_NUMBER = ir.IntType(32)
_NUMBERS = ir.VectorType(_NUMBER, LANES)
_REALS = ir.VectorType(ir.FloatType(), LANES)


@dataclass(frozen=True)
class Kind:
    """What registers hold of tokens and weights, what of sums, and what adds products to these."""

    numbers: ir.VectorType
    sums: ir.VectorType
    add: Callable[[Any, Any, Any, Any], Any]
    """Of a builder, sums, a token and a weight."""


def _one_after_another(builder: Any, sums: Any, token: Any, weight: Any) -> Any:
    product = builder.fmul(token, weight, flags=("contract",))
    return builder.fadd(product, sums, flags=("contract",))


def _at_once(instruction: str, sums: ir.VectorType) -> Kind:
    given = ir.FunctionType(sums, [sums, _NUMBERS, _NUMBERS])
    written = ir.InlineAsm(given, f"{instruction} $3, $2, $0", "=v,0,v,v")
    return Kind(_NUMBERS, sums, lambda builder, *given: builder.call(written, given))


def _knows(instructions: str) -> bool:
    return for_this_processor() and bool(torch.cpu.get_capabilities().get(instructions))


REAL = Kind(_REALS, _REALS, _one_after_another)
HALVES = _at_once("vdpbf16ps", _REALS)
WHOLE = _at_once("vpdpbusd", _NUMBERS)
WIDE = _knows("avx512_f")
"""Whether this processor has registers for the sums of a block; LLVM would use memory for them."""
MULTIPLIES_HALVES, MULTIPLIES_WHOLE = _knows("avx512_bf16"), _knows("avx512_vnni")
"""Whether it has the instruction."""

llvmlite.binding.initialize_native_asmparser()


def block_sums(tokens: int, kind: Kind) -> Any:
    """What writes (tokens, 64) sums from x (tokens, in) and a block (in, 64) of a weight.

    In bf16 these are pairs, (tokens, in / 2) and (in / 2, 64), in int8 fours.
    """

    def write(builder: Any, sums: Any, x: Any, block: Any) -> None:
        steps = cgutils.unpack_tuple(builder, block.shape)[0]
        parts = range(0, WIDTH, LANES)
        held = _zeros(builder, tokens, len(parts), kind)
        with cgutils.for_range(builder, steps) as loop:
            start = builder.mul(loop.index, steps.type(WIDTH))
            weights = [_load(builder, block.data, start, part, kind) for part in parts]
            for t, places in enumerate(held):
                place = builder.add(builder.mul(steps, steps.type(t)), loop.index)
                token = _everywhere(builder, builder.load(builder.gep(x.data, [place])), kind)
                _add(builder, places, token, weights, kind)
        _store(builder, held, sums, steps.type, kind)

    return _writer(write)


def row_sums(tokens: int) -> Any:
    """What writes (tokens, 4 · 16) sums, 16 to be added up for each row, from pairs x and rows (4, in / 2)."""

    def write(builder: Any, sums: Any, x: Any, rows: Any) -> None:
        pairs = cgutils.unpack_tuple(builder, rows.shape)[1]
        zero, step = pairs.type(0), pairs.type(LANES)
        held = _zeros(builder, tokens, ROWS, HALVES)
        with cgutils.for_range_slice(builder, zero, pairs, step) as (index, _):
            starts = [
                builder.add(builder.mul(pairs, pairs.type(row)), index)
                for row in range(max(tokens, ROWS))
            ]
            weights = [_load(builder, rows.data, start, 0, HALVES) for start in starts[:ROWS]]
            for places, start in zip(held, starts, strict=False):
                token = _load(builder, x.data, start, 0, HALVES)
                _add(builder, places, token, weights, HALVES)
        _store(builder, held, sums, pairs.type, HALVES)

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


def _zeros(builder: Any, tokens: int, number: int, kind: Kind) -> list[list[Any]]:
    """So many registers for each token; LLVM finds out that they need no memory."""
    held = [[cgutils.alloca_once(builder, kind.sums) for _ in range(number)] for _ in range(tokens)]
    for place in (one for places in held for one in places):
        builder.store(ir.Constant(kind.sums, [0] * LANES), place)
    return held


def _add(
    builder: Any, places: Sequence[Any], token: Any, weights: Sequence[Any], kind: Kind
) -> None:
    for place, weight in zip(places, weights, strict=True):
        builder.store(kind.add(builder, builder.load(place), token, weight), place)


def _store(builder: Any, held: Sequence[Sequence[Any]], sums: Any, index: Any, kind: Kind) -> None:
    for number, place in enumerate(one for places in held for one in places):
        there = builder.gep(sums.data, [index(number * LANES)])
        there = builder.bitcast(there, kind.sums.as_pointer())
        builder.store(builder.load(place), there, align=4)


def _load(builder: Any, data: Any, start: Any, more: int, kind: Kind) -> Any:
    """A register of numbers, `more` behind `start`."""
    place = builder.gep(data, [builder.add(start, start.type(more))])
    return builder.load(builder.bitcast(place, kind.numbers.as_pointer()), align=4)


def _everywhere(builder: Any, number: Any, kind: Kind) -> Any:
    """A register of the same."""
    none = ir.Constant(kind.numbers, ir.Undefined)
    first = builder.insert_element(none, number, _NUMBER(0))
    return builder.shuffle_vector(first, none, ir.Constant(_NUMBERS, [0] * LANES))
