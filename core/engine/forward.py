"""One forward pass over rows that differ in length and adapter."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from core.backbone import few_tokens
from core.engine.cache import RowCache, remembers
from core.engine.llama_prompts import LlamaPrompts
from core.engine.llama_step import LlamaStep, fits, hooked

if TYPE_CHECKING:
    from torch import Tensor

    from core.adapters.lora import AdapterStack
    from core.backbone import Backbone
    from core.engine.prefixes import Mark

_KERNELS = (torch.float32, torch.bfloat16)
"""Of weights that kernels read."""
_MANY = 10_000
"""Tokens after which a process gains more by kernels than it takes to load them."""


class Forward:
    """The only caller of the model while it serves."""

    def __init__(self, backbone: Backbone, adapters: AdapterStack) -> None:
        self.backbone = backbone
        self.routing = adapters.routing
        self._takes = frozenset(inspect.signature(backbone.model.forward).parameters)
        self._remembers = remembers(backbone.model)
        model = backbone.model
        self._kernels = model.device.type == "cpu" and model.dtype in _KERNELS
        self._read = 0
        self._step: tuple[list[Any], LlamaStep | None] | None = None

    def mark(self, key: str | None) -> Mark | None:
        """By which the prefix cache knows an adapter; None where nothing of it may be kept."""
        return self.routing.mark(key) if self._remembers else None

    @contextmanager
    def step(self) -> Iterator[None]:
        """Adapters stay as they are, the model evaluates; afterwards it is as it was."""
        model: Any = self.backbone.model
        with self.routing.turns.step(), torch.inference_mode():
            training = model.training
            try:
                if training:
                    model.eval()
                yield
            finally:
                if training:
                    model.train()

    def __call__(
        self,
        tokens: Sequence[Sequence[int]],
        keys: Sequence[str | None],
        wanted: Sequence[int],
        cache: RowCache | None,
    ) -> Tensor:
        """Logits (all wanted, vocabulary) in fp32 at the last `wanted` places of each row's new tokens.

        The new tokens are padded on the left; in a cache that holds rows already all have one length.
        They count as held once the caller says so (`RowCache.advance`): a pass that failed left nothing.
        """
        longest = max(map(len, tokens))
        device, padding = self.backbone.device, self.backbone.tokenizer.pad_token_id or 0
        ids = torch.tensor([[padding] * (longest - len(row)) + [*row] for row in tokens])
        before = cache.lengths if cache else [0] * len(tokens)
        after = torch.tensor([held + len(row) for held, row in zip(before, tokens, strict=True)])
        options: dict[str, Any] = {"use_cache": cache is not None}
        if cache is not None:
            cache.prepare(longest)
            options["past_key_values"] = cache.cache
        columns = longest + (cache.columns if cache else 0)
        if "position_ids" in self._takes:
            places = torch.arange(longest) + (after - longest)[:, None]
            options["position_ids"] = places.clamp(min=0).to(device)
        mask = torch.arange(columns) >= (columns - after)[:, None]
        kept = torch.arange(longest) >= longest - torch.tensor(wanted)[:, None]
        self._read += sum(map(len, tokens))
        if self._kernels and (longest == 1 or self._read > _MANY):
            few_tokens.compiles()
        # On a CPU prompts of a Llama are read without the padding between them.
        ragged = device.type == "cpu" and longest > 1
        counts = [len(row) if ragged else longest for row in tokens]
        if (products := self.routing.products(keys, counts)) and (step := self._llama_step()):
            given = ids.to(device), options["position_ids"], mask.to(device)
            if longest == 1 and cache is not None and cache.columns:
                return step(*given, cache, products).float()
            if device.type == "cpu":
                return LlamaPrompts(step)(*given, counts, kept, cache, products).float()
        with self.routing.rows(keys, longest):
            logits = self._logits(ids.to(device), mask.long().to(device), kept.to(device), options)
        return logits.float()

    def _llama_step(self) -> LlamaStep | None:
        """Where the model is a Llama, and nobody looks into it or has cut it into shards."""
        model, adapted = self.backbone.model, self.routing.layers
        if self._step is None or self._step[0] is not adapted:
            suits = fits(model)
            if suits and hooked(model):
                return None
            self._step = adapted, LlamaStep(model, adapted) if suits else None
        return self._step[1] if self._step[1] and not hooked(model) else None

    def _logits(self, ids: Tensor, mask: Tensor, kept: Tensor, options: dict[str, Any]) -> Tensor:
        model: Any = self.backbone.model
        if "logits_to_keep" not in self._takes:
            found: Tensor = model(input_ids=ids, attention_mask=mask, **options).logits
            return found[kept]
        # As a mask, so that the hidden states come out as one matrix. As a slice of three dimensions
        # the head would multiply them one by one.
        found = model(input_ids=ids, attention_mask=mask, logits_to_keep=kept, **options).logits
        return found.reshape(-1, found.shape[-1])
