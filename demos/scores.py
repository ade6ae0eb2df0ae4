"""What stands above a page: which adapter answers, and its score beside the baseline."""

from __future__ import annotations

from html import escape
from typing import Any

from core.adapters import registry
from core.adapters.passport import Passport
from core.task import Task
from finetune.evaluation.metrics.deciding import deciding_values


def adapter_name(name: str, backbone: str) -> str:
    """'task@version' of an installed adapter, or 'shipped'."""
    task, _, version = name.partition("@")
    number = version or max(registry.versions(task, backbone), default="")
    return f"{task}@{number}" if number else "shipped"


def header(task: Task[Any], name: str, passport: Passport) -> str:
    """Two lines of HTML, and every value behind a fold."""
    scores = deciding_values(task, passport.metrics)
    values = " · ".join(_value(key, scores[key], passport) for key in scores)
    line = f"Adapter <b>{escape(adapter_name(name, passport.backbone))}</b>"
    if values:
        line += f" · {values} on {passport.rows:,} rows"
    return f'<p class="about">{escape(task.description)}</p><p class="quiet">{line}</p>' + _table(
        passport
    )


def problem(task: Task[Any], error: Exception) -> str:
    """Why nothing can be asked here, in the error's own words."""
    return (
        f'<p class="about">{escape(task.description)}</p>'
        f'<p class="problem" role="alert">{escape(str(error))}</p>'
    )


def _value(key: str, value: float, passport: Passport) -> str:
    own, other = _pair(value, passport.baseline.get(key))
    beside = f" ({_baseline(passport)} {other})" if key in passport.baseline else ""
    return f"{_words(key)} <b>{own}</b>{beside}"


def _baseline(passport: Passport) -> str:
    return escape(f"baseline {passport.baseline_name}".strip())


def _table(passport: Passport) -> str:
    rows = (
        (_words(key), *_pair(value, passport.baseline.get(key)))
        for key, value in passport.metrics.items()
    )
    drawn = "".join(f"<tr><td>{'</td><td>'.join(row)}</td></tr>" for row in rows)
    if not drawn:
        return ""
    return (
        '<details class="quiet"><summary>All values</summary><table>'
        f"<tr><th>metric</th><th>adapter</th><th>{_baseline(passport)}</th></tr>{drawn}</table>"
        f"<p>Measured on {passport.rows:,} rows of {escape(passport.data)}, "
        f"{escape(passport.created[:10])}.</p></details>"
    )


def _words(key: str) -> str:
    return escape(key.replace("_", " "))


def _pair(value: float, other: float | None) -> tuple[str, str]:
    # Percentages need fewer places than fractions; what is compared is written in one way.
    places = 2 if max(abs(value), abs(other or 0)) > 1 else 3
    return f"{value:.{places}f}", "-" if other is None else f"{other:.{places}f}"
