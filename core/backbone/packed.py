"""Linear layers in bf16 whose weights lie in the blocks that the CPU multiplies, for answering.

torch's bf16 product of a few tokens on a CPU puts the whole weight into oneDNN's blocks anew, each
time: 39 ms a token of SmolLM2 instead of 27, 56 instead of 35 for a prompt of 50. What `torch.compile`
does once for a model that it freezes is done here without it: weights packed, one operation called.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from core.backbone.frozen import FrozenLinear
from core.errors import BadSetting


class PackedLinear(FrozenLinear):
    """What an `nn.Linear` in bf16 computes, to the last bit or two; it passes no gradient."""

    @property
    def weight(self) -> Tensor:
        """As it was (out, in), laid out anew."""
        return self._packed.to_dense()

    @weight.setter
    def weight(self, value: Tensor) -> None:
        self._packed = torch.ops.mkldnn._reorder_linear_weight(value)

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled() and x.requires_grad:
            raise BadSetting("Packed layers cannot be trained through; unpack them first.")
        flat = x.reshape(-1, self.in_features)  # of a part of a long prompt the head reads no token
        return self.product(flat).view(*x.shape[:-1], self.out_features)

    def product(self, x: Tensor) -> Tensor:
        """y (tokens, out) from x (tokens, in)."""
        y: Tensor = torch.ops.mkldnn._linear_pointwise(x, self._packed, self.bias, "none", [], "")
        return y


class PlainLinear(nn.Linear):
    """A head that is the embeddings too, which cannot be packed: read from its left for a few tokens."""

    def forward(self, x: Tensor) -> Tensor:
        if (torch.is_grad_enabled() and x.requires_grad) or self.bias is not None:
            return super().forward(x)
        flat = x.reshape(-1, self.in_features)
        return product(flat, self.weight).view(*x.shape[:-1], self.out_features)


_FEW = 64
"""Tokens for which a weight is quicker as the left factor, which oneDNN takes as it lies."""


def product(x: Tensor, weight: Tensor) -> Tensor:
    """y (tokens, out) from x (tokens, in) and a weight (out, in) in bf16 on a CPU, as it lies."""
    if len(x) == 1:
        return torch.mv(weight, x[0])[None]
    if len(x) <= _FEW:
        return torch.mm(weight, x.t()).t().contiguous()
    return nn.functional.linear(x, weight)


def pack(model: Any) -> None:
    """Pack the linear layers of a model in bf16 on a CPU that multiplies bf16; leave any other alone."""
    if model.dtype != torch.bfloat16 or model.device.type != "cpu" or not possible():
        return
    head = model.get_output_embeddings()
    tied = head is not None and head.weight is model.get_input_embeddings().weight
    for name in [name for name, layer in model.named_modules() if type(layer) is nn.Linear]:
        layer: Any = model.get_submodule(name)
        if layer is head and tied:
            layer.__class__ = PlainLinear
        else:
            model.set_submodule(name, PackedLinear(layer))


def unpack(model: Any) -> None:
    """As before `pack`, so that it can be trained through or saved."""
    changed = [name for name, layer in model.named_modules() if isinstance(layer, PackedLinear)]
    head = model.get_output_embeddings()
    if isinstance(head, PlainLinear):
        head.__class__ = nn.Linear  # type: ignore[assignment]
    for name in changed:
        layer: Any = model.get_submodule(name)
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
