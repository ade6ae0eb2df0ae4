"""Traffic of all tasks: our engine and whom it is measured beside (`benchmarks.peers`), in turns.

Every system has its own copy of the backbone in this process and answers the same requests. What
they answer is compared before any speed is told.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch

from benchmarks.peers.contract import Answered, Maker, Precision, System
from benchmarks.peers.ctranslate2_peer import Merged
from benchmarks.peers.decision_peer import Decisions
from benchmarks.peers.llama_cpp_peer import LlamaCpp
from benchmarks.peers.peft_peers import InOrder, MixedBatch, OneAfterAnother
from core import backbone as backbones
from core import hardware
from core.backbone import Dtype, packed
from core.engine.engine import Engine
from core.engine.scheduler import Limits
from core.engine.sequences import Request

_BYTES = 2**28
"""Of the matrix that bandwidth is measured with: more than any cache holds."""

Traffic = Sequence[Sequence[Request]]
"""Requests that come together, such as one turn of several conversations; then the next ones."""


class Ours:
    """Everything at once; the scheduler sorts it out."""

    limits = Limits()
    dtype: Dtype | None = None
    """Of the backbone, where it is not the one that all are measured in."""

    def __init__(self, folder: str, adapters: Mapping[str, Path], precision: Precision) -> None:
        backbone = backbones.load(folder, dtype=self.dtype or precision)
        packed.pack(backbone.model)
        self._engine = Engine(backbone, limits=self.limits)
        for name, path in adapters.items():
            self._engine.adapters.load(name, path)

    def answer(self, requests: Sequence[Request]) -> Answered:
        found = [handle.result() for handle in self._engine.submit_all(requests)]
        ids = [one.ids or (_first(one.probabilities),) for one in found]
        return Answered(ids=ids, tokens=sum(one.completion_tokens for one in found))

    def forget(self) -> None:
        """What it has read: each round begins as a first one."""
        self._engine.forget()


class Uncached(Ours):
    """Without the prefix cache."""

    limits = Limits(prefix_cache=False)


class InInt8(Ours):
    """Linear layers in int8; an answer may differ."""

    dtype = "int8"


SYSTEMS: Mapping[str, Maker] = {
    "quintet": Ours,
    "quintet without prefix cache": Uncached,
    "quintet in int8": InInt8,
    "peft adapter_names": MixedBatch,
    "peft set_adapter, grouped by task": OneAfterAnother,
    "peft set_adapter, as they arrive": InOrder,
    "ctranslate2, merged models": Merged,
    "llama.cpp, adapter set a request": LlamaCpp,
    "transformers decision pipeline": Decisions,
}
_PACKAGES = {
    "ctranslate2, merged models": ("ctranslate2", "ctranslate2"),
    "llama.cpp, adapter set a request": ("llama_cpp", "llama-cpp-python"),
}
"""What a system needs beyond our own packages: the module, and its name on the registry."""


_FP32 = {"ctranslate2, merged models", "llama.cpp, adapter set a request"}
"""CTranslate2 4.8.5 has no bf16 on CPUs, and llama.cpp gets its weights in fp32 from us."""


@dataclass(frozen=True)
class Entered:
    """Who takes part, and who would but for a package."""

    names: tuple[str, ...]
    notes: tuple[str, ...]
    """What to tell the person."""


def entered(traffic: Traffic, precision: Precision = "fp32") -> Entered:
    """Whoever can answer this traffic here, in that precision."""
    requests = [request for turn in traffic for request in turn]
    names = set(SYSTEMS)
    if not all(request.label_tokens for request in requests):
        names.discard("transformers decision pipeline")
    missing = [name for name, (module, _) in _PACKAGES.items() if not find_spec(module)]
    names -= set(missing)
    ways = [f"not measured: {name}: pip install {_PACKAGES[name][1]}" for name in missing]
    if precision != "fp32":
        ways += [f"in fp32: {name}" for name in sorted(names & _FP32)]
    return Entered(tuple(name for name in SYSTEMS if name in names), tuple(ways))


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


def floor(folder: str, precision: Precision = "fp32") -> Floor:
    """The size of a backbone, and how fast this machine reads and multiplies."""
    model, machine = backbones.load(folder, dtype=precision).model, hardware.measure("cpu")
    weights = sum(one.numel() * one.element_size() for one in model.parameters())
    matrix = torch.ones(_BYTES // 4 // 4096, 4096)
    vector, best = torch.ones(4096), float("inf")
    for _ in range(5):
        start = time.perf_counter()
        matrix @ vector
        best = min(best, time.perf_counter() - start)
    flops = machine.peak_flops(bf16=precision == "bf16")
    return Floor(weights=weights, bandwidth=_BYTES / best, flops=flops)


def compare(
    folder: str,
    adapters: Mapping[str, Path],
    traffic: Traffic,
    *,
    names: Sequence[str] | None = None,
    precision: Precision = "fp32",
    rounds: int = 3,
    told: Callable[[int, int], None] = lambda done, total: None,
) -> list[Served]:
    """All systems in turn, `rounds` times over, after one turn whose answers are compared."""
    names = names or entered(traffic, precision).names
    used = {request.adapter for turn in traffic for request in turn}
    own = {name: path for name, path in adapters.items() if name in used}
    made = {name: SYSTEMS[name](folder, own, precision) for name in names}
    first = {name: _served(one, traffic) for name, one in made.items()}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for number in range(rounds * len(names)):
        name = names[number % len(names)]
        start, processor = time.perf_counter(), time.process_time()
        _served(made[name], traffic)
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


def _served(system: System, traffic: Traffic) -> Answered:
    """All of the traffic, as if nothing had been answered before."""
    if isinstance(system, Ours):
        system.forget()
    turns = [system.answer(turn) for turn in traffic]
    ids = [one for turn in turns for one in turn.ids]
    return Answered(ids=ids, tokens=sum(turn.tokens for turn in turns))


def _first(probabilities: Sequence[float]) -> int:
    return max(range(len(probabilities)), key=probabilities.__getitem__)
