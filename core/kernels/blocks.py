"""A block of a Llama for single tokens, but for what they find in the cache: two calls instead of thirty.

A layer is (weight, scales, most) as in `products`, of linear layers that read the same, their outputs one after
another; `parts` are what adapters add to each of these: `firsts` A (ranks, in) and `seconds` B (ranks, out), in
fp32, and `spans` (rows, 2) are the ranks of each row's own adapter.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from core.kernels.compiling import compiled
from core.kernels.products import dot, onto


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
def adapt(y: Any, x: Any, parts: Any, spans: Any) -> None:
    """Onto y (rows, out of all layers) what each row's own adapter makes of x (rows, in)."""
    start, (firsts, seconds) = 0, parts
    for first, second in zip(firsts, seconds):  # noqa: B905 - numba has no strict
        end = start + second.shape[1]
        if len(first):
            for t in range(len(x)):
                for rank in range(spans[t, 0], spans[t, 1]):
                    hidden, row, some = dot(x[t], first[rank]), second[rank], y[t, start:end]
                    for o in range(len(row)):
                        some[o] += hidden * row[o]
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
def asked(
    x: Any,
    norm: Any,
    layer: Any,
    spans: Any,
    cos: Any,
    sin: Any,
    turning: Any,
    eps: Any,
    threads: Any,
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
    x: Any,
    found: Any,
    out: Any,
    norm: Any,
    growing: Any,
    down: Any,
    spans: Any,
    eps: Any,
    threads: Any,
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
