"""AdamW and Muon, and the learning rate over the run."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from finetune.settings import LoopSettings


class StackedMuon(torch.optim.Muon):
    """`torch.optim.Muon` with its Newton-Schulz steps over stacks of equal shape, on a CPU in fp32.

    torch orthogonalises in bf16, one matrix at a time. Where the CPU has no bf16 units that costs
    several times the training step itself; in fp32 the same update costs a tenth of it.
    """

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One update of every matrix that has a gradient."""
        for group in self.param_groups:
            for shape, stack in _by_shape(group["params"]).items():
                self._update(group, shape, stack)

    def _update(self, group: dict[str, Any], shape: torch.Size, stack: list[nn.Parameter]) -> None:
        momentum, updates = group["momentum"], []
        for parameter in stack:
            gradient = parameter.grad
            if gradient is None:
                continue
            state = self.state[parameter]
            buffer = state.setdefault("momentum_buffer", torch.zeros_like(gradient))
            buffer.lerp_(gradient, 1 - momentum)
            updates.append(gradient.lerp(buffer, momentum) if group["nesterov"] else buffer)
        if not updates:
            return
        directions = orthogonalise(
            torch.stack(updates), group["ns_coefficients"], group["ns_steps"]
        )
        # Liu et al. 2025, "Muon is scalable for LLM training", section 2.2: AdamW's update size.
        rate = group["lr"] * 0.2 * math.sqrt(max(shape))
        for parameter, direction in zip(stack, directions, strict=True):
            parameter.mul_(1 - group["lr"] * group["weight_decay"])
            parameter.add_(direction, alpha=-rate)


def _by_shape(parameters: Iterable[nn.Parameter]) -> dict[torch.Size, list[nn.Parameter]]:
    stacks: dict[torch.Size, list[nn.Parameter]] = {}
    for parameter in parameters:
        if parameter.grad is not None:
            stacks.setdefault(parameter.shape, []).append(parameter)
    return stacks


def orthogonalise(matrices: Tensor, coefficients: tuple[float, float, float], steps: int) -> Tensor:
    """Newton-Schulz over (n, rows, columns): singular values near one, vectors kept.

    Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/; on a GPU in bf16, as there.
    """
    a, b, c = coefficients
    tall = matrices.size(1) > matrices.size(2)
    x = matrices.mT if tall else matrices
    x = x.bfloat16() if x.is_cuda else x
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


def hidden_matrices(model: nn.Module) -> set[str]:
    """Names of the weight matrices inside the blocks: what Muon is made for."""
    inside = {
        f"{name}.weight" if name else "weight"
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and "lm_head" not in name and "embed_out" not in name
    }
    return {name for name, parameter in model.named_parameters() if name in inside}


def for_pretraining(model: nn.Module, settings: LoopSettings) -> list[torch.optim.Optimizer]:
    """Muon for the hidden matrices where asked for, AdamW for everything else."""
    named = {n: p for n, p in model.named_parameters() if p.requires_grad}
    if settings.optim == "adamw":
        return [adamw(named.values(), settings)]
    matrices = hidden_matrices(model) & named.keys()
    muon = StackedMuon(
        [named[name] for name in sorted(matrices)],
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
        adjust_lr_fn="match_rms_adamw",
    )
    return [muon, adamw([p for n, p in named.items() if n not in matrices], settings)]


def adamw(parameters: Iterable[nn.Parameter], settings: LoopSettings) -> torch.optim.AdamW:
    """AdamW; only matrices decay (norms and biases do not)."""
    ready = list(parameters)
    groups = [
        {"params": [p for p in ready if p.ndim >= 2], "weight_decay": settings.weight_decay},
        {"params": [p for p in ready if p.ndim < 2], "weight_decay": 0.0},
    ]
    betas = (settings.adam_beta1, settings.adam_beta2)
    return torch.optim.AdamW(
        [g for g in groups if g["params"]], lr=settings.learning_rate, betas=betas, fused=True
    )


def schedule(settings: LoopSettings, steps: int) -> Callable[[int], float]:
    """The share of `learning_rate` at a step in [0, steps)."""
    warmup = settings.warmup(steps)
    decay = max(1, round(settings.decay_share * steps))

    def share(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        left = (steps - step) / max(1, steps - warmup)
        match settings.lr_scheduler_type:
            case "warmup_stable_decay":
                return min(1.0, (steps - step) / decay)
            case "cosine":
                return 0.5 * (1 - math.cos(math.pi * left))
            case "linear":
                return left
        return 1.0

    return share
