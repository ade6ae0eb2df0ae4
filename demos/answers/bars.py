"""A closed answer as bars: every label with its probability, and the threshold that decides."""

from __future__ import annotations

from html import escape

from core.adapters.passport import OperatingPoint
from core.application import Prediction
from demos import words
from demos.said import Said, html, percent
from demos.task_words import label

_EVEN = 0.5
"""Of two labels without a threshold, the likelier one is said."""


def bars(found: Prediction, point: OperatingPoint) -> str:
    """The decided label, a bar for each label, and what the mark on it means."""
    drawn = "".join(
        _bar(name, share, name == found.text, _threshold(name, found, point))
        for name, share in found.probabilities.items()
    )
    head = html(label(found.text), "p", class_="decided" + (" unsure" if found.abstained else ""))
    about = html(_meaning(found, point), "p", class_="quiet")
    return f'<div class="bars" role="status">{head}{drawn}{about}</div>'


def _bar(name: str, share: float, decided: bool, threshold: float | None) -> str:
    mark = ""
    if threshold is not None and threshold <= 1:
        mark = f'<i class="threshold" style="left:{threshold:.2%}"></i>'
    width = f'<i class="share" style="width:{share:.2%}"></i>'
    kind = "bar said-it" if decided else "bar"
    return (
        f'<div class="{kind}">{html(label(name), class_="name")}'
        f'<span class="track">{width}{mark}</span><span class="value">{escape(percent(share))}</span></div>'
    )


def _threshold(name: str, found: Prediction, point: OperatingPoint) -> float | None:
    if point.threshold is not None:
        return point.threshold if name == point.label else None
    return _EVEN if len(found.probabilities) == 2 else None


def _meaning(found: Prediction, point: OperatingPoint) -> Said:
    if point.threshold is None:
        return words.LIKELIER if len(found.probabilities) == 2 else words.LIKELIEST
    said = words.THRESHOLD.filled(name=label(point.label), threshold=f"{point.threshold:.1%}")
    if point.max_false_positive_rate is None:
        return said
    why = words.FITTED.filled(
        rate=f"{point.max_false_positive_rate:.1%}", rows=f"{point.fitted_on:,}"
    )
    return Said(f"{said.en} {why.en}", f"{said.zh}{why.zh}")
