"""All products of SmolLM2 for few tokens, by torch and by kernels: `python -m benchmarks.products --threads 1`.

Weights are random, and one after another more than any cache holds. Seconds of the clock, the least of several
turns in which the two alternate; the floor is the time that reading the weights takes a matrix times a vector.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from core.kernels import layers

_SHAPES = [*[(960, 576), (576, 576), (3072, 576), (576, 1536)] * 30, (49152, 576)]
"""Outputs and inputs, those that read the same together."""
_TOKENS = (1, 2, 4, 8, 12, 16, 24, 32)


def measure(turns: int) -> tuple[float, dict[int, tuple[float, float]]]:
    """Seconds: the floor, and for each number of tokens torch and kernels."""
    weights = [torch.randn(shape) for shape in _SHAPES]
    matrix, vector = torch.ones(2**26 // 4096, 4096), torch.ones(4096)
    reading = min(_seconds(lambda: matrix @ vector) for _ in range(turns)) / matrix.nbytes
    found = {}
    for tokens in _TOKENS:
        inputs = {width: torch.randn(tokens, width) for width in (576, 1536)}
        pairs = [
            (
                _seconds(partial(_by_torch, weights, inputs)),
                _seconds(partial(_by_kernels, weights, inputs)),
            )
            for _ in range(turns)
        ]
        found[tokens] = min(one for one, _ in pairs), min(other for _, other in pairs)
    return reading * sum(one.nbytes for one in weights), found


def _by_torch(weights: list[Tensor], inputs: dict[int, Tensor]) -> None:
    for weight in weights:
        torch.nn.functional.linear(inputs[weight.shape[1]], weight)


def _by_kernels(weights: list[Tensor], inputs: dict[int, Tensor]) -> None:
    for weight in weights:
        x = inputs[weight.shape[1]]
        layers.add(torch.zeros(len(x), len(weight)), x, layers.as_it_lies(weight))


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--turns", type=int, default=10)
    known = parser.parse_args()
    torch.set_num_threads(known.threads)
    floor, table = measure(known.turns)
    print(f"floor of one thread {floor * 1e3:.1f} ms")
    for tokens, (by_torch, by_kernels) in table.items():
        print(
            f"{tokens:2} tokens: torch {by_torch * 1e3:6.1f} ms, kernels {by_kernels * 1e3:6.1f} ms"
        )
