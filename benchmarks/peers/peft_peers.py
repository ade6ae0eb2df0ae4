"""peft with transformers' `generate`: `set_adapter` and `adapter_names`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import torch

from benchmarks.peers.contract import Answered, Precision, until
from core import backbone as backbones
from core.adapters.routing import quiet
from core.engine.sequences import Request


class Peft(ABC):
    """As a person would write it: left padding, `generate`, and one forward pass for closed answers."""

    def __init__(self, folder: str, adapters: Mapping[str, Path], precision: Precision) -> None:
        from peft import PeftModel

        loaded = backbones.load(folder, dtype=precision)
        self._tokenizer = loaded.tokenizer
        (first, path), *others = adapters.items()
        with quiet():
            model = PeftModel.from_pretrained(loaded.model, path, adapter_name=f"task-{first}")
            for name, path in others:
                model.load_adapter(path, adapter_name=f"task-{name}")
        self._model: Any = model.eval()

    def answer(self, requests: Sequence[Request]) -> Answered:
        found: dict[int, tuple[int, ...]] = {}
        computed = 0
        with torch.inference_mode():
            for places, names in self._groups(requests):
                some = [requests[place] for place in places]
                self._prepare(some)
                given = (
                    self._rank(some, names) if some[0].label_tokens else self._write(some, names)
                )
                for place, (ids, tokens) in zip(places, given, strict=True):
                    found[place] = ids
                    computed += tokens
        return Answered(ids=[found[place] for place in range(len(requests))], tokens=computed)

    @abstractmethod
    def _groups(self, requests: Sequence[Request]) -> list[tuple[list[int], dict[str, Any]]]:
        """The places of requests that one call answers, and what names their adapters to it."""

    @abstractmethod
    def _prepare(self, requests: Sequence[Request]) -> None:
        """Before the requests of one call."""

    def _rank(
        self, requests: Sequence[Request], names: dict[str, Any]
    ) -> list[tuple[tuple[int, ...], int]]:
        logits = self._model(**self._padded(requests), logits_to_keep=1, **names).logits[:, -1]
        rows = zip(logits, requests, strict=True)
        return [((int(row[list(one.label_tokens)].argmax()),), 1) for row, one in rows]

    def _write(
        self, requests: Sequence[Request], names: dict[str, Any]
    ) -> list[tuple[tuple[int, ...], int]]:
        padded = self._padded(requests)
        width, end = padded["input_ids"].shape[1], self._tokenizer.eos_token_id
        every = list(range(len(self._tokenizer)))

        def allowed(row: int, ids: torch.Tensor) -> list[int]:
            rule = requests[row].allowed
            return list(rule(ids[width:].tolist())) if rule else every

        ruled = any(one.allowed for one in requests)
        written = self._model.generate(
            **padded,
            max_new_tokens=max(one.max_new_tokens for one in requests),
            do_sample=False,
            pad_token_id=self._tokenizer.pad_token_id or 0,
            **({"prefix_allowed_tokens_fn": allowed} if ruled else {}),
            **names,
        )
        rows = zip(written[:, width:].tolist(), requests, strict=True)
        return [until(ids[: one.max_new_tokens], end) for ids, one in rows]

    def _padded(self, requests: Sequence[Request]) -> dict[str, torch.Tensor]:
        longest = max(len(one.prompt) for one in requests)
        padding = self._tokenizer.pad_token_id or 0
        ids = [[padding] * (longest - len(one.prompt)) + [*one.prompt] for one in requests]
        mask = [[0] * (longest - len(one.prompt)) + [1] * len(one.prompt) for one in requests]
        return {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask)}


class OneAfterAnother(Peft):
    """`set_adapter`, the rows of one task in a batch, then the next task."""

    def _groups(self, requests: Sequence[Request]) -> list[tuple[list[int], dict[str, Any]]]:
        return [(places, {}) for places in by(requests, adapter_and_kind)]

    def _prepare(self, requests: Sequence[Request]) -> None:
        self._model.set_adapter(f"task-{requests[0].adapter}")


class MixedBatch(Peft):
    """`adapter_names`: closed answers of all tasks in one batch, free answers in another."""

    def _prepare(self, requests: Sequence[Request]) -> None:
        """Each call names its adapters."""

    def _groups(self, requests: Sequence[Request]) -> list[tuple[list[int], dict[str, Any]]]:
        return [
            (places, {"adapter_names": [f"task-{requests[place].adapter}" for place in places]})
            for places in by(requests, lambda request: str(bool(request.label_tokens)))
        ]


class InOrder(OneAfterAnother):
    """`set_adapter` for one request after another, as they arrive: tasks alternate, so none can be grouped."""

    def _groups(self, requests: Sequence[Request]) -> list[tuple[list[int], dict[str, Any]]]:
        return [([place], {}) for place in range(len(requests))]


def by(requests: Sequence[Request], key: Callable[[Request], str]) -> list[list[int]]:
    order = sorted(range(len(requests)), key=lambda place: key(requests[place]))
    grouped = groupby(order, key=lambda place: key(requests[place]))
    return [list(places) for _, places in grouped]


def adapter_and_kind(request: Request) -> str:
    return f"{request.adapter} {bool(request.label_tokens)}"
