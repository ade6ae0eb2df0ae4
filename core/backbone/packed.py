"""Linear layers for answering on a CPU: in bf16 packed for it, in fp32 as they lie; few tokens go to `few_tokens`.

torch's bf16 product of a few tokens on a CPU puts the whole weight into oneDNN's blocks anew, each
time: 39 ms a token of SmolLM2 instead of 27, 56 instead of 35 for a prompt of 50. What `torch.compile`
does once for a model that it freezes is done here without it: weights packed, one operation called.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from core.backbone import few_tokens
from core.backbone.frozen import FrozenLinear
from core.errors import BadSetting


class PackedLinear(FrozenLinear):
    """What an `nn.Linear` in bf16 computes, to the last bit or two; it passes no gradient."""

    @property
    def beside(self) -> torch.dtype:
        return torch.bfloat16

    @property
    def weight(self) -> Tensor:
        """As it was (out, in), laid out anew."""
        return self._packed.to_dense()

    @weight.setter
    def weight(self, value: Tensor) -> None:
        self._packed = torch.ops.mkldnn._reorder_linear_weight(value)
        self._kept: Any = None

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled() and x.requires_grad:
            raise BadSetting("Packed layers cannot be trained through; unpack them first.")
        flat = x.reshape(-1, self.in_features)  # of a part of a long prompt the head reads no token
        return self.product(flat).view(*x.shape[:-1], self.out_features)

    def product(self, x: Tensor) -> Tensor:
        """y (tokens, out) from x (tokens, in)."""
        kernels = few_tokens.kernels_for(len(x))
        if kernels and self._kept is None and (blocks := self.blocks) is not None:
            self._kept = kernels.in_blocks([blocks])
        if kernels and self._kept:
            found = few_tokens.by_kernel(x, self._kept, self.out_features)
            return found if self.bias is None else found.add_(self.bias)
        y: Tensor = torch.ops.mkldnn._linear_pointwise(x, self._packed, self.bias, "none", [], "")
        return y

    @property
    def blocks(self) -> Any | None:
        """The weight as `core.kernels` reads it; None where it lies otherwise."""
        return few_tokens.blocks(self._packed, self.out_features, self.in_features)


class PlainLinear(nn.Linear):
    """A layer in fp32, or a head in bf16 that is the embeddings too: read as it lies for a few tokens."""

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled() and (x.requires_grad or self.weight.requires_grad):
            return super().forward(x)
        flat = x.reshape(-1, self.in_features)
        y = few_tokens.product(flat, self.weight).view(*x.shape[:-1], self.out_features)
        return y if self.bias is None else y.add_(self.bias)


PLAIN = (nn.Linear, PlainLinear)
"""Whose weight lies as it was."""


def for_kernels(layer: nn.Linear) -> bool:
    """Whether kernels can read the weight of a layer."""
    if isinstance(layer, PackedLinear):
        return layer.blocks is not None
    return type(layer) in PLAIN and few_tokens.readable(layer.weight)


def pack(model: Any) -> None:
    """Prepare the linear layers of a model on a CPU, in fp32 or, where that multiplies it, in bf16."""
    half = model.dtype == torch.bfloat16
    if model.device.type != "cpu" or (half and not possible()):
        return
    head = model.get_output_embeddings()
    # Asked of a model in bf16 alone: one in int8 would compute its weight to tell.
    tied = half and head is not None and head.weight is model.get_input_embeddings().weight
    for name in [name for name, layer in model.named_modules() if type(layer) is nn.Linear]:
        layer: Any = model.get_submodule(name)
        if not half or (layer is head and tied):
            layer.__class__ = PlainLinear
        else:
            model.set_submodule(name, PackedLinear(layer))


def unpack(model: Any) -> None:
    """As before `pack`, so that it can be trained through or saved."""
    changed = [name for name, layer in model.named_modules() if isinstance(layer, PackedLinear)]
    for layer in model.modules():
        if isinstance(layer, PlainLinear):
            layer.__class__ = nn.Linear  # type: ignore[assignment]
    for name in changed:
        layer = model.get_submodule(name)
        with torch.inference_mode(False):
            plain = nn.Linear(layer.in_features, layer.out_features, bias=False, device="meta")
            plain.weight = nn.Parameter(layer.weight, requires_grad=False)
            plain.bias = layer.bias
        model.set_submodule(name, plain)


def layers(model: nn.Module) -> list[PackedLinear]:
    """Those that are packed."""
    return [layer for layer in model.modules() if isinstance(layer, PackedLinear)]


def possible() -> bool:
    """Whether this torch and this CPU have what it takes; both operations are torch's own, not public."""
    known = ("_reorder_linear_weight", "_linear_pointwise", "_is_mkldnn_bf16_supported")
    there = all(hasattr(torch.ops.mkldnn, name) for name in known)
    return there and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
