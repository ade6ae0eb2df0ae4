"""What tokens find among the keys and values of their rows.

torch's attention reads keys in bf16 one at a time, and those of all rows from the column in which the longest
begins; for prompts of 30 tokens it reaches 6 GFLOP/s.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from core.kernels.compiling import compiled, ordered
from core.kernels.elements import exponential, keep, wide
from core.kernels.products import dot, four


@ordered
def _largest(numbers: Any) -> Any:
    found = numbers[0]
    for number in numbers:
        found = max(found, number)
    return found


@compiled
def soften(weights: Any) -> None:
    """How much columns count that are so near (columns,), in their place."""
    most, total = _largest(weights), np.float32(0)
    for c in range(len(weights)):
        weights[c] = exponential(weights[c] - most)
        total += weights[c]
    for c in range(len(weights)):
        weights[c] /= total


@compiled
def _near(weights: Any, query: Any, keys: Any) -> None:
    """Into weights (columns,) the products of a query (size,) with keys (columns, size)."""
    columns, scale = len(keys), np.float32(1 / np.sqrt(len(query)))
    fours = columns - columns % 4
    for c in range(0, fours, 4):
        products = four(keys[c], keys[c + 1], keys[c + 2], keys[c + 3], query)
        for i in range(4):
            weights[c + i] = products[i] * scale
    for c in range(fours, columns):
        weights[c] = dot(query, keys[c]) * scale


@compiled
def _find(found: Any, query: Any, keys: Any, values: Any, weights: Any) -> None:
    """Into `found` (size,), from keys and values (columns, size); `weights` is room for as many."""
    columns = len(keys)
    _near(weights, query, keys)
    soften(weights[:columns])
    fours = columns - columns % 4
    for i in range(len(found)):
        found[i] = 0
    for c in range(0, fours, 4):
        p, q, r, s = weights[c], weights[c + 1], weights[c + 2], weights[c + 3]
        one, two, three, last = values[c], values[c + 1], values[c + 2], values[c + 3]
        for i in range(len(found)):
            near = p * wide(one[i]) + q * wide(two[i])
            found[i] += near + r * wide(three[i]) + s * wide(last[i])
    for c in range(fours, columns):
        weight, value = weights[c], values[c]
        for i in range(len(found)):
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
    weights = np.empty(np.max(lengths) + 1, np.float32)
    for row in range(len(y)):
        start, place = end - lengths[row], first + row
        for group in range(groups):
            key, value = (asking + group) * size, (asking + groups + group) * size
            keep(keys[place, group, end], y[row, key : key + size])
            keep(values[place, group, end], y[row, value : value + size])
            for head in range(group * each, (group + 1) * each):
                left, right = head * size, (head + 1) * size
                _find(
                    found[row, left:right],
                    y[row, left:right],
                    keys[place, group, start : end + 1],
                    values[place, group, start : end + 1],
                    weights,
                )
    return found
