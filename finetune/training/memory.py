"""How much memory a run will take at its peak, known before it is taken."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from core import hardware
from core.engine.engine import Engine
from core.errors import BadSetting
from finetune.settings import FinetuneSettings
from finetune.training import sft
from finetune.training.collation import Plan, Shape

_TRAINED = 16
"""Bytes of a weight that learns: itself, its gradient and AdamW's two moments, in fp32."""
_PROBES = (16, 32, 48)
"""Tokens of the rows that are tried: what is kept of a row is quadratic in its length."""
_BACKWARD, _BACKWARD_MIXED = 1.25, 1.65
"""Of what is kept for the backward pass: gradients of the layer in hand, and freed blocks that the allocator
cannot fill again. Measured on mini and SmolLM2: 0.9 to 1.4, and 1.3 to 2.1 with bf16 products in a model of
fp32, whose gradients take twice what it keeps; the most with rows too long for attention of all scores at once."""
_OVERHEAD = 64 * 2**20
"""Buffers of the product library and what the allocator does not give back: measured."""


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Bytes at the peak of the longest batch."""

    weights: int
    adapter: int
    """With its gradients and the state of the optimizer."""
    activations: int
    logits: int

    @property
    def total(self) -> int:
        """Of the process, without the libraries."""
        return self.weights + self.needed

    @property
    def needed(self) -> int:
        """What is still to be taken once the backbone is loaded."""
        return self.adapter + self.activations + self.logits + _OVERHEAD

    def __str__(self) -> str:
        parts = ("weights", "adapter", "activations", "logits")
        each = ", ".join(f"{name} {_readable(getattr(self, name))}" for name in parts)
        return f"{_readable(self.total)} ({each})"


def forecast(engine: Engine, plan: Plan, settings: FinetuneSettings) -> Memory:
    """Of a run with these batches; `BadSetting` where the adapter alone will not fit."""
    backbone = engine.backbone
    adapter = _TRAINED * engine.adapters.planned(settings.lora)
    weights = sum(p.numel() * p.element_size() for p in backbone.model.parameters())
    must_fit(Memory(weights=weights, adapter=adapter, activations=0, logits=0), engine)
    kept = _kept(engine, plan, settings)
    half = backbone.model.dtype != torch.float32
    logit = backbone.model.config.get_text_config().vocab_size * (14 if half else 12)
    worst = max(plan.shapes(), key=lambda shape: kept(shape) + logit * shape.learned)
    return Memory(
        weights=weights,
        adapter=adapter,
        activations=round(
            kept(worst) * (_BACKWARD_MIXED if _mixed(backbone.model, settings) else _BACKWARD)
        ),
        logits=logit * worst.learned,
    )


def must_fit(memory: Memory, engine: Engine) -> None:
    """Raises `BadSetting`, with the keys to turn, for a run that what is free now does not hold."""
    free = hardware.free_memory(str(engine.backbone.device))
    if memory.needed <= free:
        return
    raise BadSetting(
        f"This run needs {_readable(memory.needed)} beside the backbone and {_readable(free)} are free: "
        f"{memory}. Lower {_keys(memory)}, or free memory."
    )


def _keys(memory: Memory) -> str:
    if memory.adapter >= memory.activations + memory.logits:
        return "lora.r"
    return "max_batch_tokens (a batch) or max_length (a row), or take --dtype bf16"


def _kept(engine: Engine, plan: Plan, settings: FinetuneSettings) -> Callable[[Shape], float]:
    """Bytes kept of a batch for its backward pass: tried on three short rows with a trial adapter."""
    engine.adapters.create("probe", settings.lora, seed=0)
    try:
        with (
            engine.adapters.training("probe") as model,
            sft.operations(engine.backbone, plan.rows),
        ):
            found = [_saved(model, length, settings) for length in _PROBES]
    finally:
        engine.adapters.delete("probe")
    constant, slope, square = _parabola(_PROBES, found)
    return lambda shape: constant + shape.rows * (slope * shape.longest + square * shape.longest**2)


def _saved(model: Any, length: int, settings: FinetuneSettings) -> int:
    """Bytes of distinct tensors that a forward pass of one row keeps, weights left out."""
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    sizes: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        place = tensor.untyped_storage().data_ptr()
        if place not in weights:
            sizes[place] = tensor  # held, so that no other tensor takes its place
        return tensor

    ids = torch.ones((1, length), dtype=torch.long, device=model.device)
    with (
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        precision(model, settings),
    ):
        model(input_ids=ids, use_cache=False, **_few_logits(model))
    return sum(tensor.untyped_storage().nbytes() for tensor in sizes.values())


def _few_logits(model: Any) -> dict[str, int]:
    import inspect

    keeps = "logits_to_keep" in inspect.signature(model.forward).parameters
    return {"logits_to_keep": 1} if keeps else {}


def precision(model: Any, settings: FinetuneSettings) -> Any:
    """As the loop will compute."""
    mixed = _mixed(model, settings)
    return torch.autocast(model.device.type, torch.bfloat16) if mixed else nullcontext()


def _mixed(model: Any, settings: FinetuneSettings) -> bool:
    """Whether products are in bf16 and the rest in fp32."""
    if model.dtype != torch.float32 or settings.bf16 == "off":
        return False
    return settings.bf16 == "on" or hardware.measure(model.device.type).bf16_pays


def _parabola(x: tuple[int, int, int], y: list[int]) -> tuple[float, float, float]:
    """Constant, slope and square through three points."""
    rows = torch.tensor([[1.0, a, a * a] for a in x], dtype=torch.float64)
    constant, slope, square = torch.linalg.solve(
        rows, torch.tensor(y, dtype=torch.float64)
    ).tolist()
    return constant, slope, max(square, 0.0)


def _readable(size: float) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB"
