"""`LlamaStep` for a few rows on a CPU, by the kernels of `core.kernels`.

Of a step of SmolLM2 by torch's operations a tenth is spent between products, in bf16 half, and those read
the weights at three quarters of the speed of the memory, in int8 and bf16 at half of it. What goes from
layer to layer is in fp32; weights and what the cache holds are as the model has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor, nn

from core.adapters.stacked import beside
from core.backbone.int8 import most_of_inputs
from core.backbone.packed import PackedLinear
from core.kernels import blocks
from core.kernels import layers as kernels
from core.kernels.compiling import THREADS

if TYPE_CHECKING:
    from core.adapters.factors import Factors
    from core.adapters.stacked import Products
    from core.engine.cache import RowCache
    from core.engine.llama_step import Linears, LlamaStep

_WHOLE: WeakKeyDictionary[nn.Module, Any] = WeakKeyDictionary()
"""Weights in int8 as they are, by the first of the layers that read the same; fbgemm hides its own."""


class CompiledStep:
    """The weights of a step as arrays, which stay those of the model."""

    def __init__(self, step: LlamaStep) -> None:
        self._step = step
        self._norms = [(_real(one.before), _real(one.between)) for one in step.blocks]
        groups = [(one.asking, one.out, one.growing, one.down) for one in step.blocks]
        self._layers = [[_layer(one) for one in group] for group in groups]
        self._groups = groups
        self._head, self._norm = _layer(step.head), _real(step.norm)
        self._last: tuple[Products, list[Any]] | None = None

    def __call__(
        self, ids: Tensor, places: Tensor, mask: Tensor, cache: RowCache, products: Products
    ) -> Tensor:
        """As that of `LlamaStep`."""
        step = self._step
        x: Tensor = step.embedding(ids[:, 0]).float()
        cos, sin = (one[:, 0].numpy() for one in step.turned(x, places))
        hidden, rows = x.numpy(), len(x)
        spans = torch.tensor(products.spans(rows)).numpy()
        adapted, kept = self._adapted(products), cast(Sequence[Any], cache.cache.layers)
        lengths = torch.tensor(cache.lengths).numpy()
        with THREADS as threads:
            around = cos, sin, step.turning, step.eps, threads
            for norms, layers, layer in zip(self._norms, adapted, kept, strict=True):
                parts = tuple(map(kernels.array, layer.parts))
                held = parts, cache.first, cache.end, lengths
                blocks.block(hidden, norms, layers, spans, around, held)
            last = blocks.normed(hidden, self._norm, step.eps)
            logits = x.new_zeros(rows, step.head.layers[0].out_features)
            kernels.onto(logits.numpy(), last, self._head, threads)
        return logits

    def _adapted(self, products: Products) -> list[Any]:
        """The layers of each block for the kernels, with what these products add to them."""
        if self._last is None or self._last[0] is not products:
            made = [
                tuple(
                    (layer, _parts(linears, products.factors))
                    for layer, linears in zip(layers, group, strict=True)
                )
                for layers, group in zip(self._layers, self._groups, strict=True)
            ]
            self._last = products, made
        return self._last[1]


def _parts(linears: Linears, factors: Sequence[Factors | None]) -> Any:
    """What adapters add to layers that read the same."""
    firsts, seconds = [], []
    for layer, place in zip(linears.layers, linears.places, strict=True):
        found = factors[place] if place is not None and factors else None
        dtype, _ = beside(layer)  # of nothing as well, since each kind is a kernel of its own
        firsts.append(found.first if found else torch.empty(0, layer.in_features, dtype=dtype))
        seconds.append(found.second if found else torch.empty(0, layer.out_features, dtype=dtype))
    for _ in range(kernels.AT_MOST - len(firsts)):  # so that one kernel does for any number
        firsts.append(firsts[0][:0])
        seconds.append(seconds[0][:0, :0].contiguous())
    return tuple(map(kernels.array, firsts)), tuple(map(kernels.array, seconds))


def _layer(linears: Linears) -> Any:
    """One of layers that read the same."""
    layers = linears.layers
    if linears.int8 and all(one.blocks for one in layers):
        return kernels.in_whole_blocks([one.blocks for one in layers])
    if linears.int8:
        if layers[0] not in _WHOLE:
            found = [one.whole for one in layers]
            _WHOLE[layers[0]] = [torch.cat(some).numpy() for some in zip(*found, strict=True)]
        weight, scales = _WHOLE[layers[0]]
        return weight, scales, np.float32(most_of_inputs())
    if all(isinstance(one, PackedLinear) for one in layers):
        return kernels.in_blocks([one.blocks for one in layers])
    return kernels.as_it_lies(_below_one_another([one.weight for one in layers]))


def _real(weight: Tensor) -> Any:
    return weight.float().numpy()


def _below_one_another(weights: Sequence[Any]) -> Tensor:
    """One matrix of weights (out, in), which become parts of it."""
    first, sizes = weights[0], [len(one) for one in weights]
    ends = [one.data_ptr() + one.nbytes for one in weights]
    if [one.data_ptr() for one in weights[1:]] == ends[:-1]:
        return first.as_strided((sum(sizes), first.shape[1]), first.stride())
    with torch.inference_mode(False):  # training may go on with them
        together = torch.cat([one.data for one in weights])
        for one, part in zip(weights, together.split(sizes), strict=True):
            one.data = part
    return together
