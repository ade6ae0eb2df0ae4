"""Results side by side, for a terminal."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from finetune.evaluation.metrics.registry import metric
from finetune.report.results import Entry, Results


def table(results: Results) -> Table:
    """A row a system, baselines first: the deciding value with its interval, then the others.

    The values of single labels, and all other intervals, are left to the report.
    """
    subject, decides = results.entries[-1], results.verdict.metric
    known = {name: metric(name, results.data_card.labels) for name in subject.metrics}
    others = [name for name, of in known.items() if name != decides and not of.of_label]
    drawn = Table(f"{results.rows:,} rows")
    for name in (decides, *others):
        drawn.add_column(escape(name.replace("_", " ")), justify="right", no_wrap=name == decides)
    for entry in results.entries:
        style = "bold" if entry.name == results.subject else ""
        first = _cell(entry, decides, interval=True)
        rest = (_cell(entry, name) for name in others)
        drawn.add_row(escape(entry.name), first, *rest, style=style)
    return drawn


def _cell(entry: Entry, name: str, *, interval: bool = False) -> str:
    found = entry.metrics.get(name)
    if found is None:
        return "-"
    places = metric(name).decimals
    value = f"{found.value:.{places}f}"
    return f"{value}  {found.low:.{places}f}-{found.high:.{places}f}" if interval else value
