"""One system in a process of its own: `python -m benchmarks.systems NAME ORDER.json`."""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from benchmarks import finetuning, pretraining
from benchmarks.interleaved import Order
from core import hardware

Entry = Callable[[Order], dict[str, Any]]
ENTRIES: Mapping[str, Mapping[str, Entry]] = {
    "finetune": {
        "quintet": finetuning.ours,
        "trainer": finetuning.trainer,
        "trainer-tuned": finetuning.tuned,
        "trl-packing": finetuning.packing,
    },
    "pretrain": {
        "quintet": pretraining.ours,
        "trainer": pretraining.trainer,
        "trainer-tuned": pretraining.tuned,
    },
}


def measure(name: str, order: Order) -> dict[str, Any]:
    """What the entry reports, with the peak of this process and the peak FLOP/s of this machine."""
    found = ENTRIES[order.workload][name](order)
    machine = hardware.measure("cuda" if torch.cuda.is_available() else "cpu")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if torch.cuda.is_available():
        peak = torch.cuda.max_memory_allocated()
    return {
        **found,
        "examples": order.epochs * len(order.rows),
        "tokens": order.epochs * sum(map(len, order.rows)),
        "peak_bytes": peak,
        "peak_flops": max(machine.flops_fp32, machine.flops_bf16),
    }


if __name__ == "__main__":
    given = Order(**json.loads(Path(sys.argv[2]).read_text(encoding="utf-8")))
    print(json.dumps(measure(sys.argv[1], given)))
