"""How far a training is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What a progress bar shows after a step."""

    step: int
    steps: int
    """In all; where time is the limit, as many as it is likely to allow."""
    loss: float
    tokens_per_second: float
    flops_utilization: float
    """Model FLOPs a second, as a share of what this machine reaches in one large product."""
    metrics: Mapping[str, float]
