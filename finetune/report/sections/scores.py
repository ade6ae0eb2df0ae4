"""What is read first: the scores, the comparisons, the pictures."""

from __future__ import annotations

from collections.abc import Iterable

from finetune.evaluation.metrics.registry import Metric, metric
from finetune.report.figures import charts, curves
from finetune.report.results import Comparison, Entry
from finetune.report.sections.document import (
    Block,
    Cell,
    Column,
    Figure,
    Figures,
    Folded,
    Note,
    Row,
    Section,
    Table,
)
from finetune.report.sections.edition import Edition
from finetune.report.sections.numbers import chance, number


def scores(edition: Edition) -> Section:
    """Entries as rows, baselines first; what the columns mean; all further metrics, folded."""
    blocks: list[Block] = [_main_table(edition), _meanings(edition, edition.main)]
    if edition.further:
        summary = edition.say("further", count=len(edition.further))
        table = _further_table(edition)
        blocks.append(Folded(summary=summary, blocks=(table, _meanings(edition, edition.further))))
    return Section(
        name="scores",
        title=edition.say("scores"),
        how=edition.say("scores_how"),
        blocks=tuple(blocks),
    )


def _main_table(edition: Edition) -> Table:
    columns = [Column(title=edition.say("entry"))]
    for of in edition.main:
        columns.append(Column(title=edition.label(of), note=_arrow(of), number=True))
    columns.append(Column(title=edition.say("rows"), number=True))
    columns.append(Column(title=edition.say("seconds"), number=True))
    rows = tuple(_entry_row(edition, entry) for entry in edition.entries)
    return Table(caption=edition.say("scores_caption"), columns=tuple(columns), rows=rows)


def _arrow(of: Metric) -> str:
    return "↑" if of.higher_is_better else "↓"


def _entry_row(edition: Edition, entry: Entry) -> Row:
    judged, name = entry is edition.subject, edition.entry(entry.name)
    first = Cell(
        text=f"▸\u00a0{name}" if judged else name,
        note=edition.say(entry.kind),
        quoted=True,
    )
    whole = max((m.rows for m in entry.metrics.values()), default=edition.results.rows)
    cells = [first]
    cells += [_measured(edition, of, entry, whole) for of in edition.main]
    cells += [Cell(text=f"{whole:,}"), Cell(text=number(entry.seconds, 1))]
    return Row(cells=tuple(cells), strong=judged)


def _measured(edition: Edition, of: Metric, entry: Entry, whole: int) -> Cell:
    """A value over its interval, and the rows where they are fewer than those of the entry."""
    found = entry.metrics.get(of.name)
    if found is None:
        return Cell(text="–")
    rows = "" if found.rows == whole else f" · n = {found.rows:,}"
    mark = edition.say("best") if entry.name == edition.best(of) else ""
    note = f"{edition.interval(of, found)}{rows}"
    return Cell(text=edition.value(of, found), note=note, mark=mark)


def _meanings(edition: Edition, metrics: Iterable[Metric]) -> Table:
    """One line for each family of metrics."""
    families: dict[str, Metric] = {}
    for of in metrics:
        families.setdefault(of.family, of)
    known = [of for of in families.values() if of.spec]
    rows = tuple(
        Row(cells=(Cell(text=_family(edition, of)), Cell(text=edition.meaning(of)))) for of in known
    )
    columns = (Column(title=edition.say("metric")), Column(title=edition.say("meaning")))
    return Table(caption=edition.say("meaning_caption"), columns=columns, rows=rows)


def _family(edition: Edition, of: Metric) -> str:
    return edition.label(Metric(name=of.family, spec=of.spec))


def _further_table(edition: Edition) -> Table:
    """Metrics as rows, for they are many; entries as columns."""
    columns = [Column(title=edition.say("metric"))]
    columns += [Column(title=edition.entry(entry.name), number=True) for entry in edition.entries]
    rows = []
    for of in edition.further:
        name = Cell(text=f"{edition.label(of)} {_arrow(of)}")
        cells = [
            _measured(edition, of, e, e.metrics[of.name].rows if of.name in e.metrics else 0)
            for e in edition.entries
        ]
        rows.append(Row(cells=(name, *cells)))
    return Table(caption=edition.say("further_caption"), columns=tuple(columns), rows=tuple(rows))


