"""Who reached what, with intervals; who beats whom, by paired tests; and the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from finetune import statistics
from finetune.answers import Answers
from finetune.counts import Counts
from finetune.evaluation import Evaluation
from finetune.report.results import Comparison, Entry, Measured, Verdict
from finetune.statistics import Paired


def measured(counts: Counts, *, seed: int, resamples: int) -> Measured:
    """A value with its interval."""
    found = statistics.interval(counts, seed=seed, resamples=resamples)
    return Measured(value=found.value, low=found.low, high=found.high, rows=counts.measured)


def entries(found: Evaluation[Any], *, seed: int, resamples: int) -> tuple[Entry, ...]:
    """Everyone, baselines first."""
    return tuple(
        Entry(
            name=answers.name,
            kind=answers.kind,
            metrics={
                name: measured(counts, seed=seed, resamples=resamples)
                for name, counts in found.counts[answers.name].items()
            },
            seconds=answers.seconds,
        )
        for answers in found.answers
    )


def comparisons(found: Evaluation[Any], *, seed: int, resamples: int) -> tuple[Comparison, ...]:
    """The subject beside everyone on the deciding value.

    On the other values it is held against the best baseline of each, and whoever is no baseline.
    """
    compared = []
    for other in found.answers[:-1]:
        for name in _names(found, other):
            paired = _paired(found, other, name, seed=seed, resamples=resamples)
            if paired:
                compared.append(Comparison(metric=name, against=other.name, **vars(paired)))
    return tuple(compared)


def _names(found: Evaluation[Any], other: Answers) -> list[str]:
    others = [name for name in found.counts[found.subject.name] if name != found.deciding]
    if other.kind == "baseline":
        others = [name for name in others if found.best_baseline_on(name) is other]
    return [found.deciding, *others]


def _paired(
    found: Evaluation[Any], other: Answers, name: str, *, seed: int, resamples: int
) -> Paired | None:
    ours, theirs = found.counts[found.subject.name].get(name), found.counts[other.name].get(name)
    if ours is None or theirs is None:
        return None
    return statistics.compare(ours, theirs, seed=seed, resamples=resamples)


def verdict(
    found: Evaluation[Any], entries: tuple[Entry, ...], compared: tuple[Comparison, ...]
) -> Verdict:
    """Whether the subject is above the best baseline by a paired test."""
    best, name = found.best_baseline, found.deciding
    by_name = {entry.name: entry.metrics for entry in entries}
    ours = by_name[found.subject.name][name]
    if best is None:
        sentence = f"{_said(found, name, ours)}, beside no baseline."
        return Verdict(metric=name, baseline="", better=False, sentence=sentence)
    test = next(one for one in compared if one.against == best.name and one.metric == name)
    better = test.outcome == "win"
    sentence = f"{_said(found, name, ours)}: {_than(test, best.name, by_name[best.name])}"
    return Verdict(metric=name, baseline=best.name, better=better, sentence=sentence)


def _said(found: Evaluation[Any], name: str, ours: Measured) -> str:
    return (
        f"On {ours.rows:,} scored rows, {found.subject.name!r} reached "
        f"{name.replace('_', ' ')} {_number(ours.value)} ({_number(ours.low)} to "
        f"{_number(ours.high)})"
    )


def _than(test: Comparison, baseline: str, metrics: Mapping[str, Measured]) -> str:
    theirs = _number(metrics[test.metric].value)
    chance = f"p = {test.p_mcnemar if test.p_mcnemar is not None else test.p_randomisation:.2g}"
    words = {
        "win": f"clearly better than the best trivial baseline, {baseline!r} at {theirs} ({chance}).",
        "tie": f"not told apart from the trivial baseline {baseline!r} at {theirs} ({chance}).",
        "loss": f"worse than the trivial baseline {baseline!r} at {theirs} ({chance}).",
    }
    return words[test.outcome]


def _number(value: float) -> str:
    return f"{value:.1f}" if abs(value) > 1.5 else f"{value:.3f}"
