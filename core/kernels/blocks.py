"""A block of a Llama for single tokens: one call instead of thirty.

A layer is as in `layers`; `parts` are what adapters add to those that read the same, one by one: `firsts` A
(ranks, in) and `seconds` B (ranks, out), in fp32 or as the bits of bf16, and `spans` (rows, 2) the ranks of
each row's own adapter.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from core.kernels.attention import attended
from core.kernels.compiling import compiled
from core.kernels.elements import keep, silu, wide
from core.kernels.layers import onto
from core.kernels.products import dot


@compiled
def normed(x: Any, weight: Any, eps: Any) -> Any:
    """x (rows, in) by the root of its mean square, times a weight (in,)."""
    y = np.empty_like(x)
    for t in range(len(x)):
        scale = np.float32(1 / np.sqrt(dot(x[t], x[t]) / x.shape[1] + eps))
        for i in range(x.shape[1]):
            y[t, i] = x[t, i] * scale * weight[i]
    return y


@compiled
def normed_alike(x: Any, weight: Any, eps: Any) -> Any:
    """`normed`, of numbers in fp32 or the bits of bf16, in the same."""
    y, row = np.empty_like(x), np.empty((1, x.shape[1]), np.float32)
    for t in range(len(x)):
        for i in range(x.shape[1]):
            row[0, i] = wide(x[t, i])
        keep(y[t], normed(row, weight, eps)[0])
    return y


@compiled
def gate(y: Any, up: Any) -> None:
    """SiLU of y (rows, in) times `up` in its place, in fp32 or the bits of bf16."""
    row = np.empty(y.shape[1], np.float32)
    for t in range(len(y)):
        for i in range(len(row)):
            row[i] = silu(wide(y[t, i])) * wide(up[t, i])
        keep(y[t], row)


@compiled
def adapt(y: Any, x: Any, parts: Any, spans: Any) -> None:
    """Onto y (rows, out of all layers) what each row's own adapter makes of x (rows, in)."""
    start, (firsts, seconds) = 0, parts
    for first, second in zip(firsts, seconds):  # noqa: B905 - numba has no strict
        end, hidden = start + second.shape[1], np.empty(len(first), np.float32)
        if len(first):
            for t in range(len(x)):
                some = y[t, start:end]
                for rank in range(spans[t, 0], spans[t, 1]):
                    hidden[rank] = dot(x[t], first[rank])
                for rank in range(spans[t, 0], spans[t, 1]):
                    size, row = hidden[rank], second[rank]
                    for o in range(len(row)):
                        some[o] += size * wide(row[o])
        start = end


@compiled
def _linear(y: Any, x: Any, adapted: Any, spans: Any, threads: Any) -> None:
    """Onto y (rows, out) what an adapted layer, (layer, parts), makes of x (rows, in)."""
    layer, parts = adapted
    onto(y, x, layer, threads)
    adapt(y, x, parts, spans)


@compiled
def linear(x: Any, adapted: Any, spans: Any, threads: Any) -> Any:
    """y (rows, out) that an adapted layer makes of x (rows, in)."""
    width = 0
    for second in adapted[1][1]:
        width += second.shape[1]
    y = np.zeros((len(x), width), np.float32)
    _linear(y, x, adapted, spans, threads)
    return y


@compiled
def _turn(y: Any, cos: Any, sin: Any, heads: Any) -> None:
    """The first heads of y (rows, all heads · size) by their places; `cos` and `sin` are (rows, size)."""
    half = cos.shape[1] // 2
    for t in range(len(y)):
        for head in range(heads):
            start = 2 * half * head
            for i in range(half):
                a, b = y[t, start + i], y[t, start + half + i]
                y[t, start + i] = a * cos[t, i] - b * sin[t, i]
                y[t, start + half + i] = b * cos[t, i] + a * sin[t, i]


@compiled
def _gated(y: Any) -> Any:
    """SiLU of the first half of each row of y, times the second."""
    half = y.shape[1] // 2
    inner = np.empty((len(y), half), np.float32)
    for t in range(len(y)):
        for i in range(half):
            inner[t, i] = silu(y[t, i]) * y[t, half + i]
    return inner


@compiled
def block(x: Any, norms: Any, layers: Any, spans: Any, around: Any, cache: Any) -> None:
    """Onto x (rows, hidden) what a block adds.

    `layers` ask (queries, keys and values), put out, grow (gate and up) and come down; `around` are cos and sin,
    how many heads they turn, the eps of norms and threads; `cache` is what `attended` takes.
    """
    cos, sin, turning, eps, threads = around
    kept, first, end, lengths = cache
    y = linear(normed(x, norms[0], eps), layers[0], spans, threads)
    _turn(y, cos, sin, turning)
    _linear(x, attended(y, kept, first, end, lengths), layers[1], spans, threads)
    y = linear(normed(x, norms[1], eps), layers[2], spans, threads)
    _linear(x, _gated(y), layers[3], spans, threads)