def comparisons(edition: Edition) -> Section:
    """The subject beside every other entry, with what a paired test says."""
    found = sorted(edition.results.comparisons, key=lambda c: c.metric != edition.deciding.name)
    blocks: tuple[Block, ...] = (Note(text=edition.say("none_compared")),)
    if found:
        table = _comparison_table(edition, found)
        folded = Folded(summary=edition.say("compared_show"), blocks=(table,))
        blocks = (Note(text=_outcomes(edition)), folded)
    return Section(
        name="comparisons",
        title=edition.say("comparisons"),
        how=edition.say("comparisons_how"),
        blocks=blocks,
    )


def _outcomes(edition: Edition) -> str:
    """Whom it beats on the deciding metric, and whom not."""
    found = edition.compared(edition.deciding)
    said = [edition.say("compared_on", metric=edition.label(edition.deciding))]
    for outcome in ("win", "tie", "loss", "starved"):
        names = [edition.entry(one.against) for one in found if one.outcome == outcome]
        if names:
            said.append(edition.say(f"compared_{outcome}", names=edition.listed(names)))
    stop = "。" if edition.language == "zh" else "."
    return edition.sentences(*said).rstrip(";；:：") + stop


def _comparison_table(edition: Edition, found: list[Comparison]) -> Table:
    exact = any(one.p_mcnemar is not None for one in found)
    told = any(one.p is not None for one in found)
    columns = [
        Column(title=edition.say("metric")),
        Column(title=edition.say("against")),
        Column(title=edition.say("difference"), number=True),
        Column(title=edition.say("outcome")),
        Column(title=edition.say("p_bootstrap"), number=True),
        Column(title=edition.say("p_randomisation"), number=True),
        *([Column(title=edition.say("p_mcnemar"), number=True)] if exact else []),
        *([Column(title=edition.say("p_corrected"), number=True)] if told else []),
    ]
    rows = tuple(_comparison_row(edition, one, exact, told) for one in found)
    return Table(caption=edition.say("comparisons_caption"), columns=tuple(columns), rows=rows)


def _comparison_row(edition: Edition, one: Comparison, exact: bool, told: bool) -> Row:
    of = metric(one.metric, edition.labels)
    decimals = edition.decimals(of)
    value = number(one.difference, decimals, signed=True)
    note = edition.span(one.low, one.high, decimals, signed=True)
    sign = {"win": "✓", "tie": "≈", "loss": "✗", "starved": "∅"}[one.outcome]
    cells = [
        Cell(text=edition.label(of)),
        Cell(text=edition.entry(one.against), quoted=True),
        Cell(text=value, note=note),
        Cell(text=f"{sign} {edition.say(one.outcome)}"),
        Cell(text=_chance(edition, one.p_bootstrap)),
        Cell(text=_chance(edition, one.p_randomisation)),
        *([Cell(text=_chance(edition, one.p_mcnemar))] if exact else []),
        *([Cell(text=_decides(edition, one))] if told else []),
    ]
    return Row(cells=tuple(cells))


def _chance(edition: Edition, p: float | None) -> str:
    return "–" if p is None else chance(p, edition.results.resamples)


def _decides(edition: Edition, one: Comparison) -> str:
    """Of a test at its floor, the corrected chance is the most that it can be."""
    said = _chance(edition, one.p)
    raw = _chance(edition, one.p_randomisation if one.p_mcnemar is None else one.p_mcnemar)
    return f"≤ {said}" if "≤" in raw and said[0].isdigit() else said


def pictures(edition: Edition) -> Section | None:
    """All drawings but the first one, and those of the slices, which stand beside their table."""
    found: list[Figure | None] = [charts.differences(edition)]
    found += [curves.confusion(edition), curves.reliability(edition)]
    found += [*curves.thresholds(edition), *charts.learning(edition)]
    drawn = tuple(figure for figure in found if figure)
    if not drawn:
        return None
    return Section(
        name="pictures",
        title=edition.say("pictures"),
        how=edition.say("pictures_how"),
        blocks=(Figures(figures=drawn),),
    )
