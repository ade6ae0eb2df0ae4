"""The drawings of a closed answer: confusions, thresholds, and how far confidence is right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from finetune.report.figures import canvas
from finetune.report.figures.canvas import ACCENT, DASHES, FAINT, INK, SERIES, WIDTH
from finetune.report.results import Calibration, Curves
from finetune.report.sections.document import Figure
from finetune.report.sections.edition import Edition

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

_MOST_LABELS = 10
"""Beyond these, cells are tinted but hold no numbers."""
_MOST_TINT = 0.42
"""So that text on the cell stays readable in either mode."""
_SQUARE = 390.0

Points = Sequence[tuple[float, float]]


def confusion(edition: Edition) -> Figure | None:
    """Right labels against predicted ones."""
    curves = edition.results.curves
    if curves is None or not curves.labels:
        return None
    name = 18 + min(110.0, max(canvas.wide(canvas.plain(label)) for label in curves.labels))
    left = name + 20
    side = min(96.0, (WIDTH - left) / len(curves.labels))
    top = 44.0
    height = top + side * len(curves.labels) + 8

    def draw(figure: Drawing) -> None:
        right = WIDTH - left - side * len(curves.labels)
        axes = canvas.area(figure, height, left=left, top=top, right=right, bottom=8)
        _cells(axes, curves)
        _names(axes, curves, side, name)
        axes.set_xlabel(edition.say("predicted_label"), labelpad=8)
        axes.set_ylabel(edition.say("right_label"), labelpad=6)

    title = edition.say("picture_confusion")
    drawing = canvas.svg("confusion", title, height, draw)
    how = edition.say("picture_confusion_how")
    return Figure(name="confusion", caption=title, how=how, svg=drawing)


def _cells(axes: Axes, curves: Curves) -> None:
    from matplotlib.patches import Rectangle

    for down, row in enumerate(curves.confusion):
        whole = sum(row)
        for across, count in enumerate(row):
            share = count / whole if whole else 0.0
            axes.add_patch(
                Rectangle(
                    (across - 0.485, down - 0.485),
                    0.97,
                    0.97,
                    color=ACCENT,
                    alpha=0.05 + (_MOST_TINT - 0.05) * share,
                    lw=0,
                )
            )
            if len(curves.labels) <= _MOST_LABELS:
                _count(axes, across, down, count, share, len(curves.labels))


def _count(axes: Axes, across: int, down: int, count: int, share: float, labels: int) -> None:
    weight = "bold" if across == down else "normal"
    size = canvas.SIZE + 1 if labels <= 5 else canvas.SIZE - 2
    if labels > 6:
        axes.text(across, down, f"{count}", ha="center", va="center", weight=weight, size=size)
        return
    axes.text(across, down - 0.04, f"{count:,}", ha="center", va="bottom", weight=weight, size=size)
    axes.text(
        across, down + 0.06, f"{share:.1%}", ha="center", va="top", size=size - 2.5, alpha=0.85
    )


def _names(axes: Axes, curves: Curves, side: float, room: float) -> None:
    places = range(len(curves.labels))
    axes.set(xlim=(-0.5, len(places) - 0.5), ylim=(len(places) - 0.5, -0.5))
    axes.set_xticks(places, [canvas.clip(label, side - 4) for label in curves.labels])
    axes.set_yticks(places, [canvas.clip(label, room - 18) for label in curves.labels])
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def thresholds(edition: Edition) -> Iterator[Figure]:
    """Precision over recall, and the ROC curve, for every label."""
    curves = edition.results.curves
    if curves is None:
        return
    if curves.precision_recall:
        said = {label: f"AP {value:.3f}" for label, value in curves.average_precision.items()}
        axis = (edition.say("recall"), edition.say("precision"))
        yield _lines(edition, "precision_recall", curves.precision_recall, said, axis)
    if curves.roc:
        said = {label: f"{edition.say('area')} {v:.3f}" for label, v in curves.roc_auc.items()}
        axis = (edition.say("false_positive"), edition.say("true_positive"))
        yield _lines(edition, "roc", curves.roc, said, axis)


def _lines(
    edition: Edition,
    name: str,
    curves: Mapping[str, Points],
    said: Mapping[str, str],
    axis: tuple[str, str],
) -> Figure:
    def draw(figure: Drawing) -> None:
        axes = _unit_square(figure, axis)
        if name == "roc":
            axes.plot([0, 1], [0, 1], color=INK, lw=1, ls=":", alpha=0.75)
        for place, (label, points) in enumerate(list(curves.items())[: len(SERIES)]):
            if not points:
                continue
            known = f"{canvas.clip(label, 130)}  {said.get(label, '')}"
            axes.plot(
                *zip(*points, strict=True),
                color=SERIES[place],
                ls=DASHES[place],
                lw=1.8,
                label=known,
                clip_on=False,
            )
        left = 0.02 if name == "precision_recall" else 0.36
        axes.legend(loc="lower left", bbox_to_anchor=(left, 0.01), handlelength=2.6)

    is_roc = name == "roc"
    title = edition.say("picture_roc" if is_roc else "picture_precision_recall")
    how = edition.say("picture_roc_how" if is_roc else "picture_precision_recall_how")
    drawing = canvas.svg(name, title, _SQUARE, draw)
    return Figure(name=name.replace("_", "-"), caption=title, how=how, svg=drawing)


def _unit_square(figure: Drawing, axis: tuple[str, str], bottom: float = 44) -> Axes:
    axes = canvas.area(figure, _SQUARE, left=52, top=12, right=14, bottom=bottom)
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel=axis[0], ylabel=axis[1])
    canvas.ticks(axes.xaxis)
    canvas.ticks(axes.yaxis)
    axes.grid(color=FAINT, alpha=0.3, lw=0.6)
    return axes


def reliability(edition: Edition) -> Figure | None:
    """Confidence against accuracy, before and after the temperature; rows a bin beneath."""
    found = edition.results.calibration
    if found is None or not found.reliability:
        return None

    def draw(figure: Drawing) -> None:
        axes = _unit_square(figure, ("", edition.say("share_right")), bottom=110)
        axes.tick_params(labelbottom=False)
        axes.plot([0, 1], [0, 1], color=INK, lw=1, ls=":", alpha=0.75)
        _bins(axes, found.reliability_before, edition.say("before"), before=True)
        _bins(axes, found.reliability, edition.say("after"), before=False)
        axes.legend(loc="upper left", bbox_to_anchor=(0.01, 1.0), handlelength=2.6)
        _rows(edition, figure, found)

    title = edition.say("picture_reliability")
    drawing = canvas.svg("reliability", title, _SQUARE, draw)
    how = edition.say("picture_reliability_how")
    return Figure(name="reliability", caption=title, how=how, svg=drawing)


def _bins(
    axes: Axes, bins: Sequence[tuple[float, float, int]], label: str, *, before: bool
) -> None:
    points = [(confidence, right) for confidence, right, rows in bins if rows]
    if not points:
        return
    colour, alpha = (INK, 0.65) if before else (ACCENT, 1.0)
    axes.plot(
        *zip(*points, strict=True),
        color=colour,
        alpha=alpha,
        lw=1.3 if before else 1.9,
        ls="--" if before else "-",
        marker="s" if before else "o",
        ms=4.5 if before else 6,
        label=label,
        clip_on=False,
    )


def _rows(edition: Edition, figure: Drawing, found: Calibration) -> None:
    axes = canvas.area(figure, _SQUARE, left=52, top=_SQUARE - 98, right=14, bottom=44)
    bins = [(confidence, rows) for confidence, _, rows in found.reliability if rows]
    axes.vlines(
        [confidence for confidence, _ in bins], 0, [rows for _, rows in bins], color=ACCENT, lw=9
    )
    axes.set(xlim=(0, 1), ylim=(0, None), xlabel=edition.say("confidence"))
    axes.set_ylabel(edition.say("rows"))
    canvas.ticks(axes.xaxis)
    canvas.ticks(axes.yaxis, 2)
