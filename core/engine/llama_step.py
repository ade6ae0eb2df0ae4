"""One token of every row through a Llama model, in a third of the calls that its modules make.

A step of a small model on a CPU reads the weights in 40 ms and spends 15 ms more between operations,
which find nothing of theirs in the caches that the weights went through. Here the same products are
called one after another: positions turned by one product with a matrix of the step, heads that share
keys as rows of one query, a single row as matrix times vector that adds to what it belongs to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from transformers import LlamaForCausalLM

from core.backbone import few_tokens, packed
from core.backbone.int8 import Int8Linear

if TYPE_CHECKING:
    from core.adapters.stacked import Products
    from core.engine.cache import RowCache
    from core.engine.compiled_step import CompiledStep

_READING = (
    ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    ("self_attn.o_proj",),
    ("mlp.gate_proj", "mlp.up_proj"),
    ("mlp.down_proj",),
)
"""Linear layers of a block; those in a line read the same."""
_FROZEN = (Int8Linear, packed.PackedLinear)
_KNOWN = (*packed.PLAIN, *_FROZEN)
_FEW_WHOLE = 2
"""Rows in int8 for which kernels are quicker than fbgemm where they multiply one number at a time."""


@dataclass(frozen=True, kw_only=True)
class Linears:
    """Frozen layers that read the same, and their places among all layers with adapters; None without."""

    layers: tuple[Any, ...]
    places: tuple[int | None, ...]
    int8: bool

    def __call__(self, x: Tensor, products: Products) -> list[Tensor]:
        """y (rows, out) of each layer from x (rows, in), each row with its own adapter."""
        found = [_made(x, one) for one in self.layers]
        for place, y in zip(self.places, found, strict=True):
            if place is not None:
                products.add(place, y, x)
        return found

    @property
    def for_kernels(self) -> bool:
        """Whether kernels can read them all, and there are no biases."""
        there = all(packed.for_kernels(one) or isinstance(one, Int8Linear) for one in self.layers)
        return few_tokens.compiles() and there and all(one.bias is None for one in self.layers)

    def add_to(self, y: Tensor, x: Tensor, products: Products) -> None:
        """Onto y (rows, out) what the only layer makes of x (rows, in)."""
        (layer,), (place,) = self.layers, self.places
        if type(layer) not in packed.PLAIN or layer.bias is not None:
            y.add_(self(x, products)[0])
            return
        few_tokens.add_product(y, x, layer.weight)
        if place is not None:
            products.add(place, y, x)


@dataclass(frozen=True, kw_only=True)
class Block:
    """The layers of a block in the order in which a token goes through them."""

    before: Tensor
    between: Tensor
    """Weights of the two norms."""
    asking: Linears
    out: Linears
    growing: Linears
    down: Linears

    @property
    def linears(self) -> tuple[Linears, ...]:
        """In their order."""
        return self.asking, self.out, self.growing, self.down


class LlamaStep:
    """The weights of a model, laid out for single tokens; they stay those of the model.

    A few rows on a CPU are left to `CompiledStep`.
    """

    def __init__(self, model: Any, adapted: Sequence[Any]) -> None:
        self._model = model
        config = model.config
        places = {id(layer): place for place, layer in enumerate(adapted)}
        self.blocks = [_block(layer, places) for layer in model.model.layers]
        self.heads = config.num_key_value_heads
        self.group = config.num_attention_heads // self.heads
        self.size = model.model.layers[0].self_attn.head_dim
        self.turning = config.num_attention_heads + self.heads
        """Heads of queries and of keys."""
        self.parts = config.num_attention_heads, self.heads, self.heads
        self.eps = float(config.rms_norm_eps)
        self.embedding: Any = _base(model.model.embed_tokens)
        self.norm: Any = model.model.norm.weight
        self.head = _linears([model.lm_head], {})
        by_rows = self.head.int8 and self.head.layers[0].blocks is None
        self._few = _FEW_WHOLE if by_rows else few_tokens.FEW
        self._same, self._swapped = _turns(self.size, self.norm.device)

    def __call__(
        self, ids: Tensor, places: Tensor, mask: Tensor, cache: RowCache, products: Products
    ) -> Tensor:
        """Logits (rows, vocabulary) after tokens (rows, 1) at their places, behind those in the cache.

        `mask` (rows, columns) tells which columns hold a token.
        """
        if len(ids) <= self._few and self._compiled:
            return self._compiled(ids, places, mask, cache, products)
        x: Tensor = self.embedding(ids[:, 0])
        cos, sin = self.turned(x, places)
        turn = (self._same * cos + self._swapped * sin).to(x.dtype)
        seen = None if bool(mask.all()) else mask[:, None, None, :]
        for block, layer in zip(self.blocks, cache.cache.layers, strict=True):
            self._attend(x, block, layer, (turn, seen), products)
            grown, up = block.growing(self._normed(x, block.between), products)
            block.down.add_to(x, nn.functional.silu(grown, inplace=True).mul_(up), products)
        return self.head(self._normed(x, self.norm), products)[0]

    @cached_property
    def _compiled(self) -> CompiledStep | None:
        """By kernels, where these can read all weights."""
        every = (*(one for block in self.blocks for one in block.linears), self.head)
        if not all(one.for_kernels for one in every):
            return None
        from core.engine.compiled_step import CompiledStep

        return CompiledStep(self)

    def turned(self, x: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines and sines (rows, tokens, size of a head) by which places turn, like x."""
        found: tuple[Tensor, Tensor] = self._model.model.rotary_emb(x, position_ids=places)
        return found

    def _attend(
        self,
        x: Tensor,
        block: Block,
        layer: Any,
        around: tuple[Tensor, Tensor | None],
        products: Products,
    ) -> None:
        """Add to x (rows, hidden) what its tokens find in the cache."""
        turn, seen = around
        rows, heads, size = len(x), self.heads, self.size
        query, key, value = block.asking(self._normed(x, block.before), products)
        turned = torch.bmm(key.view(rows, heads, size), turn)
        keys, values = layer.update(turned[:, :, None], value.view(rows, heads, 1, size))
        # The heads of a group share keys, and a single token sees all columns: they are its rows.
        asked = torch.bmm(query.view(rows, -1, size), turn).view(rows, heads, -1, size)
        found = nn.functional.scaled_dot_product_attention(asked, keys, values, attn_mask=seen)
        block.out.add_to(x, found.view(rows, -1), products)

    def _normed(self, x: Tensor, weight: Tensor) -> Tensor:
        if len(x) > 1 and x.dtype == torch.float32:
            return nn.functional.rms_norm(x, weight.shape, weight, self.eps)
        wide = x.float()
        if len(x) > 1:
            scales = wide.square().mean(1, keepdim=True).add_(self.eps).rsqrt_()
            return wide.mul_(scales).to(x.dtype).mul_(weight)
        row = wide[0]
        scale = (float(row.dot(row)) / len(row) + self.eps) ** -0.5
        return (wide * scale).to(x.dtype).mul_(weight)


