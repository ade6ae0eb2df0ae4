"""What a person reads of a million answers: shares with intervals, over source and time; edge cases."""

from __future__ import annotations

import heapq
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from core import store
from core.task import Choice, Task

SHOWN = 10
"""The surest and the least sure rows that are kept."""
_MOST_GROUPS = 60
_OTHER = "other"
_SOURCES = ("source", "channel", "origin")
_TIMES = ("date", "time", "timestamp", "created_at", "datetime")
_MONTH = re.compile(r"(\d{4})[-/.年](\d{1,2})(?!\d)")


@dataclass(frozen=True, kw_only=True)
class Share:
    """How many rows got a label, and the 95 % Wilson interval of their share."""

    label: str
    rows: int
    share: float
    low: float
    high: float


@dataclass
class Summary:
    """The figures of a run; groups are named by column and value."""

    task: str
    rows: int = 0
    unanswered: int = 0
    shortened: int = 0
    """Rows whose input did not fit into the context."""
    shares: list[Share] = field(default_factory=list)
    groups: dict[str, dict[str, list[Share]]] = field(default_factory=dict)
    surest: list[dict[str, Any]] = field(default_factory=list)
    least_sure: list[dict[str, Any]] = field(default_factory=list)


def summed(task: Task[Any], outputs: Sequence[Path]) -> Summary:
    """The summary of all answers, read once; memory does not depend on the rows."""
    found, tally = Summary(task=task.name), _Tally()
    for row in _rows(outputs):
        found.rows += 1
        found.unanswered += "prediction" not in row
        found.shortened += bool(row.get("dropped"))
        if isinstance(task.answer, Choice) and "prediction" in row:
            tally.add(row)
    if isinstance(task.answer, Choice):
        labels = task.answer.labels
        found.shares = shares(tally.all, labels)
        found.groups = {
            column: {value: shares(counts, labels) for value, counts in sorted(groups.items())}
            for column, groups in tally.groups.items()
        }
        found.surest, found.least_sure = tally.surest.rows, tally.least_sure.rows
    return found


def shares(counts: Counter[str], labels: Iterable[str]) -> list[Share]:
    """Of each label; the interval is Wilson's (1927), which holds for shares near 0 and 1."""
    from statsmodels.stats.proportion import proportion_confint

    total = sum(counts.values())
    found = []
    for label in labels:
        rows = counts[label]
        low, high = proportion_confint(rows, total, method="wilson") if total else (0.0, 1.0)
        found.append(
            Share(
                label=label, rows=rows, share=rows / total if total else 0.0,
                low=float(low), high=float(high),
            )
        )  # fmt: skip
    return found


def write(found: Summary, folder: Path) -> None:
    """`summary.md`, `summary.json`, and for closed answers `shares.png`."""
    store.write_json(folder / "summary.json", asdict(found))
    store.write_text(folder / "summary.md", "\n".join(_markdown(found)) + "\n")
    if found.shares:
        _plot(found, folder / "shares.png")


class _Extremes:
    """The rows with the highest keys, at most so many."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, dict[str, Any]]] = []
        self._seen = 0

    def add(self, key: float, row: dict[str, Any]) -> None:
        self._seen += 1
        push = heapq.heappush if len(self._heap) < SHOWN else heapq.heappushpop
        push(self._heap, (key, -self._seen, row))

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [row for _, _, row in sorted(self._heap, reverse=True)]


class _Tally:
    """Counts of labels: of all rows, by file, by source and by month."""

    def __init__(self) -> None:
        self.all: Counter[str] = Counter()
        self.groups: dict[str, dict[str, Counter[str]]] = {}
        self.surest, self.least_sure = _Extremes(), _Extremes()

    def add(self, row: dict[str, Any]) -> None:
        label = str(row["prediction"])
        self.all[label] += 1
        for column, value in _groups_of(row):
            groups = self.groups.setdefault(column, {})
            known = value in groups or len(groups) < _MOST_GROUPS
            groups.setdefault(value if known else _OTHER, Counter())[label] += 1
        confidence = max(
            (share for name, share in row.items() if name.startswith("probability_")), default=0.0
        )
        self.surest.add(confidence, row)
        self.least_sure.add(-confidence, row)


def _groups_of(row: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The groups a row belongs to: its source, and the month of its date."""
    for column in _SOURCES:
        if row.get(column) not in (None, ""):
            yield column, str(row[column])
            break
    for column in _TIMES:
        if month := _MONTH.search(str(row.get(column) or "")):
            yield f"month of {column}", f"{month[1]}-{int(month[2]):02}"
            break


