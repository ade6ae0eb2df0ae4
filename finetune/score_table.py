"""Results side by side, for a terminal."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from finetune.report.results import Entry, Measured, Results


def table(results: Results) -> Table:
    """A row a contestant, baselines first; a column for each value of the subject, with intervals.

    Precision and recall of single labels are left to the report.
    """
    subject = results.entries[-1]
    names = [name for name in subject.metrics if not name.startswith(("precision_", "recall_"))]
    drawn = Table(f"{results.rows:,} rows")
    for name in names:
        drawn.add_column(escape(name.replace("_", " ")), justify="right")
    for entry in results.entries:
        style = "bold" if entry.name == results.subject else ""
        drawn.add_row(escape(entry.name), *(_cell(entry, subject, n) for n in names), style=style)
    return drawn


def _cell(entry: Entry, subject: Entry, name: str) -> str:
    found = entry.metrics.get(name)
    return "-" if found is None else written(found, beside=subject.metrics[name])


def written(found: Measured, *, beside: Measured) -> str:
    """A value with its interval; what stands in one column is written in one way."""
    places = 2 if max(abs(found.value), abs(beside.value)) > 1.5 else 3
    return f"{found.value:.{places}f} ({found.low:.{places}f}-{found.high:.{places}f})"
