"""Systems take turns, each in a fresh process, and the same is measured of all of them."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from core.errors import QuintetError

_AGREES = 0.1
"""Nats a token by which the losses after training may differ: orders of rows do."""


class Failed(QuintetError):
    """A system ended with an error."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """What every system is given; a file of JSON on its way to the process."""

    workload: str
    """'finetune' or 'pretrain'."""
    backbone: str
    """A folder or name to load, or a preset for random weights."""
    tokenizer: str = ""
    rows: list[list[int]]
    starts: list[int] = field(default_factory=list)
    """Where the answer of each row starts; empty where every token is learned."""
    epochs: int
    batch_size: int
    learning_rate: float
    dtype: str = "auto"
    compiled: bool = False
    """Whether ours and the tuned one are compiled by torch."""
    lora: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Of one system; seconds are the median over the rounds."""

    name: str
    seconds: float
    examples: int
    tokens: int
    peak_bytes: int
    """Of the whole process, libraries included."""
    flops: float
    """The least that has to be computed for these tokens: the same count for all."""
    peak_flops: float
    """FLOP per second of one large matrix product on this machine, the best that any system saw."""
    before: float
    """Nats a learned token over all rows, before and after."""
    after: float

    @property
    def flops_utilization(self) -> float:
        """How much of the machine went into what has to be computed."""
        return self.flops / self.seconds / self.peak_flops

    def row(self) -> dict[str, float | str]:
        """As it is shown and written."""
        return {
            "name": self.name,
            "examples_per_second": self.examples / self.seconds,
            "tokens_per_second": self.tokens / self.seconds,
            "peak_memory_mib": self.peak_bytes / 2**20,
            "flops_utilization": self.flops_utilization,
            "loss_before": self.before,
            "loss_after": self.after,
            "seconds": self.seconds,
        }


def compare(
    order: Order,
    names: Sequence[str],
    *,
    rounds: int = 1,
    told: Callable[[int, int], None] = lambda done, total: None,
) -> list[Measured]:
    """All systems in turn, `rounds` times over, so that a busy machine is busy for all."""
    found: dict[str, list[Measured]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "order.json"
        path.write_text(json.dumps(asdict(order)), encoding="utf-8")
        for number in range(rounds * len(names)):
            name = names[number % len(names)]
            found[name].append(_run(name, path))
            told(number + 1, rounds * len(names))
    peak_flops = max(run.peak_flops for runs in found.values() for run in runs)
    return [replace(_summed(runs), peak_flops=peak_flops) for runs in found.values()]


def agree(one: Measured, other: Measured) -> bool:
    """Whether both began from the same and learned the same."""
    begun = abs(one.before - other.before) <= 0.02 * one.before + 0.02
    return begun and abs(one.after - other.after) <= _AGREES


def _summed(runs: Sequence[Measured]) -> Measured:
    last = asdict(runs[-1])
    last["seconds"] = statistics.median(run.seconds for run in runs)
    last["peak_bytes"] = max(run.peak_bytes for run in runs)
    return Measured(**last)


def _run(name: str, order: Path) -> Measured:
    root = Path(__file__).parent.parent
    path = os.pathsep.join(filter(None, (str(root), os.environ.get("PYTHONPATH", ""))))
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.systems", name, str(order)],
        env={**os.environ, "PYTHONPATH": path, "HF_HUB_DISABLE_PROGRESS_BARS": "1"},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise Failed(f"The system {name!r} ended with {done.returncode}: {last}")
    return Measured(name=name, **json.loads(done.stdout.splitlines()[-1]))
