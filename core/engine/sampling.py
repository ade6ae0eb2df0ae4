"""How the next token is chosen: the likeliest, or drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.errors import BadSetting

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Greedy:
    """Always the likeliest token."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Draw from the likeliest tokens that together hold `top_p` of the mass.

    A row's draw depends on `seed` and its own prompt, not on the rows beside it.
    """

    temperature: float = 1.0
    top_p: float = 0.95
    top_k: int = 0
    """Draw from so many tokens at most; 0 is no limit."""
    repetition_penalty: float = 1.0
    """Above 1, what was written becomes less likely (Keskar et al. 2019, section 4.1)."""
    seed: int = 0

    def __post_init__(self) -> None:
        for name, low, high in (
            ("temperature", 0.01, 100),
            ("top_p", 0.0001, 1),
            ("repetition_penalty", 1, 10),
        ):
            value = getattr(self, name)
            good = _numbers(value) and low <= value <= high
            _check(name, value, f"a number from {low} to {high}", good)
        for name in ("top_k", "seed"):
            value = getattr(self, name)
            good = _numbers(value, kind=int) and 0 <= value < 2**63
            _check(name, value, "a whole number from 0 to 2**63 - 1", good)


Sampling = Greedy | Sample


def _numbers(*values: Any, kind: Any = int | float) -> bool:
    return all(
        isinstance(value, kind) and not isinstance(value, bool) and math.isfinite(value)
        for value in values
    )


def _check(name: str, value: Any, allowed: str, good: bool) -> None:
    if not good:
        raise BadSetting(f"{name} is {value!r}; it must be {allowed}.")


def check_length(max_new_tokens: Any, context: int) -> None:
    """`BadSetting` unless `max_new_tokens` is a whole number from 1 to the context."""
    good = _numbers(max_new_tokens, kind=int) and 1 <= max_new_tokens <= context
    _check("max_new_tokens", max_new_tokens, f"a whole number from 1 to {context}", good)


def generators(sampling: Sampling, rows: int, device: torch.device) -> list[torch.Generator]:
    """One source of chance a row, so that a batch answers as its rows alone would."""
    import torch

    if isinstance(sampling, Greedy):
        return []
    return [torch.Generator(device).manual_seed(sampling.seed) for _ in range(rows)]


def choose(
    logits: Tensor,
    seen: Sequence[Sequence[int]],
    sampling: Sampling,
    chance: Sequence[torch.Generator],
) -> list[int]:
    """The next token of each row: logits (rows, vocabulary), `seen` the ids of each row so far."""
    import torch

    if isinstance(sampling, Greedy):
        return [int(token) for token in logits.argmax(-1)]
    warped = _warped(_penalised(logits, seen, sampling.repetition_penalty), sampling)
    rows = torch.softmax(warped, -1)
    return [
        int(torch.multinomial(row, 1, generator=source))
        for row, source in zip(rows, chance, strict=True)
    ]


def _penalised(logits: Tensor, seen: Sequence[Sequence[int]], penalty: float) -> Tensor:
    if penalty == 1.0:
        return logits
    logits = logits.clone()
    for row, ids in zip(logits, seen, strict=True):
        used = sorted(set(ids))
        values = row[used]
        row[used] = values.where(values > 0, values * penalty * penalty) / penalty
    return logits


def _warped(logits: Tensor, sampling: Sample) -> Tensor:
    from transformers.generation.logits_process import (
        TemperatureLogitsWarper,
        TopKLogitsWarper,
        TopPLogitsWarper,
    )

    warpers: list[Any] = [TemperatureLogitsWarper(float(sampling.temperature))]
    if sampling.top_k:
        warpers.append(TopKLogitsWarper(sampling.top_k))
    if sampling.top_p < 1:
        warpers.append(TopPLogitsWarper(float(sampling.top_p)))
    for warper in warpers:
        logits = warper(None, logits)
    return logits
