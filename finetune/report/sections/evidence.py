"""What supports the scores or takes from them: leaks, calibration, slices, mistakes."""

from __future__ import annotations

import json
from typing import Any

from finetune.evaluation.metrics.registry import Metric
from finetune.report.figures import charts
from finetune.report.results import Calibration, LeakedPair, Leaks, Mistake, Slice
from finetune.report.sections.document import (
    Block,
    Case,
    Cases,
    Cell,
    Column,
    Fact,
    Facts,
    Figures,
    Folded,
    Note,
    Row,
    Section,
    Table,
)
from finetune.report.sections.edition import Edition
from finetune.report.sections.numbers import number

_MOST_CHARACTERS = 2000
"""Of one text; the rest stands in results.json."""
_MOST_OF_PAIR = 250
_MOST_MISTAKES = 20


def leaks(edition: Edition) -> Section | None:
    """What was searched, how much was found, and the score without it."""
    found = edition.results.leaks
    if found is None:
        return None
    blocks: list[Block] = [Note(text=_leaks_said(edition, found)), _searched(edition, found)]
    if found.without:
        blocks.append(_without(edition, found))
    if found.pairs:
        table = _pairs(edition, found)
        blocks.append(Folded(summary=edition.say("leaks_pairs"), blocks=(table,)))
    return Section(
        name="leaks", title=edition.say("leaks"), how=edition.say("leaks_how"), blocks=tuple(blocks)
    )


def _leaks_said(edition: Edition, found: Leaks) -> str:
    if not found.exact + found.near:
        none = edition.say("leaks_none" if found.known else "unknown_rows")
        return edition.sentences(none, _compared(edition, found))
    said = edition.say("leaks_some", exact=f"{found.exact:,}", near=f"{found.near:,}")
    all_seen = found.exact + found.near >= edition.results.rows
    left = edition.say("leaks_nothing_left") if all_seen else ""
    return edition.sentences(said, _compared(edition, found), left)


def _compared(edition: Edition, found: Leaks) -> str:
    if found.compared is None:
        return ""
    some, every = found.compared
    return edition.say("compared", some=f"{some:,}", all=f"{every:,}")


def _searched(edition: Edition, found: Leaks) -> Facts:
    return Facts(
        facts=tuple(
            Fact(name=_source(edition, name), text=edition.say("texts", count=f"{count:,}"))
            for name, count in found.looked_in.items()
        )
    )


def _source(edition: Edition, name: str) -> str:
    known = {
        "training": edition.say("source_training"),
        "rows of the baselines": edition.say("source_baselines"),
        "pre-training": edition.say("source_pretraining"),
    }
    return known.get(name, name)


def _without(edition: Edition, found: Leaks) -> Table:
    columns = (
        Column(title=edition.say("metric")),
        Column(title=edition.say("with_leaks"), number=True),
        Column(title=edition.say("without_leaks"), number=True),
    )
    rows = tuple(
        _without_row(edition, found, of)
        for of in edition.main
        if of.name in found.without and of.name in edition.subject.metrics
    )
    return Table(caption=edition.say("leaks_caption"), columns=columns, rows=rows)


def _without_row(edition: Edition, found: Leaks, of: Metric) -> Row:
    pair = (edition.subject.metrics[of.name], found.without[of.name])
    values = (
        Cell(
            text=edition.value(of, one),
            note=f"{edition.interval(of, one)} · n = {one.rows:,}",
        )
        for one in pair
    )
    return Row(cells=(Cell(text=edition.label(of)), *values))


def _pairs(edition: Edition, found: Leaks) -> Table:
    columns = (
        Column(title=edition.say("row"), number=True),
        Column(title=edition.say("similarity"), number=True),
        Column(title=edition.say("scored_text")),
        Column(title=edition.say("seen_in")),
        Column(title=edition.say("seen_text")),
    )
    rows = tuple(_pair(edition, one) for one in found.pairs)
    return Table(caption=edition.say("leaks_pairs"), columns=columns, rows=rows)


def _pair(edition: Edition, one: LeakedPair) -> Row:
    cells = (
        Cell(text=str(one.row)),
        Cell(text=number(one.similarity, 2)),
        Cell(text=_cut(edition, one.text, _MOST_OF_PAIR), quoted=True),
        Cell(text=_source(edition, one.source), quoted=True),
        Cell(text=_cut(edition, one.other, _MOST_OF_PAIR) if one.other else "–", quoted=True),
    )
    return Row(cells=cells)


