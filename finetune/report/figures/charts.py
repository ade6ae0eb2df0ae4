"""The drawings of a report. Each is made only where its data exist."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from finetune.evaluation.metrics.registry import MEAN, Metric, metric
from finetune.report.figures import canvas
from finetune.report.figures.canvas import ACCENT, FAINT, INK, SERIES
from finetune.report.results import Comparison, Measured, Outcome, Slice
from finetune.report.sections.document import Figure
from finetune.report.sections.edition import Edition
from finetune.report.sections.numbers import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

_OUTCOMES: Final[dict[Outcome, tuple[str, str, str]]] = {
    "win": ("✓", "o", ACCENT),
    "tie": ("≈", "s", INK),
    "loss": ("✗", "v", SERIES[3]),
    "starved": ("∅", "s", INK),
}
"""Sign, marker and colour, so that colour is never alone."""
_ROW = 27.0
_FOOT = 42.0
_HEAD = 22.0


@dataclass(frozen=True, kw_only=True)
class Dot:
    """A line of a dot-and-interval plot."""

    label: str
    said: str
    """Stands at the right end."""
    value: float
    low: float
    high: float
    strong: bool = False
    marker: str = "o"
    colour: str = INK


def entries(edition: Edition) -> Figure | None:
    """The deciding value of every entry."""
    of = edition.deciding
    dots = [
        Dot(
            label=edition.entry(entry.name), said=edition.value(of, entry.metrics[of.name]),
            strong=entry is edition.subject, **_bounds(entry.metrics[of.name]),
        )
        for entry in edition.entries
        if of.name in entry.metrics
    ]  # fmt: skip
    if len(dots) < 2:
        return None
    known = edition.baseline.metrics.get(of.name) if edition.baseline else None
    line = (known.value, edition.say("best_baseline")) if known else None
    title = edition.say("picture_entries", metric=edition.label(of))
    direction = edition.direction(of)
    how = edition.say("picture_entries_how" if line else "picture_plain_how", direction=direction)
    return _dots("entries", title, how, dots, edition.label(of), line)


def differences(edition: Edition) -> Figure | None:
    """The subject minus each other entry, on the deciding value."""
    of = edition.deciding
    found = edition.compared(of)
    if not found:
        return None
    dots = [_difference(edition, one) for one in found]
    title = edition.say("picture_differences", metric=edition.label(of))
    how = edition.say("picture_differences_how", direction=edition.direction(of))
    return _dots("differences", title, how, dots, edition.say("difference"), (0.0, ""))


def _difference(edition: Edition, one: Comparison) -> Dot:
    of = metric(one.metric, edition.labels)
    measured = Measured(value=one.difference, low=one.low, high=one.high, rows=0)
    sign, marker, colour = _OUTCOMES[one.outcome]
    return Dot(
        label=edition.entry(one.against),
        said=f"{number(one.difference, edition.decimals(of), signed=True)} {sign}",
        colour=colour,
        marker=marker,
        **_bounds(measured),
    )


def slices(edition: Edition) -> Iterator[Figure]:
    """The deciding value by length, by language, by source and by part."""
    found: dict[str, list[Slice]] = {}
    for one in edition.results.slices:
        found.setdefault(one.by, []).append(one)
    whole = edition.subject.metrics.get(edition.deciding.name)
    line = (whole.value, edition.say("all_rows")) if whole else None
    for by, parts in found.items():
        dots = [
            Dot(
                label=edition.part(one.name), said=f"n = {one.measured.rows:,}", strong=True,
                **_bounds(one.measured),
            )
            for one in parts
        ]  # fmt: skip
        title = edition.say(
            "picture_slices", metric=edition.label(edition.deciding), by=slice_by(edition, by)
        )
        how = edition.say("picture_slices_how") if by == edition.results.slices[0].by else ""
        yield _dots(f"slices-{by}", title, how, dots, edition.label(edition.deciding), line)


def slice_by(edition: Edition, by: str) -> str:
    words = {
        "length": edition.say("by_length"),
        "language": edition.say("by_language"),
        "source": edition.say("by_source"),
    }
    return words.get(by, edition.say("by_part"))


def learning(edition: Edition) -> Iterator[Figure]:
    """The loss of the run, and the deciding value on the rows that picked the checkpoint."""
    lines = edition.results.learning
    loss = [(line["step"], line["loss"]) for line in lines if "loss" in line and "step" in line]
    if len(loss) > 1:
        yield _curve(
            edition, "loss", edition.say("picture_loss"), edition.say("picture_loss_how"), loss
        )
    of = edition.deciding
    value = validated(edition)
    if len(value) > 1:
        title = edition.say("picture_value", metric=edition.label(of))
        picked = edition.results.picked_checkpoint
        how = edition.say("picture_value_picked" if picked else "picture_value_how")
        pick = max if of.higher_is_better else min
        yield _curve(edition, "value", title, how, value, pick(value, key=lambda point: point[1]))


def validated(edition: Edition) -> list[tuple[float, float]]:
    """Step and deciding value, each time that the run was validated."""
    lines = edition.results.learning
    seen = [(line["step"], _validated(edition.deciding, line)) for line in lines if "step" in line]
    return [(step, value) for step, value in seen if value is not None]


def _validated(of: Metric, line: Mapping[str, float]) -> float | None:
    """The value of a line of the log; a mean over parts is taken from those of the parts."""
    if of.name in line or of.suffix != MEAN:
        return line.get(of.name)
    parts = [value for name, value in line.items() if name.startswith(f"{of.family}_")]
    return sum(parts) / len(parts) if parts else None


def _curve(
    edition: Edition,
    name: str,
    title: str,
    how: str,
    points: Sequence[tuple[float, float]],
    best: tuple[float, float] | None = None,
) -> Figure:
    height = 260.0

    def draw(figure: Drawing) -> None:
        axes = canvas.area(figure, height, left=52, top=12, right=14, bottom=_FOOT)
        few = len(points) < 40
        axes.plot(*zip(*points, strict=True), color=ACCENT, lw=1.6, marker="o" if few else "", ms=3)
        if best:
            axes.plot(*best, marker="o", ms=10, mfc="none", mec=ACCENT, mew=1.6)
        canvas.ticks(axes.xaxis)
        canvas.ticks(axes.yaxis)
        axes.set_xlabel(edition.say("step"))
        axes.grid(axis="y", color=FAINT, alpha=0.35, lw=0.6)

    return _figure(name, title, how, height, draw)


def _dots(
    name: str,
    title: str,
    how: str,
    dots: Sequence[Dot],
    unit: str,
    line: tuple[float, str] | None = None,
) -> Figure:
    """One line a dot: its name, its interval on a common axis, what is said of it."""
    height = _HEAD + _ROW * len(dots) + _FOOT
    left = 18 + min(190.0, max(canvas.wide(canvas.plain(dot.label)) for dot in dots))
    right = 10 + max(canvas.wide(dot.said) for dot in dots)

    def draw(figure: Drawing) -> None:
        axes = canvas.area(figure, height, left=left, top=_HEAD, right=right, bottom=_FOOT)
        if line:
            _line(axes, *line)
        for place, dot in enumerate(dots):
            _dot(axes, place, dot)
            across = 1 - (_HEAD + _ROW * (place + 0.5)) / height
            weight = "bold" if dot.strong and len(dots) > sum(d.strong for d in dots) else "normal"
            said: dict[str, Any] = dict(va="center_baseline", weight=weight)
            figure.text(0, across, canvas.clip(dot.label, left - 18), **said)
            figure.text(1, across, dot.said, ha="right", **said)
        axes.set(ylim=(len(dots) - 0.5, -0.5), yticks=[], xlim=_limits(dots, line))
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x", color=FAINT, alpha=0.35, lw=0.6)
        canvas.ticks(axes.xaxis, 4)
        axes.set_xlabel(unit)

    return _figure(name, title, how, height, draw)


def _dot(axes: Axes, place: int, dot: Dot) -> None:
    strong = dot.strong or dot.colour != INK
    colour = ACCENT if dot.strong else dot.colour
    alpha = 1.0 if strong else 0.7
    axes.plot([dot.low, dot.high], [place, place], color=colour, lw=2.2 if strong else 1.3, alpha=alpha,
              solid_capstyle="round")  # fmt: skip
    axes.plot(
        dot.value,
        place,
        marker=dot.marker,
        ms=8 if strong else 6.5,
        mfc=colour,
        mec=colour,
        alpha=alpha,
        clip_on=False,
    )


def _line(axes: Axes, value: float, label: str) -> None:
    axes.axvline(value, color=INK, lw=1, alpha=0.75, ls=(0, (4, 3)) if label else "-")
    if not label:
        return
    axes.annotate(
        label,
        (value, 1),
        xycoords=("data", "axes fraction"),
        xytext=(0, 5),
        textcoords="offset points",
        ha="center",
        size=canvas.SIZE - 1.5,
    )


def _limits(dots: Sequence[Dot], line: tuple[float, str] | None) -> tuple[float, float]:
    ends = [bound for dot in dots for bound in (dot.low, dot.value, dot.high)]
    ends += [line[0]] if line else []
    low, high = min(ends), max(ends)
    pad = 0.06 * (high - low) or abs(high) * 0.1 or 1.0
    return low - pad, high + pad


def _bounds(measured: Measured) -> dict[str, Any]:
    return {"value": measured.value, "low": measured.low, "high": measured.high}


def _figure(
    name: str, title: str, how: str, height: float, draw: Callable[[Drawing], None]
) -> Figure:
    drawing = canvas.svg(name, title, height, draw)
    return Figure(name=name, caption=title, how=how, svg=drawing)
