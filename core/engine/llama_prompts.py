"""Many tokens of every row through a Llama model: its prompts, read by what `LlamaStep` laid out.

Half of the time in which transformers' modules read short prompts in bf16 goes to norms in fp32 and
back, positions turned by copies of halves, and keys repeated for every head. Here norms are one
operation, halves are turned into their place, and the heads of a group ask together. Padding, of which
prompts of different lengths have a third, meets no weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn

from core.backbone import few_tokens

if TYPE_CHECKING:
    from core.adapters.stacked import Products
    from core.engine.cache import RowCache
    from core.engine.llama_step import LlamaStep

_SHORT = 1024
"""Columns up to which a kernel is quicker than torch, which has every thread its part of a long row."""
_READ = (torch.float32, torch.bfloat16)
"""By kernels."""


class Attention(Protocol):
    """What tokens find among those before them in their row; of one pass, block after block."""

    def __call__(self, asked: Sequence[Tensor], layer: Any) -> Tensor:
        """(real tokens, heads · size) of queries, keys and values, which are kept in a layer of a cache."""
        ...


class LlamaPrompts:
    """Reads with the layers of a step."""

    def __init__(self, step: LlamaStep) -> None:
        self._step = step

    def __call__(
        self,
        ids: Tensor,
        places: Tensor,
        mask: Tensor,
        counts: Sequence[int],
        kept: Tensor,
        cache: RowCache | None,
        products: Products,
    ) -> Tensor:
        """Logits (places kept, vocabulary) of tokens (rows, tokens), behind those in the cache.

        `mask` (rows, columns) tells which columns hold a token, `counts` how many of the tokens of each row
        are no padding, its last ones, and `kept` (rows, tokens) whose logits count.
        """
        step, real = self._step, _real(ids, counts)
        flat = ids.flatten() if real is None else ids.flatten()[real]
        x: Tensor = step.embedding(flat)
        attention = self._attention(x, places, mask, counts, real, cache)
        layers: list[Any] = cache.cache.layers if cache else [None] * len(step.blocks)
        for block, layer in zip(step.blocks, layers, strict=True):
            asked = block.asking(self._normed(x, block.before), products)
            block.out.add_to(x, attention(asked, layer), products)
            grown, up = block.growing(self._normed(x, block.between), products)
            block.down.add_to(x, self._gated(grown, up), products)
        places_kept = kept.flatten() if real is None else kept.flatten()[real]
        last = x[places_kept]
        if not len(last):  # a part of a long prompt
            return x.new_zeros(0, step.head.layers[0].out_features)
        return step.head(self._normed(last, step.norm), products)[0]

    def _attention(
        self,
        x: Tensor,
        places: Tensor,
        mask: Tensor,
        counts: Sequence[int],
        real: Tensor | None,
        cache: RowCache | None,
    ) -> Attention:
        if mask.shape[1] <= _SHORT and _by_kernels(x) and few_tokens.read_prompts():
            from core.engine.compiled_attention import CompiledAttention

            return CompiledAttention(self._step, places, counts, real, cache)
        return PaddedAttention(self._step, x, places, mask, real)

    def _normed(self, x: Tensor, weight: Tensor) -> Tensor:
        if _by_kernels(x):
            from core.kernels import blocks, layers

            return layers.tensor(
                blocks.normed_alike(layers.array(x), weight.float().numpy(), self._step.eps)
            )
        if x.dtype != torch.float32:
            return nn.functional.rms_norm(x, weight.shape, weight, self._step.eps)
        scales = x.square().mean(1, keepdim=True).add_(self._step.eps).rsqrt_()
        return (x * scales).mul_(weight)  # torch's own takes ten times as long in fp32

    def _gated(self, y: Tensor, up: Tensor) -> Tensor:
        if not _by_kernels(y):
            return nn.functional.silu(y, inplace=True).mul_(up)
        from core.kernels import blocks, layers

        blocks.gate(layers.array(y), layers.array(up))
        return y


def _by_kernels(x: Tensor) -> bool:
    """Whether they are loaded, and read such numbers."""
    return x.dtype in _READ and x.device.type == "cpu" and few_tokens.loaded()


class PaddedAttention:
    """By torch, rows padded to the same length."""

    def __init__(
        self, step: LlamaStep, x: Tensor, places: Tensor, mask: Tensor, real: Tensor | None
    ) -> None:
        self._step, self._real, self._rows = step, real, places.shape
        self._cos, self._sin = (one[:, :, None, : step.size // 2] for one in step.turned(x, places))
        self._unseen = self._hidden(x, mask)

    def _hidden(self, x: Tensor, mask: Tensor) -> Tensor:
        """(rows, 1, heads of a group · tokens, columns), to add to scores: 0, or the least there is."""
        (rows, tokens), columns = self._rows, mask.shape[1]
        own = torch.arange(columns - tokens, columns, device=x.device)
        seen = mask[:, None] & (torch.arange(columns, device=x.device) <= own[:, None])
        least = torch.finfo(x.dtype).min  # not infinite: a row of padding has to stay a number
        unseen = x.new_zeros(rows, 1, tokens, columns).masked_fill_(~seen[:, None], least)
        return unseen.repeat(1, 1, self._step.group, 1)

    def __call__(self, asked: Sequence[Tensor], layer: Any) -> Tensor:
        """As `Attention`."""
        (rows, tokens), size = self._rows, self._step.size
        query, key, value = (self._spread(one).reshape(rows, tokens, -1, size) for one in asked)
        keys, values = turned(key, self._cos, self._sin), value.transpose(1, 2)
        if layer is not None:
            keys, values = layer.update(keys, values)
        # The heads of a group share keys: they are rows of one query.
        query = turned(query, self._cos, self._sin).view(rows, keys.shape[1], -1, size)
        found = nn.functional.scaled_dot_product_attention(
            query, keys, values, attn_mask=self._unseen
        )
        found = found.view(rows, -1, tokens, size).transpose(1, 2).reshape(rows * tokens, -1)
        return found if self._real is None else found.index_select(0, self._real)

    def _spread(self, x: Tensor) -> Tensor:
        """(rows · tokens, size), zero at padding, of tokens (real, size)."""
        if self._real is None:
            return x
        rows, tokens = self._rows
        return x.new_zeros(rows * tokens, x.shape[1]).index_copy_(0, self._real, x)


def _real(ids: Tensor, counts: Sequence[int]) -> Tensor | None:
    """Places of the tokens that are no padding, among all (rows · tokens); None where none is."""
    tokens = ids.shape[1]
    if min(counts) == tokens:
        return None
    padding = tokens - torch.tensor(counts)[:, None]
    return (torch.arange(tokens) >= padding).flatten().nonzero()[:, 0].to(ids.device)


def turned(heads: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """(rows, heads, tokens, size) from (rows, tokens, heads, size), turned by their places.

    `cos` and `sin` are (1 or rows, tokens, 1, half of a size).
    """
    rows, tokens, number, size = heads.shape
    made = heads.new_empty(rows, number, tokens, size)
    places, half = made.transpose(1, 2), size // 2
    first, second = heads[..., :half], heads[..., half:]
    torch.mul(first, cos, out=places[..., :half])
    places[..., :half].addcmul_(second, sin, value=-1)
    torch.mul(second, cos, out=places[..., half:])
    places[..., half:].addcmul_(first, sin)
    return made
