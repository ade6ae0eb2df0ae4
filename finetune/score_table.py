"""Scores side by side, for a terminal."""

from __future__ import annotations

from collections.abc import Mapping

from rich.markup import escape
from rich.table import Table

from finetune.scoring import Score


def table(scores: Mapping[str, Score]) -> Table:
    """Rows are values, columns are models; a dash where a model has no such value."""
    drawn = Table("metric")
    for name in scores:
        drawn.add_column(escape(name), justify="right")
    for metric in dict.fromkeys(name for score in scores.values() for name in score.metrics):
        values = [score.metrics.get(metric) for score in scores.values()]
        drawn.add_row(escape(metric), *_cells(values))
    return drawn


def _cells(values: list[float | None]) -> list[str]:
    # Percentages need fewer places than fractions; a row is written in one way.
    places = 2 if any(value is not None and abs(value) > 1 for value in values) else 3
    return ["-" if value is None else f"{value:.{places}f}" for value in values]


def markdown(scores: Mapping[str, Score]) -> str:
    """The same as a Markdown table."""
    rows = [["value", *scores], ["---", *["---:"] * len(scores)]]
    for metric in dict.fromkeys(name for score in scores.values() for name in score.metrics):
        values = [score.metrics.get(metric) for score in scores.values()]
        rows.append([metric, *_cells(values)])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)
