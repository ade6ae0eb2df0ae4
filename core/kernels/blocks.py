"""A block of a Llama for single tokens, but for what they find in the cache: two calls instead of thirty.

A linear layer that several read together is their weights below one another. What adapters add comes as
`firsts` A (ranks, in) and `seconds` B (ranks, out), one for each layer, and `spans` (rows, 2): the ranks of
each row's own adapter, from the first up to the last. All in fp32 but weights, which may be int8.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from core.kernels.products import add_product, compiled, dot


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
def _adapt(y: Any, x: Any, firsts: Any, seconds: Any, spans: Any) -> None:
    start = 0
    for place in range(len(firsts)):
        first, second = firsts[place], seconds[place]
        end = start + second.shape[1]
        if len(first):
            for t in range(len(x)):
                for rank in range(spans[t, 0], spans[t, 1]):
                    hidden, row, onto = dot(x[t], first[rank]), second[rank], y[t, start:end]
                    for o in range(len(row)):
                        onto[o] += hidden * row[o]
        start = end


@compiled
def _linear(y: Any, x: Any, layer: Any, spans: Any, threads: Any) -> None:
    """Onto y (rows, out) what a layer, (weight, scales, firsts, seconds), makes of x (rows, in)."""
    weight, scales, firsts, seconds = layer
    add_product(y, x, weight, scales, threads)
    _adapt(y, x, firsts, seconds, spans)


@compiled
def linear(x: Any, layer: Any, spans: Any, threads: Any) -> Any:
    """y (rows, out) that a layer makes of x (rows, in)."""
    y = np.zeros((len(x), len(layer[0])), np.float32)
    _linear(y, x, layer, spans, threads)
    return y


@compiled
def asked(
    x: Any, norm: Any, layer: Any, spans: Any, cos: Any, sin: Any, turning: Any, eps: Any, threads: Any
) -> Any:
    """Queries, keys and values (rows, all sizes) of x (rows, hidden); the first `turning` heads turned.

    `cos` and `sin` are (rows, size of a head).
    """
    y = linear(normed(x, norm, eps), layer, spans, threads)
    half = cos.shape[1] // 2
    for t in range(len(y)):
        for head in range(turning):
            start = 2 * half * head
            for i in range(half):
                a, b = y[t, start + i], y[t, start + half + i]
                y[t, start + i] = a * cos[t, i] - b * sin[t, i]
                y[t, start + half + i] = b * cos[t, i] + a * sin[t, i]
    return y


@compiled
def grown(
    x: Any, found: Any, out: Any, norm: Any, growing: Any, down: Any, spans: Any, eps: Any, threads: Any
) -> None:
    """Onto x (rows, hidden) what follows from `found` (rows, in) in the cache."""
    _linear(x, found, out, spans, threads)
    y = linear(normed(x, norm, eps), growing, spans, threads)
    half = y.shape[1] // 2
    inner = np.empty((len(x), half), np.float32)
    for t in range(len(x)):
        for i in range(half):
            gate = y[t, i]
            inner[t, i] = gate / (np.float32(1) + np.exp(-gate)) * y[t, half + i]
    _linear(x, inner, down, spans, threads)
