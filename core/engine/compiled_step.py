"""`LlamaStep` for a few rows in fp32 on a CPU, by the kernels of `core.kernels`.

Of a step of SmolLM2 by torch's operations a fifth is spent between products, and those read the weights
at two thirds of the speed of the memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from core.kernels import blocks
from core.kernels import products as kernels

if TYPE_CHECKING:
    from core.adapters.stacked import Factors, Products
    from core.engine.cache import RowCache
    from core.engine.llama_step import Linears, LlamaStep

_NO_SCALES = torch.empty(0).numpy()


class CompiledStep:
    """The weights of a step as arrays, which stay those of the model."""

    def __init__(self, step: LlamaStep) -> None:
        self._step = step
        self._norms = [(one.before.numpy(), one.between.numpy()) for one in step.blocks]
        groups = [(one.asking, one.out, one.growing, one.down) for one in step.blocks]
        self._weights = [[_below_one_another(one.layers) for one in group] for group in groups]
        self._groups = groups
        self._head, self._norm = step.head.layers[0].weight.numpy(), step.norm.numpy()
        self._last: tuple[Products, list[Any]] | None = None

    def __call__(
        self, ids: Tensor, places: Tensor, mask: Tensor, cache: RowCache, products: Products
    ) -> Tensor:
        """As that of `LlamaStep`."""
        step = self._step
        x: Tensor = step.embedding(ids[:, 0])
        cos, sin = (one[:, 0].numpy() for one in step.turned(x, places))
        seen = None if bool(mask.all()) else mask[:, None, None, :]
        hidden, rows, eps = x.numpy(), len(x), step.eps
        spans = torch.tensor(products.spans(rows)).numpy()
        layers = self._adapted(products)
        with kernels.THREADS as threads:
            for norms, block, layer in zip(self._norms, layers, cache.cache.layers, strict=True):
                asking, out, growing, down = block
                made = torch.from_numpy(
                    blocks.asked(hidden, norms[0], asking, spans, cos, sin, step.turning, eps, threads)
                ).view(rows, -1, 1, step.size)
                query, key, value = made.split(step.parts, dim=1)
                keys, values = layer.update(key, value)
                found = nn.functional.scaled_dot_product_attention(
                    query.view(rows, step.heads, -1, step.size), keys, values, attn_mask=seen
                )
                read = found.view(rows, -1).numpy()
                blocks.grown(hidden, read, out, norms[1], growing, down, spans, eps, threads)
            last = blocks.normed(hidden, self._norm, eps)
            logits = x.new_zeros(rows, len(self._head))
            kernels.add_product(logits.numpy(), last, self._head, _NO_SCALES, threads)
        return logits

    def _adapted(self, products: Products) -> list[Any]:
        """The layers of each block for the kernels, with what these products add to them."""
        if self._last is None or self._last[0] is not products:
            made = [
                tuple(
                    _layer(weight, linears, products.factors)
                    for weight, linears in zip(weights, group, strict=True)
                )
                for weights, group in zip(self._weights, self._groups, strict=True)
            ]
            self._last = products, made
        return self._last[1]


def _layer(weight: Any, linears: Linears, factors: Sequence[Factors | None]) -> Any:
    firsts, seconds = [], []
    for layer, place in zip(linears.layers, linears.places, strict=True):
        found = factors[place] if place is not None and factors else None
        first = found.first if found else layer.weight.new_empty(0, layer.in_features)
        second = found.second if found else layer.weight.new_empty(0, layer.out_features)
        firsts.append(first.numpy())
        seconds.append(second.numpy())
    return weight, _NO_SCALES, tuple(firsts), tuple(seconds)


def _below_one_another(layers: Sequence[Any]) -> Any:
    """One matrix of the weights of layers that read the same; their parameters become parts of it."""
    if len(layers) == 1:
        return layers[0].weight.detach().numpy()
    with torch.inference_mode(False):  # training may go on with them
        found = torch.cat([one.weight.data for one in layers])
        parts = found.split([one.out_features for one in layers])
        for one, part in zip(layers, parts, strict=True):
            one.weight.data = part
    return found.numpy()
