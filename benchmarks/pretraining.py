"""All weights of a random backbone on the same sequences: by our loop and by transformers' Trainer."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.interleaved import Order
from core.backbone import Backbone, presets
from core.backbone import tokenizer as tokenizers
from core.hardware import measure, pick_device
from finetune.settings import PretrainSettings
from finetune.training import language_modeling, loop, optimizers


class Clock:
    """Seconds of all steps, by those after the first, which warms up or compiles."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def tick(self) -> None:
        """A step has ended."""
        self.ends.append(time.perf_counter())

    @property
    def seconds(self) -> float:
        steps = len(self.ends)
        return (self.ends[-1] - self.ends[0]) * steps / (steps - 1)


def ours(order: Order) -> dict[str, Any]:
    """Our loop with AdamW, so that the losses can be compared."""
    backbone, ids = _random(order), torch.tensor(order.rows)
    before = loss_of(backbone, ids)
    steps = order.epochs * len(ids) // order.batch_size
    settings = PretrainSettings(
        learning_rate=order.learning_rate,
        optim="adamw",
        adam_beta2=0.999,
        weight_decay=0.0,
        warmup_steps=1,
        lr_scheduler_type="constant",
        max_steps=steps,
        torch_compile=order.compiled,
    )
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        job = _job(backbone, ids, settings, order.batch_size, Path(folder))
        loop.run(job, report=lambda progress: clock.tick())
    return {"seconds": clock.seconds, **_losses(order, backbone, ids, before)}


def trainer(order: Order) -> dict[str, Any]:
    """Every argument at its default, but the rate and the batch."""
    return _trained(order)


def tuned(order: Order) -> dict[str, Any]:
    """With bf16 where it pays, and compiled where ours is."""
    pays = measure(pick_device()).bf16_pays
    return _trained(order, bf16=pays, torch_compile=order.compiled, dataloader_pin_memory=False)


def loss_of(backbone: Backbone, ids: torch.Tensor) -> float:
    """Nats a token over all sequences."""
    place = backbone.device
    with torch.inference_mode():
        sums = [
            language_modeling.next_token_loss(backbone.model, row[None].to(place)) for row in ids
        ]
    return sum(loss.item() for loss, _, _ in sums) / sum(count for _, count, _ in sums)


def _random(order: Order) -> Backbone:
    backbone = presets.create(order.backbone, tokenizers.load(order.tokenizer))
    module: torch.nn.Module = backbone.model
    module.to(pick_device())
    return backbone


def _losses(order: Order, backbone: Backbone, ids: torch.Tensor, before: float) -> dict[str, float]:
    flops = language_modeling.flops_per_token(backbone, ids.shape[1]) * order.epochs * ids.numel()
    return {"before": before, "after": loss_of(backbone, ids), "flops": flops}


def _job(
    backbone: Backbone, ids: torch.Tensor, settings: PretrainSettings, rows: int, folder: Path
) -> loop.Job[torch.Tensor]:
    place = backbone.device
    order = torch.cat(
        [torch.randperm(len(ids)) for _ in range(1 + settings.max_steps * rows // len(ids))]
    )
    return loop.Job(
        folder=folder,
        model=backbone.model,
        settings=settings,
        steps=settings.max_steps,
        optimizers=optimizers.for_pretraining(backbone.model, settings),
        batches=lambda step: [ids[order[step * rows : (step + 1) * rows]].to(place)],
        loss=language_modeling.next_token_loss,
        weights=dict,
        restore=lambda weights: None,
        share=language_modeling.share,
        validate=dict,
        value=lambda metrics: 0.0,
    )


def _trained(order: Order, **changes: Any) -> dict[str, Any]:
    from transformers import Trainer, TrainerCallback, TrainingArguments

    backbone, ids = _random(order), torch.tensor(order.rows)
    before, clock = loss_of(backbone, ids), Clock()

    class Ticks(TrainerCallback):
        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            clock.tick()

    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            num_train_epochs=order.epochs,
            per_device_train_batch_size=order.batch_size,
            learning_rate=order.learning_rate,
            lr_scheduler_type="constant",
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=not torch.cuda.is_available(),
            seed=0,
            **changes,
        )
        rows: Any = [{"input_ids": row, "labels": row} for row in ids]
        Trainer(
            model=backbone.model, args=arguments, train_dataset=rows, callbacks=[Ticks()]
        ).train()
    backbone.model.eval()
    return {"seconds": clock.seconds, **_losses(order, backbone, ids, before)}
