"""The product of a few tokens with a weight in int8, the tokens in whole numbers as in `core.backbone.int8`."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from core.kernels.compiling import compiled, shared
from core.kernels.products import SMALL


@compiled
def _whole_dot(a: Any, row: Any) -> Any:
    p = numba.int32(0)
    for i in range(len(row)):
        product = numba.int32(numba.int32(a[i]) * numba.int32(row[i]))
        p = numba.int32(p + product)  # numba would go on in 64 bits
    return p


@compiled
def _some_whole(y: Any, x: Any, sizes: Any, weight: Any, scales: Any, start: Any, end: Any) -> None:
    """Onto y (tokens, out) the outputs from `start` to `end`."""
    for o in range(start, end):
        for t in range(len(x)):
            y[t, o] += numba.float32(_whole_dot(x[t], weight[o])) * scales[o] * sizes[t]


@compiled
def _whole(x: Any, most: Any) -> Any:
    """Tokens in whole numbers from -most to most, and the largest absolute value of each."""
    found, sizes = np.empty(x.shape, np.int8), np.empty(len(x), np.float32)
    for t in range(len(x)):
        size = np.finfo(np.float32).tiny
        for i in range(x.shape[1]):
            size = max(size, abs(x[t, i]))
        sizes[t] = size
        for i in range(x.shape[1]):
            found[t, i] = np.rint(x[t, i] / size * most)
    return found, sizes


@shared
def _shared_whole(y: Any, x: Any, sizes: Any, weight: Any, scales: Any, threads: Any) -> None:
    each = -(-len(weight) // threads)
    for part in numba.prange(threads):
        end = min(len(weight), (part + 1) * each)
        _some_whole(y, x, sizes, weight, scales, part * each, end)


@compiled
def add_whole(y: Any, x: Any, weight: Any, scales: Any, most: Any, threads: Any) -> None:
    """Onto y (tokens, out) the product of x (tokens, in), both fp32, and a weight (out, in).

    Its rows are multiplied with `scales` (out,), tokens put into whole numbers up to `most`.
    """
    tokens, sizes = _whole(x, most)
    if threads == 1 or weight.size < SMALL:
        _some_whole(y, tokens, sizes, weight, scales, 0, len(weight))
    else:
        _shared_whole(y, tokens, sizes, weight, scales, threads)
