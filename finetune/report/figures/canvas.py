"""A matplotlib figure → an SVG that takes its colours from the page, light or dark."""

from __future__ import annotations

import io
import re
import unicodedata
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from markupsafe import escape

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH: Final = 460
"""Units of every drawing: two fit beside one another, and one is still read on a telephone."""
SIZE: Final = 12.0

INK: Final = "#010203"
FAINT: Final = "#040506"
ACCENT: Final = "#0f766e"
SERIES: Final = (ACCENT, "#b45309", "#4338ca", "#be123c", "#4d7c0f", "#64748b")
DASHES: Final = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)), (0, (1, 1)))

_PAINT: Final = {
    INK: "currentColor",
    FAINT: "var(--faint, #94a3b8)",
    ACCENT: "var(--accent, #0f766e)",
    **{colour: f"var(--series-{n}, {colour})" for n, colour in enumerate(SERIES[1:], start=2)},
}
_SETTINGS: Final[dict[str, Any]] = {
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",
    "font.size": SIZE,
    # A dollar sign in a label is no formula.
    "text.parse_math": False,
    "axes.formatter.use_mathtext": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "figure.dpi": 72,
    "savefig.dpi": 72,
}
_ALONE: Final = """<style>
svg { color: #1e293b; background: #ffffff; font-family: system-ui, sans-serif; }
@media (prefers-color-scheme: dark) {
  svg { color: #e2e8f0; background: #0f172a; --faint: #64748b; --accent: #2dd4bf; --series-2: #fbbf24;
    --series-3: #a5b4fc; --series-4: #fda4af; --series-5: #bef264; --series-6: #cbd5e1; }
}
</style>"""


def svg(name: str, title: str, height: float, draw: Callable[[Figure], None]) -> str:
    """What `draw` puts on a figure of `WIDTH` × `height` units; the same input, the same text."""
    import matplotlib
    from matplotlib.figure import Figure

    settings: Any = {**_SETTINGS, "svg.hashsalt": name}
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        # The reader's own fonts draw the text; that ours lacks Chinese does not matter.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure = Figure(figsize=(WIDTH / 72, height / 72))
        figure.patch.set_visible(False)
        draw(figure)
        file = io.StringIO()
        empty = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(file, format="svg", transparent=True, metadata=empty)
    return _clean(file.getvalue(), title, height)


def alone(drawing: str) -> str:
    """The drawing as a file of its own, with the colours and the ground that the page would give it."""
    head, body = drawing.split(">", 1)
    return f"{head}>\n{_ALONE}{body}"


def _clean(text: str, title: str, height: float) -> str:
    body = text[text.index(">", text.index("<svg")) + 1 :]
    body = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", body, flags=re.DOTALL)
    used = set(re.findall(r"(?:url\(|href=\")#([\w-]+)", body))
    body = re.sub(
        r' id="([^"]*)"', lambda found: found.group(0) if found.group(1) in used else "", body
    )
    body = re.sub(r"font: (?:(bold|\d00) )?([\d.]+)px [^;\"]*", _font, body)
    body = re.sub(r"#[0-9a-f]{6}", lambda found: _PAINT.get(found.group(0), found.group(0)), body)
    body = re.sub(r"\s*\n\s*", "\n", body)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="0 0 {WIDTH} {height:g}" width="{WIDTH}" height="{height:g}" role="img" '
        f'aria-label="{escape(plain(title))}">{body.strip()}'
    )


def _font(found: re.Match[str]) -> str:
    weight = f"font-weight: {found.group(1)}; " if found.group(1) else ""
    return f"{weight}font-size: {found.group(2)}px"


def area(
    figure: Figure, height: float, *, left: float, top: float, right: float, bottom: float
) -> Axes:
    """Axes that leave these margins, in units."""
    box = (
        left / WIDTH,
        bottom / height,
        (WIDTH - left - right) / WIDTH,
        (height - top - bottom) / height,
    )
    axes = figure.add_axes(box)
    axes.patch.set_visible(False)
    axes.tick_params(length=3)
    return axes


def ticks(axis: Any, count: int = 5) -> None:
    """Few round numbers, with a true minus sign."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(nbins=count, steps=[1, 2, 5, 10], min_n_ticks=3))
    axis.set_major_formatter(FuncFormatter(lambda at, _: f"{round(at, 9):,g}".replace("-", "−")))


def plain(text: str) -> str:
    """On one line, without what may not stand in XML."""
    kept = (c if unicodedata.category(c)[0] != "C" else " " for c in text)
    return " ".join("".join(kept).split())


def wide(text: str, size: float = SIZE) -> float:
    """About how many units a text takes; a Chinese character is as wide as it is high."""
    return size * sum(map(_width, text))


def _width(character: str) -> float:
    if unicodedata.east_asian_width(character) in "WF":
        return 1.0
    if character in " .,:;'!|()[]ijlftrI1-/":
        return 0.42
    return 0.85 if character in "mwMW@%—" else 0.6


def clip(text: str, units: float, size: float = SIZE) -> str:
    """The text, cut with an ellipsis where it is wider."""
    text = plain(text)
    if wide(text, size) <= units + 0.01:
        return text
    while text and wide(f"{text}…", size) > units:
        text = text[:-1]
    return f"{text.rstrip()}…"
