"""What the tokens of short prompts find, by the kernels of `core.kernels`, without padding."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from core.kernels import reading
from core.kernels.compiling import THREADS
from core.kernels.layers import array, tensor

if TYPE_CHECKING:
    from core.engine.cache import RowCache
    from core.engine.llama_step import LlamaStep


class CompiledAttention:
    """As `llama_prompts.Attention`."""

    def __init__(
        self,
        step: LlamaStep,
        places: Tensor,
        counts: Sequence[int],
        real: Tensor | None,
        cache: RowCache | None,
    ) -> None:
        self._shape = len(places), step.heads, places.shape[1], step.size
        wanted = places.reshape(1, -1) if real is None else places.reshape(1, -1)[:, real]
        turn = step.turned(torch.empty(0, dtype=torch.float32), wanted)
        self._turn = tuple(one[0].numpy() for one in turn)
        self._starts = torch.tensor([0, *accumulate(counts)]).numpy()
        lengths = cache.lengths if cache else [0] * len(counts)
        self._lengths = torch.tensor(lengths).numpy()
        self._cache = cache

    def __call__(self, asked: Sequence[Tensor], layer: Any) -> Tensor:
        """As `Attention`."""
        numbers = tuple(array(one.contiguous()) for one in asked)
        with THREADS as threads:
            kept = self._kept(asked, layer)
            found = reading.read_prompts(numbers, self._turn, self._starts, kept, threads)
        return tensor(found)

    def _kept(self, asked: Sequence[Tensor], layer: Any) -> Any:
        rows, heads, tokens, size = self._shape
        if self._cache is None:
            none = array(asked[0].new_empty(rows, heads, 0, size))
            return none, none, 0, 0, 0, self._lengths
        if not layer.parts:
            like = asked[0].new_zeros(1).expand(self._shape)
            layer.lazy_initialization(like, like)
        end = self._cache.end
        return *map(array, layer.parts), self._cache.first, end, end + tokens, self._lengths
