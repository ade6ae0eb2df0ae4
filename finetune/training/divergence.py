"""Steps that must not be taken: not-a-number, spikes, runaway losses."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from typing import Any

from core.errors import Diverged

_IN_A_ROW = 5
_WINDOW = 64
_SPIKE = 6.0
_RUNAWAY = 1.5


class Guard:
    """Decides, step by step, whether an update is safe; raises `Diverged` when it is not any more.

    A spike is a gradient norm over 6 standard deviations above the last 64, as OLMo 2 skips them
    (OLMo et al. 2025, section 3.1); several bad steps in a row end the run. A guard made from
    the `memory` of another one goes on as that would have.
    """

    def __init__(self, memory: Mapping[str, Any] | None = None) -> None:
        memory = memory or {}
        self._losses: deque[float] = deque(memory.get("losses", ()), maxlen=_WINDOW)
        self._norms: deque[float] = deque(memory.get("norms", ()), maxlen=_WINDOW)
        self._lowest: float = memory.get("lowest", math.inf)
        self._bad: int = memory.get("bad", 0)

    def memory(self) -> dict[str, Any]:
        """All it has seen, as JSON can hold it."""
        return {
            "losses": list(self._losses),
            "norms": list(self._norms),
            "lowest": self._lowest,
            "bad": self._bad,
        }

    def accepts(self, loss: float, norm: float, step: int) -> bool:
        """Whether to take this step."""
        good = math.isfinite(loss) and math.isfinite(norm) and not self._spikes(loss, norm)
        self._bad = 0 if good else self._bad + 1
        if self._bad >= _IN_A_ROW:
            raise Diverged(
                f"Training diverged: {_IN_A_ROW} bad steps in a row up to step {step} "
                f"(loss {loss:.4g}, gradient norm {norm:.4g}). Lower learning_rate."
            )
        if good:
            self._remember(loss, norm, step)
        return good

    def _spikes(self, loss: float, norm: float) -> bool:
        if len(self._norms) < _WINDOW:
            return False
        return _far(norm, self._norms) and _far(loss, self._losses)

    def _remember(self, loss: float, norm: float, step: int) -> None:
        self._losses.append(loss)
        self._norms.append(norm)
        if len(self._losses) < _WINDOW // 4:
            return
        recent = list(self._losses)[-_WINDOW // 4 :]
        mean = sum(recent) / len(recent)
        self._lowest = min(self._lowest, mean)
        if mean > _RUNAWAY * self._lowest + 1.0:
            raise Diverged(
                f"Training diverged: the loss rose from {self._lowest:.3f} to {mean:.3f} by step "
                f"{step}. Lower learning_rate."
            )


def _far(value: float, window: deque[float]) -> bool:
    mean = sum(window) / len(window)
    deviation = math.sqrt(sum((x - mean) ** 2 for x in window) / len(window))
    return value > mean + _SPIKE * max(deviation, 1e-8)
