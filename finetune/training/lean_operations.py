"""Norms and attention that train in fewer passes over memory than transformers' own, with the same result.

A norm of transformers keeps its input, that in fp32, both again when scaled, and the scales; here its
input and scales are kept. Attention over short rows repeats no keys: heads that share them ask together.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from core.engine.llama_prompts import turned

_NORMS = {"LlamaRMSNorm", "MistralRMSNorm", "Qwen2RMSNorm", "Qwen3RMSNorm"}
"""Of transformers: one formula, and nothing but products reads what they give."""


class RmsNorm(torch.autograd.Function):
    """y = x · w / √(mean x² + ε) of x (…, width) and w (width,), reckoned in fp32, given in `dtype`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float, dtype: torch.dtype) -> Tensor:
        wide = x.float()
        scale = (wide * wide).mean(-1, keepdim=True).add_(eps).rsqrt_()  # square() is slower
        ctx.save_for_backward(x, weight, scale)
        return (wide * scale).mul_(weight).to(dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        x, weight, scale = ctx.saved_tensors
        dy, wide = gradients[0].float(), x.float()
        dweight = (dy * wide * scale).flatten(0, -2).sum(0) if ctx.needs_input_grad[1] else None
        dy = dy * weight
        inner = (dy * wide).mean(-1, keepdim=True).mul_(scale * scale * scale)
        dx = dy.mul_(scale).addcmul_(wide, inner, value=-1)
        return dx.to(x.dtype), dweight, None, None


class ShortAttention(torch.autograd.Function):
    """What the heads of every token find among the tokens before it, all scores at once.

    Queries are (rows, tokens, heads, size), keys and values (rows, tokens, groups, size); `cos` and
    `sin` (1 or rows, tokens, 1, half of a size) turn both by their places, `unseen` is added to the scores.
    Returns (rows, tokens, heads · size).
    """

    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        cos: Tensor,
        sin: Tensor,
        unseen: Tensor,
        scaling: float,
    ) -> Tensor:
        rows, tokens, heads, size = query.shape
        keys, values = turned(key, cos, sin), value.transpose(1, 2)
        keys, values = (one.reshape(-1, tokens, size) for one in (keys, values))
        asked = turned(query, cos, sin).view(len(keys), -1, size)
        scores = torch.bmm(asked, keys.mT).float().mul_(scaling)
        scores.view(rows, heads, tokens, tokens).add_(unseen)
        shares = scores.softmax(-1).to(query.dtype)
        ctx.save_for_backward(asked, keys, values, shares, cos, sin)
        ctx.scaling, ctx.shape = scaling, query.shape
        found = torch.bmm(shares, values).view(rows, heads, tokens, size)
        return found.transpose(1, 2).reshape(rows, tokens, -1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        asked, keys, values, shares, cos, sin = ctx.saved_tensors
        rows, tokens, heads, size = ctx.shape
        dy = gradients[0].view(ctx.shape).transpose(1, 2).reshape(asked.shape)
        dvalues = torch.bmm(shares.mT, dy)
        dshares = torch.bmm(dy, values.mT)
        dscores = torch._softmax_backward_data(dshares, shares, -1, shares.dtype)
        dscores = dscores.mul_(ctx.scaling)
        dasked = torch.bmm(dscores, keys).view(rows, heads, tokens, size)
        dkeys = torch.bmm(dscores.mT, asked).view(rows, -1, tokens, size)
        dquery, dkey = (
            turned(one.transpose(1, 2), cos, -sin).transpose(1, 2) for one in (dasked, dkeys)
        )
        return dquery, dkey, dvalues.view(rows, -1, tokens, size).transpose(1, 2), *[None] * 4


def _computes_in(x: Tensor) -> torch.dtype:
    """The dtype of the products that take x."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype


def _norm(layer: Any) -> Any:
    def forward(x: Tensor) -> Tensor:
        return RmsNorm.apply(x, layer.weight, layer.variance_epsilon, _computes_in(x))

    return forward


def _attention(layer: Any) -> Any:
    size, own = layer.head_dim, layer.forward

    def forward(
        hidden_states: Tensor,
        position_embeddings: tuple[Tensor, Tensor],
        attention_mask: Tensor | None = None,
        past_key_values: Any = None,
        **options: Any,
    ) -> tuple[Tensor, Tensor | None]:
        if past_key_values is not None:
            return own(
                hidden_states, position_embeddings, attention_mask, past_key_values, **options
            )
        rows, tokens = hidden_states.shape[:2]
        parts = [
            project(hidden_states).view(rows, tokens, -1, size)
            for project in (layer.q_proj, layer.k_proj, layer.v_proj)
        ]
        cos, sin = (
            one[..., : size // 2].unsqueeze(2).to(parts[0].dtype) for one in position_embeddings
        )
        if attention_mask is None:
            least = torch.finfo(torch.float32).min
            attention_mask = torch.full((tokens, tokens), least, device=cos.device).triu(1)
        with torch.autocast(cos.device.type, enabled=False):
            found = ShortAttention.apply(*parts, cos, sin, attention_mask, layer.scaling)
        return layer.o_proj(found), None

    return forward


def _made(layer: nn.Module, attention: bool) -> Any:
    """The forward that takes the place of a layer's own, None where that has to stay."""
    kind = type(layer)
    if not kind.__module__.startswith("transformers.models."):
        return None
    if kind.__name__ in _NORMS:
        return _norm(layer)
    if attention and kind.__name__ == "LlamaAttention" and not layer.attention_dropout:
        return _attention(layer)
    return None


@contextmanager
def lean(model: nn.Module, *, attention: bool) -> Iterator[None]:
    """Within the block the layers that have leaner operations train by them."""
    changed = []
    for layer in model.modules():
        if made := _made(layer, attention):
            layer.forward = made
            changed.append(layer)
    try:
        yield
    finally:
        for layer in changed:
            layer.__dict__.pop("forward", None)