def fits(model: Any) -> bool:
    """Whether the step computes what the model does, and nobody looks into it by hooks."""
    if type(model) is not LlamaForCausalLM or model.config.hidden_act != "silu":
        return False
    names = [name for together in _READING for name in together]
    layers = [layer.get_submodule(name) for layer in model.model.layers for name in names]
    return all(type(_base(one)) in _KNOWN for one in (*layers, model.lm_head))


def hooked(model: Any) -> bool:
    """Whether somebody looks into the model, or into one of its blocks."""
    modules = (model, model.model, *model.model.layers)
    return any(one._forward_hooks or one._forward_pre_hooks for one in modules)


def _made(x: Tensor, layer: Any) -> Tensor:
    if type(layer) in packed.PLAIN and layer.bias is None:
        return few_tokens.product(x, layer.weight)
    found: Tensor = layer.product(x) if isinstance(layer, _FROZEN) else layer(x)
    return found


def _block(layer: Any, places: dict[int, int]) -> Block:
    asking, out, growing, down = (
        _linears([layer.get_submodule(name) for name in together], places) for together in _READING
    )
    return Block(
        before=layer.input_layernorm.weight,
        between=layer.post_attention_layernorm.weight,
        asking=asking,
        out=out,
        growing=growing,
        down=down,
    )


def _linears(modules: Sequence[Any], places: dict[int, int]) -> Linears:
    layers = tuple(_base(one) for one in modules)
    return Linears(
        layers=layers,
        places=tuple(places.get(id(one)) for one in modules),
        int8=all(isinstance(one, Int8Linear) for one in layers),
    )


def _base(module: Any) -> nn.Module:
    """Without what peft put around it."""
    found: nn.Module = module.get_base_layer() if hasattr(module, "get_base_layer") else module
    return found


def _turns(size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Matrices (size, size) whose columns times cos and sin turn the halves of a head into each other."""
    same, half = torch.eye(size, device=device), size // 2
    swapped = torch.zeros_like(same)
    swapped[half:, :half] = -torch.eye(half)
    swapped[:half, half:] = torch.eye(half)
    return same, swapped
