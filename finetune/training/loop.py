"""The one training loop, on accelerate: pre-training and fine-tuning both run through it."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from core import hardware
from core.adapters.weights import whole
from core.errors import Diverged, Stopped
from finetune.settings import LoopSettings
from finetune.training import checkpoint, processes, shards
from finetune.training.checkpoint import State
from finetune.training.divergence import Guard
from finetune.training.optimizers import schedule
from finetune.training.progress import Progress
from finetune.training.signals import stop_signals

log = logging.getLogger(__name__)
Batch = TypeVar("Batch")


@dataclass(frozen=True, kw_only=True)
class Job(Generic[Batch]):
    """Everything the loop needs to know about what it trains."""

    folder: Path
    """Where `log.jsonl` and the checkpoints go."""
    model: nn.Module
    settings: LoopSettings
    steps: int
    optimizers: list[torch.optim.Optimizer]
    batches: Callable[[int], Sequence[Batch]]
    """The micro-batches of a step; a function of the step alone, so that resuming needs no state."""
    loss: Callable[[nn.Module, Batch], tuple[Tensor, int, int]]
    """Summed nats over the learned tokens, how many those are, and all tokens read."""
    weights: Callable[[], Mapping[str, Tensor]]
    restore: Callable[[Mapping[str, Tensor]], None]
    share: Callable[[Batch, int, int], Batch]
    """The part of a batch that one of several processes reads, from its rank and their number; a
    process that is left without a row reads one and learns nothing from it."""
    validate: Callable[[], dict[str, float]]
    value: Callable[[dict[str, float]], float]
    """The number to maximise, from what `validate` measured."""
    keep_best: Callable[[Mapping[str, Tensor]], None] | None = None
    """Called by the first process with the weights, whenever that number is the best so far."""
    start_counts: bool = False
    """Whether the start may be the best of all: so for weights that were trained before."""
    flops_per_token: float = 0.0
    identity: Mapping[str, Any] = field(default_factory=dict)
    """Keys that must not change between a checkpoint and its resumption."""


class Interrupted(Stopped):
    """Ctrl-C or SIGTERM: everything is saved in `folder`."""

    def __init__(self, folder: Path, step: int) -> None:
        super().__init__(f"Stopped at step {step}; saved in {folder}. Go on with --resume.")
        self.folder, self.step = folder, step


def run(
    job: Job[Batch],
    *,
    device: str = "auto",
    resume: bool = False,
    begun: Callable[[], None] = lambda: None,
    report: Callable[[Progress], None] = lambda progress: None,
) -> State:
    """Train to the end, or to the stop that validation calls for; returns where it stands.

    `begun` is called by the first process once nothing can be refused any more. Raises `Busy` where
    another process writes into the same folder.
    """
    with checkpoint.writing(job.folder) if processes.first() else nullcontext():
        return _Loop(job, device, report).run(resume, begun)


class _Loop(Generic[Batch]):
    def __init__(self, job: Job[Batch], device: str, report: Callable[[Progress], None]) -> None:
        self.job, self.report = job, report
        self.settings = job.settings
        place = hardware.pick_device(device)
        self.machine = hardware.measure(place)
        self.bf16 = {"on": True, "off": False}.get(self.settings.bf16, self.machine.bf16_pays)
        half = next(job.model.parameters()).dtype != torch.float32
        self.mixed = self.bf16 and not half  # else there is nothing to mix
        self.bf16 = self.bf16 or half
        self.accelerator = shards.accelerator(place, several=processes.several())
        self.model, *self.optimizers = shards.prepare(self.accelerator, job.model, job.optimizers)
        self.device = next(self.model.parameters()).device
        self.loss = torch.compile(job.loss) if self.settings.torch_compile else job.loss
        self.share = schedule(self.settings, job.steps)
        self.rates = [g["lr"] for o in job.optimizers for g in o.param_groups]
        self.guard = Guard()
        self.state = State()
        self.saved = -1
        self.stepped = False
        self.stopped: Callable[[], bool] = lambda: False

    def run(self, resume: bool, begun: Callable[[], None]) -> State:
        """All steps, with validation, checkpoints and an orderly end on a signal."""
        self._resume() if resume else None
        if processes.first():
            begun()
        with stop_signals() as self.stopped:
            self._steps()
        return self.state

    def _steps(self) -> None:
        if self.settings.eval_on_start and self.state.step == 0 and not self.state.finished:
            self._validate()
        while not self.state.finished and (due := self._due()) < self.job.steps:
            began, compiles = time.perf_counter(), self.settings.torch_compile and not self.stepped
            self._step(due)
            self._after_step()
            if not compiles:
                self.state.elapsed += time.perf_counter() - began
            self.stepped = True
            if self._asked_to_stop() and not self.state.finished:
                self._save()
                raise Interrupted(self.job.folder, self.state.step)
        self._finish()

    def _resume(self) -> None:
        found = checkpoint.checkpoints(self.job.folder)
        if found:
            self.state, weights = checkpoint.load(found[-1], self.job.optimizers, self.job.identity)
            self.guard = Guard(self.state.guard)
            self.job.restore(weights)
            self.saved = self.state.step
        if processes.first():
            checkpoint.cut_log(self.job.folder / "log.jsonl", self.state.step if found else -1)

    def _due(self) -> int:
        """The step that the schedule has come to: by steps made, or by the time they took."""
        limit = 60 * self.settings.max_minutes
        if not limit:
            return self.state.step
        elapsed = processes.by_first(lambda: self.state.elapsed)
        return max(self.state.step, int(elapsed / limit * self.job.steps))

    def _asked_to_stop(self) -> bool:
        """Whether any process was: all of them end after the same step."""
        asked = torch.tensor(float(self.stopped()), device=self.device)
        if processes.several():
            asked = self.accelerator.reduce(asked, "sum")
        return bool(asked > 0)

    def _step(self, due: int) -> None:
        start, step = time.perf_counter(), self.state.step
        self._set_rates(self.share(due))
        self.model.train()
        nats, learned, read = self._gradients(self.job.batches(step))
        mean = nats / max(learned, 1)
        norm = self._clip()
        if self.guard.accepts(mean, norm, step):
            for optimizer in self.optimizers:
                optimizer.step()
        else:
            self.state.skipped += 1
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        self.state.step += 1
        self.state.tokens += read
        seconds = time.perf_counter() - start
        self.state.seconds += seconds
        self._note(mean, norm, read, seconds, min(1.0, (due + 1) / self.job.steps))

    def _gradients(self, batches: Sequence[Batch]) -> tuple[float, int, int]:
        """Sums over micro-batches and processes, so that neither accumulation nor their number counts."""
        world, rank = self.accelerator.num_processes, self.accelerator.process_index
        nats, learned, read = 0.0, 0, 0
        for batch in batches:
            part = self.job.share(batch, rank, world) if world > 1 else batch
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.mixed):
                loss, tokens, all_tokens = self.loss(self.model, part)
            self.accelerator.backward(loss)
            nats, learned, read = nats + float(loss.detach()), learned + tokens, read + all_tokens
        sums = [nats, float(learned), float(read)]
        if world > 1:
            local = torch.tensor(sums, dtype=torch.float64, device=self.device)
            sums = self.accelerator.reduce(local, "sum").tolist()
        self._scale_gradients(world / max(sums[1], 1.0))  # DDP has averaged over processes
        return sums[0], int(sums[1]), int(sums[2])

    def _parameters(self) -> list[nn.Parameter]:
        return [p for o in self.job.optimizers for g in o.param_groups for p in g["params"]]

    def _scale_gradients(self, factor: float) -> None:
        gradients = [p.grad for p in self._parameters() if p.grad is not None]
        torch._foreach_mul_(gradients, factor)

    def _clip(self) -> float:
        limit = self.settings.max_grad_norm
        return float(whole(self.accelerator.clip_grad_norm_(self._parameters(), limit)))

    def _set_rates(self, share: float) -> None:
        groups = [g for o in self.job.optimizers for g in o.param_groups]
        for group, rate in zip(groups, self.rates, strict=True):
            group["lr"] = rate * share

    def _note(self, loss: float, norm: float, read: int, seconds: float, progress: float) -> None:
        speed = read / seconds
        share = self.job.flops_per_token * speed / self.machine.peak_flops(self.bf16)
        if self.state.step % self.settings.logging_steps == 0 or self.state.step == 1:
            self._log(
                loss=loss,
                grad_norm=norm,
                learning_rate=self.optimizers[0].param_groups[0]["lr"],
                tokens_per_second=round(speed),
                progress=progress,
            )
        self.report(
            Progress(
                step=self.state.step,
                steps=round(self.state.step / progress),
                loss=loss,
                tokens_per_second=speed,
                flops_utilization=share,
                metrics=self.state.metrics,
            )
        )

    def _log(self, **values: float) -> None:
        if not processes.first():
            return
        line = {"step": self.state.step, "tokens": self.state.tokens, **values}
        with (self.job.folder / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def _after_step(self) -> None:
        if self.state.step % self.settings.eval_steps == 0:
            self._validate()
        if self.state.step % self.settings.save_steps == 0:
            self._save()

    def _validate(self) -> None:
        hardware.return_memory()  # what the steps took: validation imports and needs its own
        metrics = processes.by_first(self.job.validate, self.job.model)
        value = self.job.value(metrics)
        self.state.metrics = metrics
        self._log(**metrics)
        if self.state.step == 0 and not self.job.start_counts:
            return
        if self.state.best is None or value > self.state.best:
            self.state.best, self.state.best_step = value, self.state.step
            self.state.evaluations_since_best = 0
            self._keep_best()
            return
        self.state.evaluations_since_best += 1
        patience = self.settings.early_stopping_patience
        self.state.finished = bool(patience) and self.state.evaluations_since_best >= patience

    def _keep_best(self) -> None:
        if self.job.keep_best is None:
            return
        weights = self.job.weights()
        if processes.first():
            self.job.keep_best(weights)

    def _save(self) -> None:
        self.saved, self.state.guard = self.state.step, self.guard.memory()
        weights, memory = self.job.weights(), [shards.memory(o) for o in self.job.optimizers]
        if processes.first():
            checkpoint.save(
                self.job.folder,
                self.state,
                weights,
                memory,
                self.job.identity,
                keep=self.settings.save_total_limit,
            )
        self.accelerator.wait_for_everyone()

    def _finish(self) -> None:
        """Validate and save the last state, unless that is what was found on disk."""
        if self.state.finished and self.saved == self.state.step:
            return
        if not self.state.finished and self.state.step % self.settings.eval_steps:
            self._validate()
        if self.state.best is not None and not math.isfinite(self.state.best):
            raise Diverged("Validation gave no finite value; the last good checkpoint is kept.")
        self.state.finished = True
        self._save()
