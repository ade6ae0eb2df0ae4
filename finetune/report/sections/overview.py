"""What is read first: what warns of the score, the verdict, the main figure, what to do next."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from finetune.evaluation.metrics.registry import MEAN, metric
from finetune.report.figures import charts
from finetune.report.results import Slice, Verdict
from finetune.report.sections.document import (
    Block,
    Fact,
    Facts,
    Figures,
    Folded,
    Section,
    Step,
    Steps,
)
from finetune.report.sections.edition import Edition
from finetune.report.sections.numbers import number
from finetune.report.words.glossary import TERMS

_MANY: Final = 0.01
_SURE: Final = 0.05
"""A mean gap between confidence and accuracy from which on calibrating is worth its while."""
_MOST_STEPS: Final = 4


def warning(edition: Edition) -> tuple[str, str]:
    """What stands above everything, in red, and why; both empty where nothing does."""
    told = [*_learned(edition), *_not_better(edition)]
    return " · ".join(one for one, _ in told), edition.sentences(*(why for _, why in told))


def _learned(edition: Edition) -> list[tuple[str, str]]:
    """A few near duplicates are in all data: from one row in a hundred on it is said above."""
    found, rows = edition.results.leaks, edition.results.rows
    counted = found.learned + found.picked + found.fitted if found else 0
    if found is None or counted < max(1, _MANY * rows):
        return []
    word = "learned_banner" if found.learned == counted else "seen_banner"
    banner = edition.say(word, count=f"{counted:,}", rows=f"{rows:,}")
    about = {name: f"{getattr(found, name):,}" for name in ("learned", "picked", "fitted")}
    return [(banner, edition.say("learned_why", rows=f"{rows:,}", **about))]


def _not_better(edition: Edition) -> list[tuple[str, str]]:
    results = edition.results
    if results.verdict.better:
        return []
    if results.verdict.metric in results.undefined:
        said = edition.say("undefined", metric=edition.label(edition.deciding))
        return [(edition.say("undefined_banner"), said)]
    banner = "not_better" if results.verdict.baseline else "no_baseline"
    return [(edition.say(banner), _why(edition))]


def _why(edition: Edition) -> str:
    baseline = edition.results.verdict.baseline
    if not baseline:
        return edition.say("not_better_alone")
    if edition.results.verdict.starved:
        return edition.say("starved_said")
    return edition.say("not_better_why", baseline=edition.entry(baseline))


def cautions(edition: Edition) -> list[str]:
    """What makes the score look better than it is."""
    results, found = edition.results, edition.results.leaks
    undefined = (metric(name, edition.labels) for name in results.undefined)
    main = [edition.label(of) for of in undefined if not of.of_label]
    return [
        edition.say("picked") if results.picked_checkpoint else "",
        edition.say("starved_said") if results.verdict.starved else "",
        edition.say("unknown_rows") if found and not found.known else "",
        edition.say("undefined", metric=edition.listed(main)) if main else "",
    ]


def verdict(edition: Edition) -> str:
    """The sentence of the results; in Chinese one that is made from its fields."""
    of, found = edition.deciding, edition.results.verdict
    own = edition.subject.metrics.get(of.name)
    if edition.language == "en" or own is None:
        return found.sentence
    said = dict(
        metric=edition.label(of), value=edition.value(of, own), interval=edition.interval(of, own)
    )
    other = edition.baseline.metrics.get(of.name) if edition.baseline else None
    if other is None:
        return edition.say("verdict_alone", **said)
    said |= dict(baseline=edition.entry(found.baseline), other=edition.value(of, other))
    unseen = ""
    if told := _TOLD.search(found.sentence):
        said |= dict(value=told["value"], interval=f"{told['low']}–{told['high']}")
        said |= dict(other=told["other"])
        unseen = edition.say("verdict_unseen", rows=told["rows"]) if told["unseen"] else ""
    return unseen + edition.say(_outcome(found), **said)


_TOLD = re.compile(
    r"On (?P<rows>[\d,]+) (?:scored rows|(?P<unseen>rows that had not been seen before)), .+? reached .+? "
    r"(?P<value>[-\d.]+) \((?P<low>[-\d.]+) to (?P<high>[-\d.]+)\): .+['\"] at (?P<other>[-\d.]+) \("
)
"""The figures of the sentence: they leave out the rows that had been learned, those of the tables do not."""


def _outcome(found: Verdict) -> str:
    if found.better:
        return "verdict_better"
    return "verdict_worse" if ": worse than" in found.sentence else "verdict_not_better"


def summary(edition: Edition) -> Section:
    """The main figure, and what to do next."""
    drawn = charts.entries(edition)
    blocks: list[Block] = [Figures(figures=(drawn,))] if drawn else []
    steps = tuple(_next(edition))[:_MOST_STEPS]
    blocks.append(Steps(title=edition.say("next"), steps=steps))
    return Section(
        name="summary",
        title=edition.say("summary"),
        how=edition.say("summary_how"),
        blocks=tuple(blocks),
    )


def _next(edition: Edition) -> Iterator[Step]:
    """The most pressing first."""
    yield from _about_the_score(edition)
    yield from _about_the_adapter(edition)
    if edition.results.mistakes:
        yield Step(text=edition.say("next_mistakes"))
    if edition.results.verdict.better and edition.subject.kind == "adapter":
        yield Step(
            text=edition.say("next_use"), command=f'quintet predict {edition.results.task} "…"'
        )


def _about_the_score(edition: Edition) -> Iterator[Step]:
    """What would make it one to believe."""
    results, task = edition.results, edition.results.task
    if _learned(edition):
        yield Step(text=edition.say("next_unseen"), command=f"quintet evaluate {task} --data …")
    if results.verdict.metric in results.undefined:
        yield Step(text=edition.say("next_labels"))
    elif not results.verdict.baseline:
        yield Step(
            text=edition.say("next_baseline"),
            command=f"quintet evaluate {task} --against base,baselines",
        )
    if results.verdict.starved:
        yield Step(text=edition.say("next_starved"))
    if results.picked_checkpoint:
        yield Step(text=edition.say("next_held_out"))


def _about_the_adapter(edition: Edition) -> Iterator[Step]:
    """What would make it better."""
    results, of = edition.results, edition.deciding
    tests = [one for one in edition.compared(of) if one.against == results.verdict.baseline]
    if tests and tests[0].outcome in ("tie", "loss"):
        if tests[0].outcome == "tie":
            apart = edition.span(tests[0].low, tests[0].high, edition.decimals(of), signed=True)
            yield Step(text=edition.say("next_rows", rows=f"{results.rows:,}", interval=apart))
        name = edition.entry(results.verdict.baseline)
        command = f"quintet finetune {results.task} --data …"
        yield Step(text=edition.say("next_train", baseline=name), command=command)
    if _rising(edition):
        yield Step(text=edition.say("next_longer"))
    if results.calibration and results.calibration.ece_before > _SURE:
        error = number(results.calibration.ece_before, 3)
        command = f"quintet calibrate {results.task} --data …"
        yield Step(text=edition.say("next_calibrate", error=error), command=command)
    if results.data_card.cut:
        yield Step(text=edition.say("next_cut", count=f"{results.data_card.cut:,}"))
    if worst := weakest(edition):
        yield Step(text=_weak(edition, worst))


def _rising(edition: Edition) -> bool:
    values = [value for _, value in charts.validated(edition)]
    pick = max if edition.deciding.higher_is_better else min
    return len(values) > 1 and pick(values) == values[-1]


def weakest(edition: Edition) -> Slice | None:
    """The part of the rows that is below the whole by more than chance; None where none is.

    Of a mean over parts, such as the directions of a translation, parts and languages are left out:
    BLEU and chrF of different languages do not compare.
    """
    of = edition.deciding
    apart = ("part", "language") if of.suffix == MEAN else ()
    whole = edition.subject.metrics.get(of.name)
    sign = 1 if of.higher_is_better else -1
    if whole is None:
        return None
    below = [
        one
        for one in edition.results.slices
        if one.by not in apart
        and (one.measured.high if sign > 0 else -one.measured.low) < sign * whole.value
    ]
    return min(below, key=lambda one: sign * one.measured.value, default=None)


def _weak(edition: Edition, worst: Slice) -> str:
    of = edition.deciding
    return edition.say(
        "next_weakest",
        by=charts.slice_by(edition, worst.by),
        part=edition.part(worst.name),
        value=edition.value(of, worst.measured),
        whole=edition.value(of, edition.subject.metrics[of.name]),
    )


def glossary(edition: Edition) -> Section:
    """The words of a report, for who meets them for the first time."""
    facts = tuple(
        Fact(name=term.within(edition.language), text=meaning.within(edition.language))
        for term, meaning in TERMS
    )
    shown = Folded(
        summary=edition.say("glossary_show", count=len(facts)), blocks=(Facts(facts=facts),)
    )
    return Section(
        name="glossary",
        title=edition.say("glossary"),
        how=edition.say("glossary_how"),
        blocks=(shown,),
    )
