"""Many tokens of every row through a Llama model: its prompts, read by what `LlamaStep` laid out.

Half of the time in which transformers' modules read short prompts in bf16 goes to norms in fp32 and
back, positions turned by copies of halves, and keys repeated for every head. Here norms are one
operation, halves are turned into their place, and the heads of a group ask together. Padding, of which
prompts of different lengths have a third, meets no weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from core.adapters.stacked import Products
    from core.engine.cache import RowCache
    from core.engine.llama_step import Block, LlamaStep


@dataclass(frozen=True, kw_only=True)
class _Around:
    """What all blocks of a pass share."""

    cos: Tensor
    sin: Tensor
    """(rows, tokens, 1, half of a head)"""
    unseen: Tensor
    """(rows, 1, heads of a group · tokens, columns), to add to scores: 0, or the least there is."""
    products: Products
    real: Tensor | None
    """Places of the tokens that are no padding, among all (rows · tokens); None where none is."""

    def spread(self, x: Tensor) -> Tensor:
        """(rows · tokens, size), zero at padding, of tokens (real, size)."""
        if self.real is None:
            return x
        rows, tokens = self.cos.shape[:2]
        return x.new_zeros(rows * tokens, x.shape[1]).index_copy_(0, self.real, x)

    def gathered(self, x: Tensor) -> Tensor:
        """The tokens that are no padding."""
        return x if self.real is None else x.index_select(0, self.real)


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
        cos, sin = (one[:, :, None, : step.size // 2] for one in step.turned(x, places))
        unseen = self._unseen(x, ids, mask)
        around = _Around(cos=cos, sin=sin, unseen=unseen, products=products, real=real)
        layers: list[Any] = cache.cache.layers if cache else [None] * len(step.blocks)
        for block, layer in zip(step.blocks, layers, strict=True):
            self._attend(x, block, layer, around)
            grown, up = block.growing(self._normed(x, block.between), products)
            block.down.add_to(x, nn.functional.silu(grown, inplace=True).mul_(up), products)
        last = x[around.gathered(kept.reshape(-1, 1))[:, 0]]
        if not len(last):  # a part of a long prompt
            return x.new_zeros(0, step.head.layers[0].out_features)
        return step.head(self._normed(last, step.norm), products)[0]

    def _unseen(self, x: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
        (rows, tokens), columns = ids.shape, mask.shape[1]
        own = torch.arange(columns - tokens, columns, device=ids.device)
        seen = mask[:, None] & (torch.arange(columns, device=ids.device) <= own[:, None])
        least = torch.finfo(x.dtype).min  # not infinite: a row of padding has to stay a number
        unseen = x.new_zeros(rows, 1, tokens, columns).masked_fill_(~seen[:, None], least)
        return unseen.repeat(1, 1, self._step.group, 1)

    def _attend(self, x: Tensor, block: Block, layer: Any, around: _Around) -> None:
        """Add to x (real tokens, hidden) what they find among those before them."""
        rows, tokens = around.cos.shape[:2]
        query, key, value = (
            around.spread(one).reshape(rows, tokens, -1, self._step.size)
            for one in block.asking(self._normed(x, block.before), around.products)
        )
        keys, values = turned(key, around.cos, around.sin), value.transpose(1, 2)
        if layer is not None:
            keys, values = layer.update(keys, values)
        # The heads of a group share keys: they are rows of one query.
        asked = turned(query, around.cos, around.sin).view(rows, keys.shape[1], -1, self._step.size)
        found = nn.functional.scaled_dot_product_attention(
            asked, keys, values, attn_mask=around.unseen
        )
        found = found.view(rows, -1, tokens, self._step.size).transpose(1, 2)
        read = around.gathered(found.reshape(rows * tokens, -1))
        block.out.add_to(x, read, around.products)

    def _normed(self, x: Tensor, weight: Tensor) -> Tensor:
        if x.dtype != torch.float32:
            return nn.functional.rms_norm(x, weight.shape, weight, self._step.eps)
        scales = x.square().mean(1, keepdim=True).add_(self._step.eps).rsqrt_()
        return (x * scales).mul_(weight)  # torch's own takes ten times as long in fp32


def _real(ids: Tensor, counts: Sequence[int]) -> Tensor | None:
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
