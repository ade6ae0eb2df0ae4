"""Charts of a summary as HTML and SVG in the colours of the page; nothing is fetched or run."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from demos.files import words
from demos.files.summary import Extreme, Part, Summary
from demos.said import html, percent
from demos.task_words import label

_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 640, 190, 52, 26
_CUT = 220
"""Characters of a row that are shown."""


def charts(found: Summary) -> str:
    """Everything that a summary holds, one figure after another."""
    counts = {"rows": f"{found.rows:,}", "unanswered": f"{found.unanswered:,}"}
    said = words.ROWS if found.unanswered else words.ALL_ROWS
    parts = [html(said.filled(**counts), "p", class_="about", role="status")]
    if not found.rows:
        return html(words.NOTHING, "p", role="status")
    followed = label(found.label)
    if found.shares:
        named = [(html(label(part.name)), part) for part in found.shares]
        parts.append(_figure(html(words.SHARES), _bars(named)))
    if found.times:
        parts.append(_figure(html(words.TIMES.filled(label=followed)), _line(found.times)))
    if found.sources:
        named = [(escape(part.name), part) for part in found.sources]
        parts.append(_figure(html(words.SOURCES.filled(label=followed)), _bars(named)))
    if found.shares:
        parts.append(html(words.INTERVALS, "p", class_="quiet"))
    if found.surest:
        parts.append(_figure(html(words.SUREST), _rows(found.surest)))
    if found.least_sure:
        parts.append(_figure(html(words.LEAST_SURE), _rows(found.least_sure)))
    return f'<div class="summary">{"".join(parts)}</div>'


def _figure(title: str, drawn: str) -> str:
    return f"<figure><figcaption>{title}</figcaption>{drawn}</figure>"


def _bars(named: Sequence[tuple[str, Part]]) -> str:
    """Names, bars with whiskers, and the numbers in words."""
    return "".join(
        f'<div class="bar wide"><span class="name">{name}</span><span class="track">'
        f'<i class="share" style="width:{part.share:.2%}"></i><i class="whisker" '
        f'style="left:{part.low:.2%};width:{part.high - part.low:.2%}"></i></span>'
        f'<span class="value">{part.share:.1%}<small>{part.low:.0%}–{part.high:.0%} · '
        f"{part.count:,}/{part.rows:,}</small></span></div>"
        for name, part in named
    )


def _line(parts: Sequence[Part]) -> str:
    """Shares as a line within the band of their intervals; each point tells its numbers."""
    step = (_WIDTH - _LEFT - 12) / max(len(parts) - 1, 1)
    xs = [_LEFT + 4 + place * step for place in range(len(parts))]
    band = [*zip(xs, map(_y, (p.high for p in parts)), strict=True)]
    band += reversed([*zip(xs, map(_y, (p.low for p in parts)), strict=True)])
    line = [*zip(xs, (_y(p.share) for p in parts), strict=True)]
    points = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" tabindex="0"><title>{escape(_told(part))}</title>'
        "</circle>"
        for (x, y), part in zip(line, parts, strict=True)
    )
    said = "; ".join(map(_told, parts))
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(said)}">{_grid()}'
        f'<polygon points="{_joined(band)}"/><polyline points="{_joined(line)}"/>{points}'
        f"{_dates(xs, parts)}</svg>"
    )


def _grid() -> str:
    return "".join(
        f'<line x1="{_LEFT}" x2="{_WIDTH}" y1="{_y(share)}" y2="{_y(share)}"/>'
        f'<text x="{_LEFT - 6}" y="{_y(share) + 4}" text-anchor="end">{share:.0%}</text>'
        for share in (0, 0.25, 0.5, 0.75, 1)
    )


def _dates(xs: Sequence[float], parts: Sequence[Part]) -> str:
    every = -(-len(parts) // 5)
    return "".join(
        f'<text x="{x:.1f}" y="{_HEIGHT - 6}" text-anchor="{_anchor(x)}">{escape(part.name)}</text>'
        for x, part in list(zip(xs, parts, strict=True))[::every]
    )


def _anchor(x: float) -> str:
    """At the right edge a date stands left of its point, or it would be cut."""
    return "end" if x > _WIDTH - _LEFT else "middle"


def _y(share: float) -> float:
    return round(8 + (1 - share) * (_HEIGHT - _BOTTOM - 12), 1)


def _joined(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _told(part: Part) -> str:
    return f"{part.name}: {part.share:.1%} ({part.low:.1%}–{part.high:.1%}), {part.rows:,}"


def _rows(found: Sequence[Extreme]) -> str:
    rows = "".join(
        f"<tr><td>{html(label(one.answer))}</td><td>{escape(percent(one.share))}</td>"
        f"<td>{escape(one.text[:_CUT])}{'…' if len(one.text) > _CUT else ''}</td></tr>"
        for one in found
    )
    return f"<table>{rows}</table>"
