"""Encoded rows → an adapter, through the training loop."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from core.adapters.passport import weights_hash
from core.application import Application
from core.backbone import Backbone
from core.engine.engine import Engine
from core.engine.prompting import Encoded
from core.task import Example, In, Task
from finetune.evaluation.metrics.deciding import deciding_metric, selected
from finetune.evaluation.scoring import measure, score
from finetune.settings import FinetuneSettings
from finetune.training import loop, optimizers
from finetune.training.checkpoint import State
from finetune.training.collation import Batch, Plan, answer_loss, share
from finetune.training.progress import Progress
from finetune.training.suited import suited

NAME = "training"


@dataclass(frozen=True, kw_only=True)
class TrainingSet(Generic[In]):
    """What is to be learned, and how it is known that it was."""

    task: Task[In]
    rows: Sequence[Encoded]
    validation: Sequence[Example[In]]
    data_hash: str


def train(
    engine: Engine,
    training_set: TrainingSet[In],
    settings: FinetuneSettings,
    folder: Path,
    *,
    start: Path | None = None,
    device: str = "auto",
    resume: bool = False,
    begun: Callable[[], None] = lambda: None,
    report: Callable[[Progress], None] = lambda progress: None,
) -> State:
    """Leave the adapter that validated best in `folder/adapter`; begin from the one in `start`."""
    if start:
        engine.adapters.load(NAME, start, trainable=True)
    else:
        engine.adapters.create(NAME, settings.lora, seed=settings.seed)
    try:
        with (
            engine.adapters.training(NAME),
            operations(engine.backbone, training_set.rows, compiled=settings.torch_compile),
        ):
            job = _job(engine, training_set, settings, folder, start)
            return loop.run(job, device=device, resume=resume, begun=begun, report=report)
    finally:
        engine.adapters.delete(NAME)


def operations(
    backbone: Backbone, rows: Sequence[Encoded], *, compiled: bool = False
) -> AbstractContextManager[None]:
    """What suits the length that nine rows of ten do not exceed."""
    lengths = sorted(len(row.input_ids) for row in rows)
    longest = lengths[int(0.9 * (len(rows) - 1))]
    return suited(backbone, longest, compiled=compiled)


def plan(rows: Sequence[Encoded], backbone: Backbone, settings: FinetuneSettings) -> Plan:
    """The batches of a run."""
    return Plan(
        rows,
        padding=int(backbone.tokenizer.pad_token_id or 0),
        max_tokens=settings.max_batch_tokens,
        max_rows=settings.per_device_train_batch_size,
        seed=settings.seed,
    )


def steps_of(settings: FinetuneSettings, batches: Plan) -> int:
    """Optimizer steps of the run."""
    if settings.max_steps > 0:
        return settings.max_steps
    return max(
        1,
        round(settings.num_train_epochs * batches.per_epoch / settings.gradient_accumulation_steps),
    )


def flops_per_token(model: Any, rows: Sequence[Encoded]) -> float:
    """4 N + 4 V d f + 6 S: the frozen matrices forward and for the gradient of their input, the head at
    the share f of places that are learned, and the adapter's own S weights with their gradient.

    Embeddings multiply nothing, and matrices that read them alone pass no gradient on: both are left
    out, as attention is, so that the count is never above what is computed.
    """
    read = sum(len(row.input_ids) for row in rows)
    learned = sum(len(row.input_ids) - row.answer_start for row in rows) / read
    head = model.get_output_embeddings()
    total = 0.0
    for module, passes_on in _products(model, rows[0].input_ids[:2]):
        base = module.get_base_layer() if hasattr(module, "get_base_layer") else module
        adapter = sum(p.numel() for p in module.parameters() if p.requires_grad)
        share = learned if module is head else 1.0
        total += share * (2 + 2 * passes_on) * base.weight.numel() + (4 + 2 * passes_on) * adapter
    return total


def _products(model: Any, ids: Sequence[int]) -> list[tuple[Any, bool]]:
    """The layers with a matrix that a forward pass calls, and whether their input has a gradient."""
    called: list[tuple[Any, bool]] = []

    def note(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        called.append((module, inputs[0].requires_grad))

    inner = (".base_layer", ".lora_")
    layers = [
        module
        for name, module in model.named_modules()
        if (hasattr(module, "get_base_layer") or isinstance(module, nn.Linear | Conv1D))
        and not any(part in name for part in inner)
    ]
    hooks = [layer.register_forward_pre_hook(note) for layer in layers]
    try:
        model(input_ids=torch.tensor([list(ids)], device=model.device), use_cache=False)
    finally:
        for hook in hooks:
            hook.remove()
    return called


def validate(application: Application[In], examples: Sequence[Example[In]]) -> dict[str, float]:
    """The metrics of the task; only the likelihood where that alone picks the checkpoint."""
    spec = deciding_metric(application.task).spec
    if spec is None or spec.needs == "texts":
        return score(application, examples)[0].metrics
    return measure(application.task, examples, (), list(application.log_likelihood(examples)))[0]


def _job(
    engine: Engine,
    training_set: TrainingSet[In],
    settings: FinetuneSettings,
    folder: Path,
    start: Path | None,
) -> loop.Job[Batch]:
    stack, task = engine.adapters, training_set.task
    batches = plan(training_set.rows, engine.backbone, settings)
    accumulate = settings.gradient_accumulation_steps
    application = Application(task, engine, NAME)
    a_pass = max(1, math.ceil(batches.per_epoch / accumulate))

    def read(step: int) -> list[Batch]:
        return [batches.at(step * accumulate + n) for n in range(accumulate)]

    def restore(weights: Mapping[str, Any]) -> None:
        stack.restore(NAME, weights)

    return loop.Job(
        folder=folder,
        model=stack.model,
        settings=settings.model_copy(update={"eval_steps": min(settings.eval_steps, a_pass)}),
        steps=steps_of(settings, batches),
        optimizers=[optimizers.adamw(stack.parameters(NAME), settings)],
        batches=read,
        loss=answer_loss,
        weights=lambda: stack.state(NAME),
        restore=restore,
        share=share,
        validate=lambda: validate(application, training_set.validation),
        value=lambda metrics: selected(task, metrics),
        keep_best=lambda weights: stack.save(NAME, folder / "adapter", weights),
        start_counts=start is not None,  # a new adapter does nothing yet: it is never kept
        flops_per_token=flops_per_token(stack.model, training_set.rows),
        identity={
            "data": training_set.data_hash,
            "backbone": engine.backbone.fingerprint,
            "prompt": task.prompt_hash,
            "start": weights_hash(start) if start else "",
            "settings": settings.model_dump(exclude={"save_steps", "save_total_limit"}),
        },
    )
