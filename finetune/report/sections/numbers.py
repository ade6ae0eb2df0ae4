"""In how many digits numbers are written."""

from __future__ import annotations

import math

from finetune.evaluation import significance
from finetune.report.results import Measured


def decimals_for(measured: Measured, most: int) -> int:
    """Decimals that the interval supports: its half-width is written with two digits at most."""
    half = (measured.high - measured.low) / 2
    if not math.isfinite(half) or half <= 0:
        return most
    return min(most, max(0, 1 - math.floor(math.log10(half))))


def number(value: float, decimals: int, *, signed: bool = False) -> str:
    """With a true minus sign and thousands set off; '–' where there is no finite value."""
    if not math.isfinite(value):
        return "–"
    text = f"{value:{'+' if signed else ''},.{decimals}f}"
    nothing = not text.strip("+-0.,")
    return text.lstrip("+-") if nothing else text.replace("-", "−")


def chance(p: float, resamples: int = 1000) -> str:
    """A p value in three decimals; what so many draws cannot tell apart is '≤' the least they tell."""
    least = significance.floor(resamples)
    return f"≤ {math.ceil(least * 1000 - 0.01) / 1000:.3f}" if p <= least else f"{p:.3f}"
