"""Memory of loading a backbone and of training an adapter, beside what was forecast.

Each figure is the growth of the largest resident size of a process of its own, over what the libraries take.
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import apps
from core import backbone as backbones
from core.engine.engine import Engine
from core.engine.prompting import Encoded
from core.errors import QuintetError
from finetune.data.examples import read_examples
from finetune.settings import FinetuneSettings
from finetune.training import dry_run, memory, sft
from finetune.training.collation import answer_loss, collate

_STEPS = 2
"""The second one meets the optimizer's state."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Bytes of one backbone in one dtype; those of training are 0 where only loading was measured."""

    dtype: str
    weights: int
    loading: int
    """Peak."""
    loaded: int
    """What stays."""
    forecast: int = 0
    training: int = 0
    """Peak, the backbone included."""
    batch: str = ""
    """Rows × tokens of the batch that takes most."""


def measure(backbone: str, dtype: str, task: str = "", source: str = "") -> Measured:
    """In a fresh process; with a task an adapter takes two steps on the batch that takes most."""
    command = [sys.executable, "-m", "benchmarks.memory", backbone, dtype]
    command += ["--task", task, "--source", source] if task else []
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise QuintetError(f"Loading {backbone} in {dtype} ended with {done.returncode}: {last}")
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


_ROOT = Path(__file__).parents[1]


def _measured(source: str, dtype: Any, task: str, data: str) -> Measured:
    _warm_up()
    before = _from_here()
    backbone = backbones.load(source, dtype=dtype)
    weights = sum(p.numel() * p.element_size() for p in backbone.model.parameters())
    found = Measured(
        dtype=backbone.dtype,
        weights=weights,
        loading=_peak() - before,
        loaded=_resident() - before,
    )
    return _trained(found, Engine(backbone), task, data, before) if task else found


def _warm_up() -> None:
    """Libraries and what they keep, by a step on one short row of the shipped backbone."""
    engine = Engine(backbones.shipped())
    engine.adapters.create("trial", seed=0)
    with engine.adapters.training("trial") as model, torch.autocast("cpu", torch.bfloat16):
        answer_loss(model, collate([Encoded(list(range(16)), 8)], 0))[0].backward()
    del engine, model
    gc.collect()


def _trained(found: Measured, engine: Engine, task: str, data: str, before: int) -> Measured:
    settings = FinetuneSettings()
    chosen = apps.load(task)
    examples = read_examples(chosen, [data], limit=500).examples
    rows = dry_run.learnable(dry_run.encode(chosen, examples, engine.backbone, settings), 1.0)
    plan = sft.plan(rows, engine.backbone, settings)
    expected = memory.forecast(engine, plan, settings)
    shapes = plan.shapes()
    worst = max(range(len(shapes)), key=lambda n: shapes[n].rows * shapes[n].longest ** 1.2)
    engine.adapters.create("trial", settings.lora, seed=0)
    with engine.adapters.training("trial") as model, sft.operations(engine.backbone, rows):
        learned = [p for p in model.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(learned, lr=1e-4, fused=True)
        for _ in range(_STEPS):
            with memory.precision(model, settings):
                loss, *_ = answer_loss(model, plan.at(worst))
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    values = {**vars(found), "forecast": expected.total, "training": _peak() - before}
    return Measured(**{**values, "batch": f"{shapes[worst].rows} × {shapes[worst].longest}"})


def _from_here() -> int:
    """What is resident now, from which on the peak counts: that of the warm-up is forgotten."""
    with suppress(OSError):  # Linux alone can; elsewhere the peak of the warm-up stays the least
        Path("/proc/self/clear_refs").write_text("5")
    return _resident()


def _peak() -> int:
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _resident() -> int:
    import psutil

    return int(psutil.Process().memory_info().rss)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("backbone")
    parser.add_argument("dtype")
    parser.add_argument("--task", default="")
    parser.add_argument("--source", default="")
    known = parser.parse_args()
    found = _measured(known.backbone, known.dtype, known.task, known.source)
    sys.stdout.write(json.dumps(vars(found)) + "\n")


if __name__ == "__main__":
    main()