def _rows(outputs: Sequence[Path]) -> Iterator[dict[str, Any]]:
    for output in outputs:
        with output.open(encoding="utf-8") as file:
            yield from map(json.loads, file)


def _markdown(found: Summary) -> Iterator[str]:
    yield f"# {found.task}: {found.rows:,} rows"
    yield ""
    yield f"Without an answer: {found.unanswered:,}. Shortened to fit: {found.shortened:,}."
    if not found.shares:
        return
    yield from _table("All rows", {"all": found.shares})
    for column, groups in found.groups.items():
        yield from _table(f"By {column}", groups)
    yield from ("", "![Shares](shares.png)")
    for title, rows in (("Surest", found.surest), ("Least sure", found.least_sure)):
        yield from ("", f"## {title} rows", "", "| answer | share | row |", "|---|---:|---|")
        yield from map(_line, rows)


def _table(title: str, groups: dict[str, list[Share]]) -> Iterator[str]:
    labels = [share.label for share in next(iter(groups.values()))]
    yield from ("", f"## {title}", "", f"| | rows | {' | '.join(map(_cell, labels))} |")
    yield f"|---|---:|{'---|' * len(labels)}"
    for name, of_labels in groups.items():
        cells = [f"{s.share:.1%} ({s.low:.1%}–{s.high:.1%})" for s in of_labels]
        rows = sum(share.rows for share in of_labels)
        yield f"| {_cell(name)} | {rows:,} | {' | '.join(cells)} |"


def _line(row: dict[str, Any]) -> str:
    ours = ("prediction", "dropped", "abstained")
    text = "; ".join(
        f"{name}: {value}"
        for name, value in row.items()
        if name not in ours and not name.startswith("probability_")
    )
    share = max(value for name, value in row.items() if name.startswith("probability_"))
    return f"| {_cell(str(row['prediction']))} | {share:.3f} | {_cell(text)[:200]} |"


def _cell(text: str) -> str:
    """What people typed, so that it stays in its cell and is no markup."""
    plain = " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|")
    return plain.replace("&", "&amp;").replace("<", "&lt;").replace("`", "'")


def _plot(found: Summary, path: Path) -> None:
    """A dot and its interval for each label and group."""
    from matplotlib.figure import Figure

    months = next((groups for name, groups in found.groups.items() if "month" in name), None)
    groups = months or next(iter(found.groups.values()), None) or {"all rows": found.shares}
    figure = Figure(figsize=(max(4.0, 0.5 * len(groups) + 2), 3.5), layout="constrained")
    axes = figure.subplots()
    names = list(groups)
    for place, label in enumerate(share.label for share in found.shares):
        of_label = [groups[name][place] for name in names]
        middles = [share.share for share in of_label]
        errors = [
            [s.share - s.low for s in of_label],
            [s.high - s.share for s in of_label],
        ]
        at = [x + 0.15 * (place - (len(found.shares) - 1) / 2) for x in range(len(names))]
        axes.errorbar(at, middles, yerr=errors, fmt="o", capsize=3, label=label, markersize=4)
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right", parse_math=False)
    axes.set_ylim(-0.02, 1.02)
    axes.set_ylabel("share of rows, 95 % interval")
    axes.legend(frameon=False)
    figure.savefig(path, dpi=120)
