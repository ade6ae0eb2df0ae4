"""Mixed traffic of all tasks: our engine, and peft with transformers' `generate`, in turns.

Every system has its own copy of the backbone in this process and answers the same requests. What
they answer is compared before any speed is told.
"""

from __future__ import annotations

import statistics
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol

import torch

from core import backbone as backbones
from core import hardware
from core.adapters.routing import quiet
from core.engine.engine import Engine
from core.engine.sequences import Request

_BYTES = 2**28
"""Of the matrix that bandwidth is measured with: more than any cache holds."""


@dataclass(frozen=True, kw_only=True)
class Answered:
    """What a system said: the ids of each request, or the place of the likeliest label token."""

    ids: list[tuple[int, ...]]
    tokens: int
    """Computed, end-of-text included; a closed answer is one."""


class System(Protocol):
    """Answers requests with its own backbone and adapters."""

    def answer(self, requests: Sequence[Request]) -> Answered: ...


class Ours:
    """Everything at once; the scheduler sorts it out."""

    def __init__(self, folder: str, adapters: Mapping[str, Path]) -> None:
        self._engine = Engine(backbones.load(folder))
        for name, path in adapters.items():
            self._engine.adapters.load(name, path)

    def answer(self, requests: Sequence[Request]) -> Answered:
        found = [handle.result() for handle in self._engine.submit_all(requests)]
        ids = [one.ids or (_first(one.probabilities),) for one in found]
        return Answered(ids=ids, tokens=sum(one.completion_tokens for one in found))


class Peft(ABC):
    """As a person would write it: left padding, `generate`, and one forward pass for closed answers."""

    def __init__(self, folder: str, adapters: Mapping[str, Path]) -> None:
        from peft import PeftModel

        loaded = backbones.load(folder)
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
        return [_until(ids[: one.max_new_tokens], end) for ids, one in rows]

    def _padded(self, requests: Sequence[Request]) -> dict[str, torch.Tensor]:
        longest = max(len(one.prompt) for one in requests)
        padding = self._tokenizer.pad_token_id or 0
        ids = [[padding] * (longest - len(one.prompt)) + [*one.prompt] for one in requests]
        mask = [[0] * (longest - len(one.prompt)) + [1] * len(one.prompt) for one in requests]
        return {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask)}


class OneAfterAnother(Peft):
    """`set_adapter`, the rows of one task in a batch, then the next task."""

    def _groups(self, requests: Sequence[Request]) -> list[tuple[list[int], dict[str, Any]]]:
        return [(places, {}) for places in _by(requests, _adapter_and_kind)]

    def _rank(
        self, requests: Sequence[Request], names: dict[str, Any]
    ) -> list[tuple[tuple[int, ...], int]]:
        self._model.set_adapter(f"task-{requests[0].adapter}")
        return super()._rank(requests, names)

    def _write(
        self, requests: Sequence[Request], names: dict[str, Any]
    ) -> list[tuple[tuple[int, ...], int]]:
        self._model.set_adapter(f"task-{requests[0].adapter}")
        return super()._write(requests, names)


class MixedBatch(Peft):
    """`adapter_names`: closed answers of all tasks in one batch, free answers in another."""

    def _groups(self, requests: Sequence[Request]) -> list[tuple[list[int], dict[str, Any]]]:
        return [
            (places, {"adapter_names": [f"task-{requests[place].adapter}" for place in places]})
            for places in _by(requests, lambda request: str(bool(request.label_tokens)))
        ]


SYSTEMS: Mapping[str, Callable[[str, Mapping[str, Path]], System]] = {
    "quintet": Ours,
    "peft adapter_names": MixedBatch,
    "peft set_adapter": OneAfterAnother,
}


@dataclass(frozen=True, kw_only=True)
class Served:
    """One system; seconds are the medians over the rounds."""

    name: str
    tokens: int
    seconds: float
    processor_seconds: float
    same: int
    """Requests with the first system's answer."""


@dataclass(frozen=True, kw_only=True)
class Floor:
    """What no program can do better on this machine."""

    weights: int
    """Bytes that each step reads."""
    bandwidth: float
    """Bytes per second, measured."""
    flops: float

    @property
    def steps(self) -> float:
        """Steps per second, if reading the weights were all."""
        return self.bandwidth / self.weights


def floor(folder: str) -> Floor:
    """The size of a backbone, and how fast this machine reads and multiplies."""
    model = backbones.load(folder).model
    weights = sum(one.numel() * one.element_size() for one in model.parameters())
    matrix = torch.ones(_BYTES // 4 // 4096, 4096)
    vector, best = torch.ones(4096), float("inf")
    for _ in range(5):
        start = time.perf_counter()
        matrix @ vector
        best = min(best, time.perf_counter() - start)
    return Floor(weights=weights, bandwidth=_BYTES / best, flops=hardware.measure("cpu").flops_fp32)


def compare(
    folder: str,
    adapters: Mapping[str, Path],
    requests: Sequence[Request],
    *,
    names: Sequence[str] = tuple(SYSTEMS),
    rounds: int = 3,
    told: Callable[[int, int], None] = lambda done, total: None,
) -> list[Served]:
    """All systems in turn, `rounds` times over, after one turn whose answers are compared."""
    made = {name: SYSTEMS[name](folder, adapters) for name in names}
    first = {name: one.answer(requests) for name, one in made.items()}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for number in range(rounds * len(names)):
        name = names[number % len(names)]
        start, processor = time.perf_counter(), time.process_time()
        made[name].answer(requests)
        times[name].append((time.perf_counter() - start, time.process_time() - processor))
        told(number + 1, rounds * len(names))
    leader = first[names[0]].ids
    return [
        Served(
            name=name,
            tokens=first[name].tokens,
            seconds=statistics.median(wall for wall, _ in times[name]),
            processor_seconds=statistics.median(used for _, used in times[name]),
            same=sum(map(lambda one, other: one == other, first[name].ids, leader)),
        )
        for name in names
    ]


def _by(requests: Sequence[Request], key: Callable[[Request], str]) -> list[list[int]]:
    order = sorted(range(len(requests)), key=lambda place: key(requests[place]))
    grouped = groupby(order, key=lambda place: key(requests[place]))
    return [list(places) for _, places in grouped]


def _adapter_and_kind(request: Request) -> str:
    return f"{request.adapter} {bool(request.label_tokens)}"


def _first(probabilities: Sequence[float]) -> int:
    return max(range(len(probabilities)), key=probabilities.__getitem__)


def _until(ids: list[int], end: int) -> tuple[tuple[int, ...], int]:
    """What stands before end-of-text, and how many tokens were computed."""
    if end not in ids:
        return tuple(ids), len(ids)
    return tuple(ids[: ids.index(end)]), ids.index(end) + 1
