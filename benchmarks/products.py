"""All products of SmolLM2 by torch and by kernels: `python -m benchmarks.products --dtype bf16 --threads 1`.

Weights are random, and one after another more than any cache holds: those of the blocks and, in fp32, the head.
torch is oneDNN in bf16, with weights that it packed, fbgemm in int8. Seconds of the clock, the least of several
turns in which the two alternate; the floor is the time that reading the weights takes a matrix times a vector.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from core.backbone import few_tokens, int8, packed
from core.kernels import layers

_SHAPES = [
    (576, 576),
    (192, 576),
    (192, 576),
    (576, 576),
    (1536, 576),
    (1536, 576),
    (576, 1536),
] * 30
"""Outputs and inputs."""
_HEAD = (49152, 576)
_TOKENS = {
    "fp32": (1, 2, 4, 8, 12, 16, 24, 32),
    "bf16": (1, 2, 4, 8, 16, 24, 64),
    "int8": (1, 2, 4, 8, 24, 64, 284),
}
_BYTES = {"fp32": 4, "bf16": 2, "int8": 1}

Product = Callable[[Tensor], object]


def measure(dtype: str, turns: int) -> tuple[float, dict[int, tuple[float, float]]]:
    """Seconds: the floor, and for each number of tokens torch and kernels."""
    shapes = [*_SHAPES, _HEAD] if dtype == "fp32" else _SHAPES
    pairs = [_MAKERS[dtype](torch.randn(shape) / 20) for shape in shapes]
    matrix, vector = torch.ones(2**26 // 4096, 4096), torch.ones(4096)
    reading = min(_seconds(lambda: matrix @ vector) for _ in range(turns)) / matrix.nbytes
    found = {}
    for tokens in _TOKENS[dtype]:
        inputs = {width: torch.randn(tokens, width) for width in (576, 1536)}
        given = [inputs[width] for _, width in shapes]
        taken = [
            [_seconds(partial(_all, one, given)) for one in zip(*pairs, strict=True)]
            for _ in range(turns)
        ]
        by_torch, by_kernels = (min(one) for one in zip(*taken, strict=True))
        found[tokens] = by_torch, by_kernels
    return reading * _BYTES[dtype] * sum(out * width for out, width in shapes), found


def _real(weight: Tensor) -> tuple[Product, Product]:
    return partial(nn.functional.linear, weight=weight), _by_kernel(
        weight, layers.as_it_lies(weight)
    )


def _halves(weight: Tensor) -> tuple[Product, Product]:
    layer = packed.PackedLinear(_linear(weight.bfloat16()))
    return lambda x: layer.product(x.bfloat16()), _by_kernel(
        weight, layers.in_blocks([layer.blocks])
    )


def _whole(weight: Tensor) -> tuple[Product, Product]:
    layer = int8.Int8Linear(_linear(weight))
    whole, scales = layer.whole
    return int8.Fbgemm(whole, scales * 127), layer.product


_MAKERS = {"fp32": _real, "bf16": _halves, "int8": _whole}


def _linear(weight: Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], len(weight), bias=False, device="meta")
    layer.weight = nn.Parameter(weight, requires_grad=False)
    return layer


def _by_kernel(weight: Tensor, layer: object) -> Product:
    return lambda x: layers.add(torch.zeros(len(x), len(weight)), x, layer)


def _all(products: Sequence[Product], inputs: Sequence[Tensor]) -> None:
    for product, x in zip(products, inputs, strict=True):
        product(x)


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dtype", choices=_MAKERS, default="fp32")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--turns", type=int, default=10)
    known = parser.parse_args()
    torch.set_num_threads(known.threads)
    few_tokens.FEW = 0  # so that torch's side is torch's
    with torch.inference_mode():
        floor, table = measure(known.dtype, known.turns)
    print(f"floor of one thread {floor * 1e3:.1f} ms")
    for tokens, (by_torch, by_kernels) in table.items():
        print(
            f"{tokens:3} tokens: torch {by_torch * 1e3:6.1f} ms, kernels {by_kernels * 1e3:6.1f} ms"
        )
