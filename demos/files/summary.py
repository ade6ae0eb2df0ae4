"""What a scored file says: shares of labels, over time and by source, with intervals; the extremes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

PREDICTION = "prediction"
_SHARE = "probability_"
_MOST_TIMES = 24
_MOST_SOURCES = 12
_EXTREMES = 5
_ROWS_A_STEP = 2
"""On average: the share of a single row is 0 or 1."""
_FREQUENCIES = ("D", "W", "M", "Q", "Y")
_DATED, _ENOUGH = 0.8, 2
"""A column holds dates where so many of its cells do; and it says something from two dates on."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """So many of the rows that share something have the label, with a 95 % interval (Wilson 1927)."""

    name: str
    count: int
    rows: int
    low: float
    high: float

    @property
    def share(self) -> float:
        return self.count / self.rows


@dataclass(frozen=True, kw_only=True)
class Extreme:
    """A row, its answer and how sure that was."""

    text: str
    answer: str
    share: float


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Everything that is drawn; lists are empty where the file has no such column."""

    rows: int
    unanswered: int
    label: str
    """The label that `times` and `sources` are about."""
    shares: tuple[Part, ...] = ()
    times: tuple[Part, ...] = ()
    sources: tuple[Part, ...] = ()
    surest: tuple[Extreme, ...] = ()
    least_sure: tuple[Extreme, ...] = ()


def summarize(
    table: pd.DataFrame,
    *,
    text: str,
    labels: Sequence[str],
    label: str = "",
    date: str = "",
    source: str = "",
    about: str = "",
) -> Summary:
    """Of the rows that mention `about`; `label` (default: the last one) is followed over time."""
    if about:
        table = table[table[text].astype(str).str.contains(about, case=False, regex=False)]
    answered = table[table[PREDICTION].astype(str) != ""]
    followed = label if label in labels else (labels[-1] if labels else "")
    found = Summary(rows=len(table), unanswered=len(table) - len(answered), label=followed)
    if not labels or answered.empty:
        return found
    hits = answered[PREDICTION] == followed
    sure = _sure(answered, text)
    return Summary(
        rows=found.rows,
        unanswered=found.unanswered,
        label=followed,
        shares=tuple(
            _part(name, int((answered[PREDICTION] == name).sum()), len(answered)) for name in labels
        ),
        times=_over_time(hits, answered[date]) if date in answered else (),
        sources=_by_source(hits, answered[source]) if source in answered else (),
        surest=tuple(sure[:_EXTREMES]),
        least_sure=tuple(reversed(sure[_EXTREMES:][-_EXTREMES:])),
    )


def date_columns(table: pd.DataFrame) -> list[str]:
    """The columns that hold dates."""
    return [name for name in table if _dates(table[name]).notna().mean() >= _DATED]


def source_columns(table: pd.DataFrame, *, without: str = "") -> list[str]:
    """The columns that sort the rows into a few groups."""
    most = max(len(table) // 2, _ENOUGH)
    dated = date_columns(table)
    return [
        name
        for name in table
        if name not in (without, *dated) and _ENOUGH <= table[name].nunique() <= min(most, 40)
    ]


def _dates(column: pd.Series[str]) -> pd.Series[pd.Timestamp]:
    """Cells as dates; numbers alone are none, since everything would be one."""
    texts = column.astype(str)
    worded = texts.where(texts.str.contains(r"[-/.年:]", regex=True))
    return pd.to_datetime(worded, errors="coerce", format="mixed", utc=True)


def _over_time(hits: pd.Series[bool], column: pd.Series[str]) -> tuple[Part, ...]:
    """By the finest of day, week, month, quarter and year that has few enough steps, not of single rows."""
    dates = _dates(column).dt.tz_localize(None).dropna()
    if dates.nunique() < _ENOUGH:
        return ()
    most = min(_MOST_TIMES, len(dates) // _ROWS_A_STEP)
    for frequency in _FREQUENCIES:
        periods = dates.dt.to_period(frequency)
        if periods.nunique() <= most:
            break
    return tuple(
        _part(_period_name(period, frequency), int(hits[rows].sum()), len(rows))
        for period, rows in dates.groupby(periods).groups.items()
    )


def _period_name(period: pd.Period, frequency: str) -> str:
    return str(period.start_time.date()) if frequency == "W" else str(period)


def _by_source(hits: pd.Series[bool], column: pd.Series[str]) -> tuple[Part, ...]:
    largest = column.astype(str).value_counts().head(_MOST_SOURCES)
    rows = column.astype(str)
    parts = [_part(str(name), int(hits[rows == name].sum()), int(n)) for name, n in largest.items()]
    return tuple(sorted(parts, key=lambda part: -part.share))


def _part(name: str, count: int, rows: int) -> Part:
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(count, rows, method="wilson")
    return Part(name=name, count=count, rows=rows, low=float(low), high=float(high))


def _sure(answered: pd.DataFrame, text: str) -> list[Extreme]:
    """All different texts, those with the highest probability of their answer first."""
    answered = answered.drop_duplicates(text)
    columns = [name for name in answered if str(name).startswith(_SHARE)]
    shares = answered[columns].apply(pd.to_numeric, errors="coerce").max(axis=1)
    order = shares.sort_values(ascending=False, kind="stable").index
    return [
        Extreme(
            text=str(answered.at[row, text]),
            answer=str(answered.at[row, PREDICTION]),
            share=float(shares[row]),
        )
        for row in order
    ]