def calibration(edition: Edition) -> Section | None:
    """The temperature, what it changed, and the reliability of each confidence."""
    found = edition.results.calibration
    if found is None:
        return None
    said = edition.say(
        "calibration_said",
        temperature=number(found.temperature, 3),
        rows=f"{found.fitted_on:,}",
    )
    worse = edition.say("calibration_worse") if found.ece_after > found.ece_before else ""
    blocks = (Note(text=edition.sentences(said, worse)), _errors(edition, found))
    return Section(
        name="calibration",
        title=edition.say("calibration"),
        how=edition.say("calibration_how"),
        blocks=blocks,
    )


def _errors(edition: Edition, found: Calibration) -> Table:
    columns = (
        Column(title=edition.say("metric")),
        Column(title=edition.say("before"), number=True),
        Column(title=edition.say("after"), number=True),
        Column(title=edition.say("meaning")),
    )
    lines: tuple[tuple[str, float, float, str], ...] = (
        ("ece", found.ece_before, found.ece_after, "ece_means"),
        ("brier", found.brier_before, found.brier_after, "brier_means"),
    )
    rows = tuple(
        Row(
            cells=(
                Cell(text=edition.say(name)),
                Cell(text=number(before, 3)),
                Cell(text=number(after, 3)),
                Cell(text=edition.say(means)),
            )
        )
        for name, before, after, means in lines
    )
    return Table(caption=edition.say("calibration_caption"), columns=columns, rows=rows)


def slices(edition: Edition) -> Section | None:
    """The deciding value on parts of the rows, drawn and written."""
    found = edition.results.slices
    if not found:
        return None
    of = edition.deciding
    columns = (
        Column(title=edition.say("by")),
        Column(title=edition.say("part")),
        Column(title=edition.label(of), number=True),
        Column(title=edition.say("interval"), number=True),
        Column(title=edition.say("rows"), number=True),
    )
    rows = tuple(_slice(edition, of, one) for one in found)
    caption = edition.say("slices_caption", metric=edition.label(of))
    return Section(
        name="slices",
        title=edition.say("slices"),
        how=edition.say("slices_how"),
        blocks=(
            Figures(figures=tuple(charts.slices(edition))),
            Table(caption=caption, columns=columns, rows=rows),
        ),
    )


def _slice(edition: Edition, of: Metric, one: Slice) -> Row:
    cells = (
        Cell(text=charts.slice_by(edition, one.by)),
        Cell(text=edition.part(one.name), quoted=True),
        Cell(text=edition.value(of, one.measured)),
        Cell(text=edition.interval(of, one.measured)),
        Cell(text=f"{one.measured.rows:,}"),
    )
    return Row(cells=cells)


def mistakes(edition: Edition) -> Section | None:
    """The rows that went worst, whole enough to see why."""
    found = edition.results.mistakes[:_MOST_MISTAKES]
    if not found:
        return None
    return Section(
        name="mistakes",
        title=edition.say("mistakes"),
        how=edition.say("mistakes_how"),
        blocks=(Cases(cases=tuple(_case(edition, one) for one in found)),),
    )


def _case(edition: Edition, one: Mistake) -> Case:
    known = bool(one.probabilities)
    said = number(one.score, 3 if known else min(edition.deciding.decimals, 2))
    facts = [
        Fact(name=edition.field(name), text=_cut(edition, _text(value)), quoted=True)
        for name, value in one.input.items()
        if value not in ("", None, [], ())
    ]
    right = " / ".join(one.answers)
    facts.append(Fact(name=edition.say("right_answer"), text=_cut(edition, right), quoted=True))
    facts.append(
        Fact(
            name=edition.say("prediction"),
            text=_cut(edition, one.prediction),
            quoted=True,
            strong=True,
        )
    )
    if known:
        shares = (f"{name} {number(p, 3)}" for name, p in one.probabilities.items())
        facts.append(Fact(name=edition.say("probabilities"), text=edition.listed(shares)))
    return Case(
        title=edition.say("case", row=one.row),
        note=edition.say("probability_right" if known else "own_value", score=said),
        facts=tuple(facts),
    )


def _text(value: Any) -> str:
    """As it is read: turns of a conversation one a line, other structures as JSON."""
    if isinstance(value, list) and all(isinstance(turn, dict) for turn in value):
        return "\n".join(": ".join(map(str, turn.values())) for turn in value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _cut(edition: Edition, text: str, most: int = _MOST_CHARACTERS) -> str:
    if not text.strip():
        return edition.say("empty")
    left = len(text) - most
    if left <= 0:
        return text
    return f"{text[:most]}… [{edition.say('more_characters', count=f'{left:,}')}]"
