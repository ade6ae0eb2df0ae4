"""LoRA layers that take fewer passes over memory than peft's own, with the same result.

peft computes `W x + s · B (A x)` as five operations, two of them over the whole output; here the
low-rank product is added in place, in the dtype of the backbone, and nothing is kept for weights that
do not learn. The adapter itself, its gradients and its optimizer stay in fp32.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from peft.tuners.lora import Linear
from torch import Tensor, nn

from core.backbone.packed import PLAIN


class LoraProduct(torch.autograd.Function):
    """y (…, out) of x (…, in): `x Wᵀ + b + scaling · (x Aᵀ) Bᵀ`; W (out, in) and b are frozen."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        a: Tensor,
        b: Tensor,
        scaling: float,
    ) -> Tensor:
        kind = x.device.type
        mixed = torch.is_autocast_enabled(kind)
        dtype = torch.get_autocast_dtype(kind) if mixed else weight.dtype
        with torch.autocast(kind, enabled=False):
            flat = x.reshape(-1, x.shape[-1]).to(dtype)
            weight, low, high = weight.to(dtype), a.to(dtype), (b * scaling).to(dtype)
            hidden = flat @ low.t()
            y = torch.nn.functional.linear(flat, weight, None if bias is None else bias.to(dtype))
            y.addmm_(hidden, high.t())
        ctx.save_for_backward(flat, weight, low, high, hidden)
        ctx.scaling, ctx.shape, ctx.dtype = scaling, x.shape, x.dtype
        return y.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        flat, weight, low, high, hidden = ctx.saved_tensors
        dy = gradients[0].reshape(-1, gradients[0].shape[-1])
        inner = dy @ high
        da, db = inner.t() @ flat, dy.t() @ hidden
        dx = None
        if ctx.needs_input_grad[0]:
            dx = (dy @ weight).addmm_(inner, low).view(ctx.shape).to(ctx.dtype)
        return dx, None, None, da.float(), db.float() * ctx.scaling, None


def _fits(layer: Linear, key: str) -> bool:
    """Plain LoRA on a plain linear layer: no dropout, no DoRA, no bias of its own."""
    return (
        type(layer) is Linear
        and type(layer.get_base_layer()) in PLAIN
        and key in layer.lora_A
        and not layer.merged
        and not layer.use_dora.get(key, False)
        and not layer.lora_bias.get(key, False)
        and isinstance(layer.lora_dropout[key], nn.Identity)
    )


def _forward(layer: Linear, key: str) -> Any:
    base, scaling = layer.get_base_layer(), float(layer.scaling[key])
    low, high = layer.lora_A[key], layer.lora_B[key]

    def forward(x: Tensor, *rest: Any, **options: Any) -> Tensor:
        return LoraProduct.apply(x, base.weight, base.bias, low.weight, high.weight, scaling)

    return forward


def frozen(layer: nn.Module, key: str) -> Any:
    """The forward of a layer whose adapter does not learn: its two matrices are laid out once.

    None where peft's own has to do it.
    """
    if not isinstance(layer, Linear) or not _fits(layer, key):
        return None
    base: Any = layer.get_base_layer()
    first: Any = layer.lora_A[key].weight
    second: Any = layer.lora_B[key].weight
    low = first.detach().to(base.weight.dtype).t().contiguous()
    high = second.detach() * float(layer.scaling[key])
    high = high.to(base.weight.dtype).t().contiguous()

    def forward(x: Tensor, *rest: Any, **options: Any) -> Tensor:
        flat = x.reshape(-1, x.shape[-1])
        y = torch.nn.functional.linear(flat, base.weight, base.bias)
        return y.addmm_(flat @ low, high).view(*x.shape[:-1], -1)

    return forward


def bare(layer: nn.Module) -> Any:
    """The forward of a layer without its adapters."""
    base: Any = layer.get_base_layer()  # type: ignore[operator]

    def forward(x: Tensor, *rest: Any, **options: Any) -> Tensor:
        return base(x, *rest, **options)

    return forward


@contextmanager
def fused(model: nn.Module, key: str) -> Iterator[None]:
    """Within the block every layer that fits computes adapter `key`, and that one alone."""
    layers = [module for module in model.modules() if isinstance(module, Linear)]
    changed = [layer for layer in layers if _fits(layer, key)]
    for layer in changed:
        layer.forward = _forward(layer, key)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for layer in changed:
            layer.__dict__.pop("forward", None)
