"""Self-attention on a few numbers, every step of it: small enough to be checked by hand.

Vaswani et al. 2017 (arXiv:1706.03762), equation 1, with one head of one dimension. For x = 1, 2, 3 and
all weights 1, the first query has the scores 1, 2, 3 and the weights 0.09, 0.24, 0.67.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from core.errors import BadInput

MOST, LARGEST, LARGEST_WEIGHT = 6, 5.0, 2.0


@dataclass(frozen=True, kw_only=True)
class Step:
    """What one position does; `None` stands where it may not look."""

    query: float
    scores: tuple[float | None, ...]
    """q k / √d, d = 1."""
    exponentials: tuple[float, ...]
    weights: tuple[float, ...]
    """The softmax of the scores: they sum to 1."""
    output: float
    """The weighted sum of the values."""


@dataclass(frozen=True, kw_only=True)
class Example:
    """Keys and values of all positions, and a step for each."""

    inputs: tuple[float, ...]
    keys: tuple[float, ...]
    values: tuple[float, ...]
    steps: tuple[Step, ...]


def self_attention(
    inputs: Sequence[float],
    *,
    query_weight: float = 1.0,
    key_weight: float = 1.0,
    value_weight: float = 1.0,
    causal: bool = False,
) -> Example:
    """All steps for the numbers `inputs`; `causal` lets a position look at itself and those before it."""
    _check(inputs, (query_weight, key_weight, value_weight))
    keys = tuple(key_weight * x for x in inputs)
    values = tuple(value_weight * x for x in inputs)
    steps = tuple(
        _step(query_weight * x, keys, values, place + 1 if causal else len(inputs))
        for place, x in enumerate(inputs)
    )
    return Example(inputs=tuple(inputs), keys=keys, values=values, steps=steps)


def _step(query: float, keys: Sequence[float], values: Sequence[float], seen: int) -> Step:
    scores = [query * key if place < seen else None for place, key in enumerate(keys)]
    powers = [0.0 if score is None else math.exp(score) for score in scores]
    weights = [power / math.fsum(powers) for power in powers]
    return Step(
        query=query,
        scores=tuple(scores),
        exponentials=tuple(powers),
        weights=tuple(weights),
        output=math.fsum(w * v for w, v in zip(weights, values, strict=True)),
    )


def _check(inputs: Sequence[float], weights: Sequence[float]) -> None:
    if not 1 <= len(inputs) <= MOST or any(not abs(x) <= LARGEST for x in inputs):
        raise BadInput(
            f"Give 1 to {MOST} numbers from -{LARGEST:g} to {LARGEST:g}, with commas between."
        )
    if any(not abs(weight) <= LARGEST_WEIGHT for weight in weights):
        raise BadInput(f"Weights go from -{LARGEST_WEIGHT:g} to {LARGEST_WEIGHT:g}.")
