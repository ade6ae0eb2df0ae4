"""Line charts as SVG in the colours of the page: nothing to fetch, and legible on a telephone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import pandas as pd

from demos.said import Said, html

Points = Sequence[tuple[float, float]]

_WIDTH, _HEIGHT = 440, 236
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 10, 34
_TICKS = 5
_MANY = 60
"""Points from which on their moving mean is what a reader can follow."""
_MEAN = Said("Thick: the mean of {count} points", "粗线：每 {count} 个点的均值")
COLOURS = 6
"""Classes `series-0` … of the style sheet; more lines begin again."""

CSS = """
.chart { min-width: 280px; flex: 1 1 380px; max-width: 620px; margin: 0; }
.chart figcaption { font-weight: 600; font-size: .9rem; margin-bottom: .2rem; }
.chart svg { width: 100%; height: auto; display: block; overflow: visible; }
.chart text { font-size: 13px; fill: var(--body-text-color-subdued); }
.chart .grid { stroke: var(--border-color-primary); stroke-width: 1; }
.chart path { fill: none; stroke-width: 2; stroke-linejoin: round; stroke: var(--line-colour); }
.chart path.single { stroke-width: 1; opacity: .35; }
.chart circle { fill: var(--line-colour); }
@media (max-width: 640px) { .chart text { font-size: 15px; } }
.charts { display: flex; flex-wrap: wrap; gap: 1rem 2rem; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1rem; margin: .3rem 0 0; font-size: .85rem;
  color: var(--body-text-color-subdued); }
.legend i { display: inline-block; width: 1.1em; height: .25em; border-radius: 1px;
  vertical-align: middle; margin-right: .4em; background: var(--line-colour); }
.chart .series-0 { --line-colour: #0e6262; }
.chart .series-1 { --line-colour: #b35c00; }
.chart .series-2 { --line-colour: #6b4ba3; }
.chart .series-3 { --line-colour: #a8324a; }
.chart .series-4 { --line-colour: #3566ad; }
.chart .series-5 { --line-colour: #5d6b16; }
.dark .chart .series-0 { --line-colour: #4fc0b5; }
.dark .chart .series-1 { --line-colour: #f0a24a; }
.dark .chart .series-2 { --line-colour: #b79bea; }
.dark .chart .series-3 { --line-colour: #f08a9c; }
.dark .chart .series-4 { --line-colour: #86b0f0; }
.dark .chart .series-5 { --line-colour: #b5c65a; }
"""


@dataclass(frozen=True)
class Line:
    """A curve with its name."""

    name: str
    points: Points


def chart(title: Said, lines: Sequence[Line], *, first: int = 0) -> str:
    """A figure; `first` is the colour of the first line. Lines without a point are left out."""
    drawn = [line for line in lines if line.points]
    if not drawn:
        return ""
    frame = _Frame.around([point for line in drawn for point in line.points])
    body = frame.grid() + "".join(
        f'<g class="{_colour(place + first)}">{frame.curve(line.points)}</g>'
        for place, line in enumerate(drawn)
    )
    said = "; ".join(_described(line) for line in drawn)
    keys = "".join(
        f'<span><i class="{_colour(place + first)}"></i>{escape(line.name)}</span>'
        for place, line in enumerate(drawn)
    )
    window = max(_window(line.points) for line in drawn)
    keys = (keys if len(drawn) > 1 else "") + (
        html(_MEAN.filled(count=window)) if window > 1 else ""
    )
    legend = f'<div class="legend">{keys}</div>' if keys else ""
    return (
        f'<figure class="chart">{html(title, "figcaption")}'
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(said)}">{body}</svg>'
        f"{legend}</figure>"
    )


def ticks(low: float, high: float, *, least: float = 0.0, count: int = _TICKS) -> list[float]:
    """Round numbers from at or below `low` to at or above `high`, about `count`, `least` apart."""
    span = (high - low) or abs(high) or 1.0
    power = 10 ** math.floor(math.log10(span / count))
    step = max(least, next(n * power for n in (1, 2, 5, 10) if n * power * count >= span))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [number * step for number in range(first, max(last, first + 1) + 1)]


def number(value: float) -> str:
    """As short as it can be told from its neighbours."""
    return f"{value:.3g}" if abs(value) < 1e4 else f"{value:,.0f}"


def score(value: float) -> str:
    """Three digits, the last zeros too, so that scores stand below one another."""
    return f"{value:#.3g}".removesuffix(".") if abs(value) < 1e3 else f"{value:,.0f}"


def _window(points: Points) -> int:
    """Points in the moving mean; 1 where each of them can be seen."""
    return len(points) // 20 if len(points) >= _MANY else 1


def _mean(points: Points, window: int) -> Points:
    """Each value as the mean of the last `window`; nothing of the future."""
    values = pd.Series([y for _, y in points]).rolling(window, min_periods=1).mean()
    return [(x, y) for (x, _), y in zip(points, values.tolist(), strict=True)]


def _colour(place: int) -> str:
    return f"series-{place % COLOURS}"


def _described(line: Line) -> str:
    (start, begin), (end, value) = line.points[0], line.points[-1]
    return f"{line.name}: {number(begin)} at {number(start)}, {number(value)} at {number(end)}"


@dataclass(frozen=True)
class _Frame:
    """The part of the plane that is drawn."""

    across: tuple[float, ...]
    up: tuple[float, ...]

    @classmethod
    def around(cls, points: Points) -> _Frame:
        xs, ys = [x for x, _ in points], [y for _, y in points]
        return cls(tuple(ticks(min(0, *xs), max(xs), least=1)), tuple(ticks(min(ys), max(ys))))

    def place(self, x: float, y: float) -> tuple[float, float]:
        width, height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
        return (
            _LEFT + width * (x - self.across[0]) / (self.across[-1] - self.across[0]),
            _TOP + height * (self.up[-1] - y) / (self.up[-1] - self.up[0]),
        )

    def grid(self) -> str:
        found = []
        for y in self.up:
            left, level = self.place(self.across[0], y)
            found.append(
                f'<line class="grid" x1="{left:.0f}" x2="{_WIDTH - _RIGHT}" y1="{level:.1f}" '
                f'y2="{level:.1f}"/><text x="{left - 8:.0f}" y="{level + 4:.1f}" '
                f'text-anchor="end">{number(y)}</text>'
            )
        for x in self.across:
            across, bottom = self.place(x, self.up[0])
            found.append(
                f'<text x="{across:.1f}" y="{bottom + 20:.0f}" text-anchor="middle">'
                f"{number(x)}</text>"
            )
        return "".join(found)

    def curve(self, points: Points) -> str:
        window = _window(points)
        single = f'<path class="single" d="{self._path(points)}"/>' if window > 1 else ""
        shown = _mean(points, window)
        x, y = self.place(*shown[-1])
        return f'{single}<path d="{self._path(shown)}"/><circle cx="{x:.1f}" cy="{y:.1f}" r="3"/>'

    def _path(self, points: Points) -> str:
        places = (self.place(x, y) for x, y in points)
        return "M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in places)
