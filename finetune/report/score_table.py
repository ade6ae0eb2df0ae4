"""Results side by side, for a terminal."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from finetune.report.results import Entry, Measured, Results

_OF_LABELS = ("precision", "recall", "f1")


def table(results: Results) -> Table:
    """A row a contestant, baselines first: the deciding value with its interval, then the others.

    The values of single labels, and all other intervals, are left to the report.
    """
    subject, decides = results.entries[-1], results.verdict.metric
    of_labels = {f"{of}_{label}" for of in _OF_LABELS for label in results.data_card.labels}
    others = [name for name in subject.metrics if name not in {decides, *of_labels}]
    drawn = Table(f"{results.rows:,} rows")
    for name in (decides, *others):
        drawn.add_column(escape(name.replace("_", " ")), justify="right", no_wrap=name == decides)
    for entry in results.entries:
        style = "bold" if entry.name == results.subject else ""
        first = _cell(entry, subject, decides, interval=True)
        rest = (_cell(entry, subject, name) for name in others)
        drawn.add_row(escape(entry.name), first, *rest, style=style)
    return drawn


def _cell(entry: Entry, subject: Entry, name: str, *, interval: bool = False) -> str:
    found = entry.metrics.get(name)
    if found is None:
        return "-"
    places = _places(found, subject.metrics[name])
    value = f"{found.value:.{places}f}"
    return f"{value}  {found.low:.{places}f}-{found.high:.{places}f}" if interval else value


def _places(found: Measured, beside: Measured) -> int:
    """What stands in one column is written in one way; percentages need fewer places."""
    return 2 if max(abs(found.value), abs(beside.value)) > 1.5 else 3
