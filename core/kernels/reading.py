"""What the tokens of prompts find among those before them, row after row, without padding.

Six queries at a time, their sums in registers: torch's attention reaches 6 GFLOP/s for rows of 30 tokens.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from core.kernels.attention import soften
from core.kernels.compiling import compiled, shared
from core.kernels.elements import keep, wide
from core.kernels.registers import LANES, REAL, SIX, WIDTH, block_sums

_UNSEEN = np.float32(-1e30)
"""How near a column is that is not seen."""
_six = block_sums(SIX, REAL)


@compiled
def _turned(found: Any, numbers: Any, cos: Any, sin: Any, scale: Any) -> None:
    """A head (size,) in fp32, turned by its place, times a scale."""
    half = len(numbers) // 2
    for i in range(half):
        a, b = wide(numbers[i]) * scale, wide(numbers[half + i]) * scale
        found[i] = a * cos[i] - b * sin[i]
        found[half + i] = b * cos[i] + a * sin[i]


@compiled
def _own(numbers: Any, kept: Any, end: Any, held: Any) -> None:
    """Into the first numbers (columns, size) those `held` before `end` that are kept."""
    for c in range(held):
        for i in range(numbers.shape[1]):
            numbers[c, i] = wide(kept[end - held + c, i])


@compiled
def _in_blocks(keys: Any, values: Any) -> Any:
    """Keys (columns / 64, size, 64) and values (size / 64, columns, 64) of such (columns, size), zeros behind."""
    columns, size = keys.shape
    blocks = -(-columns // WIDTH)
    first = np.zeros((blocks, size, WIDTH), np.float32)
    second = np.zeros((-(-size // WIDTH), blocks * WIDTH, WIDTH), np.float32)
    for c in range(columns):
        for i in range(size):
            first[c // WIDTH, i, c % WIDTH] = keys[c, i]
            second[i // WIDTH, c, i % WIDTH] = values[c, i]
    return first, second


@compiled
def _find_six(found: Any, queries: Any, blocks: Any, limits: Any, room: Any) -> None:
    """Into `found` (6, size / 64 · 64) what queries (6, size) find among the first columns, up to their limits."""
    (keys, values), (sums, weights) = blocks, room
    # In whole registers, since what is left over goes one by one.
    seen = -(-limits[SIX - 1] // LANES) * LANES
    weights = weights[: SIX * seen].reshape(SIX, seen)
    for block in range(-(-seen // WIDTH)):
        _six(sums, queries, keys[block])
        start = block * WIDTH
        for s in range(SIX):
            for c in range(min(WIDTH, seen - start)):
                weights[s, start + c] = sums[s, c]
    for s in range(SIX):
        for c in range(limits[s], seen):
            weights[s, c] = _UNSEEN
        soften(weights[s])
    for part in range(len(values)):
        _six(sums, weights, values[part, :seen])
        for s in range(SIX):
            for i in range(WIDTH):
                found[s, part * WIDTH + i] = sums[s, i]


@compiled
def _read_group(found: Any, query: Any, turn: Any, blocks: Any, held: Any) -> None:
    """Into `found` (tokens, heads · size) what the heads of a group find that share keys and values."""
    cos, sin = turn
    tokens, size = cos.shape
    heads, columns = query.shape[1] // size, held + tokens
    queries = np.zeros((-(-tokens * heads // SIX) * SIX, size), np.float32)
    answers = np.empty((SIX, blocks[1].shape[0] * WIDTH), np.float32)
    room = np.empty((SIX, WIDTH), np.float32), np.empty(SIX * (columns + LANES), np.float32)
    limits, scale = np.empty(SIX, np.int64), np.float32(1 / np.sqrt(size))
    for t in range(tokens):
        for head in range(heads):
            numbers = query[t, head * size : (head + 1) * size]
            _turned(queries[t * heads + head], numbers, cos[t], sin[t], scale)
    for start in range(0, tokens * heads, SIX):
        for s in range(SIX):
            limits[s] = min(held + (start + s) // heads + 1, columns)
        _find_six(answers, queries[start : start + SIX], blocks, limits, room)
        for s in range(min(SIX, tokens * heads - start)):
            t, head = (start + s) // heads, (start + s) % heads
            keep(found[t, head * size : (head + 1) * size], answers[s, :size])


@compiled
def _read(found: Any, asked: Any, turn: Any, span: Any, cache: Any, group: Any) -> None:
    """Into `found` what the heads of a group find in one row, whose tokens are a span of all."""
    (query, key, value), (cos, sin), (start, stop) = asked, turn, span
    keys, values, end, last, held = cache
    size = cos.shape[1]
    each = query.shape[1] // key.shape[1]
    own_keys = np.empty((held + stop - start, size), np.float32)
    own_values = np.empty_like(own_keys)
    if held:
        _own(own_keys, keys[group], end, held)
        _own(own_values, values[group], end, held)
    left, right = group * size, (group + 1) * size
    for t in range(start, stop):
        c, column = held + t - start, last - stop + t
        _turned(own_keys[c], key[t, left:right], cos[t], sin[t], np.float32(1))
        for i in range(size):
            own_values[c, i] = wide(value[t, left + i])
        if keys.shape[1]:
            keep(keys[group, column], own_keys[c])
            keep(values[group, column], own_values[c])
    heads = slice(left * each, right * each)
    blocks, places = _in_blocks(own_keys, own_values), (cos[start:stop], sin[start:stop])
    _read_group(found[start:stop, heads], query[start:stop, heads], places, blocks, held)


@compiled
def _read_some(
    found: Any, asked: Any, turn: Any, starts: Any, cache: Any, first: Any, step: Any
) -> None:
    """Every so many-th pair of a row and a group, from the first on."""
    keys, values, row_before, end, last, lengths = cache
    groups = asked[1].shape[1] // turn[0].shape[1]
    for pair in range(first, len(lengths) * groups, step):
        row, group = pair // groups, pair % groups
        span, place = (starts[row], starts[row + 1]), row_before + row
        if span[0] < span[1]:
            own = (keys[place], values[place], end, last, lengths[row])
            _read(found, asked, turn, span, own, group)


@shared
def _read_shared(found: Any, asked: Any, turn: Any, starts: Any, cache: Any, threads: Any) -> None:
    for part in numba.prange(threads):
        _read_some(found, asked, turn, starts, cache, part, threads)


@compiled
def read_prompts(asked: Any, turn: Any, starts: Any, cache: Any, threads: Any) -> Any:
    """What tokens (all, heads · size) find among those of their row before them, and themselves.

    `asked` are queries, keys and values (all, heads · size), those of a row from one of `starts` to the next, in
    fp32 or as the bits of bf16; `turn` are cos and sin (all, size). The `cache` is keys and values (rows, heads,
    columns, size), which may have no columns, the row of it that is the first of these, the column `end` before
    which `lengths` (rows,) are seen, and the one before which all of the new ones end.
    """
    found = np.empty_like(asked[0])
    if threads == 1:
        _read_some(found, asked, turn, starts, cache, 0, 1)
    else:
        _read_shared(found, asked, turn, starts, cache, threads)
    return found
