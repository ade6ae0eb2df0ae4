"""Who reached what, with intervals; who beats whom, by paired tests; and the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.task import Choice
from finetune.evaluation import significance
from finetune.evaluation.answers import Answers
from finetune.evaluation.comparison import Evaluation
from finetune.evaluation.metrics.counts import Counts
from finetune.evaluation.metrics.registry import Metric, metric
from finetune.evaluation.significance import Paired
from finetune.report.results import Comparison, Entry, Measured, Verdict
from finetune.report.seen_rows import Seen


def measured(counts: Counts, *, seed: int, resamples: int) -> Measured:
    """A value with its interval."""
    found = significance.interval(counts, seed=seed, resamples=resamples)
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


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What the subject is worth beside the others."""

    verdict: Verdict
    comparisons: tuple[Comparison, ...]


def judge(found: Evaluation[Any], seen: Seen, *, seed: int, resamples: int) -> Judged:
    """On the rows that were not seen before, where any are left."""
    left = len(found.examples) - len(seen.gone)
    clean = found.without(seen.gone) if seen.gone and left else found
    if clean.deciding in clean.undefined:
        return Judged(verdict=_undefined(clean), comparisons=())
    compared = comparisons(clean, seed=seed, resamples=resamples)
    ours = clean.counts[clean.subject.name][clean.deciding]
    own = measured(ours, seed=seed, resamples=resamples)
    return Judged(
        verdict=_verdict(clean, own, compared, seen, left, resamples), comparisons=compared
    )


def comparisons(found: Evaluation[Any], *, seed: int, resamples: int) -> tuple[Comparison, ...]:
    """The subject beside everyone on the deciding value.

    On the other values it is held against the best baseline of each, and whoever is no baseline.
    """
    pairs = [
        (name, other, paired)
        for other in found.answers[:-1]
        for name in _names(found, other)
        if (paired := _paired(found, other, name, seed=seed, resamples=resamples))
    ]
    chances = _chances(found, pairs)
    return tuple(
        _comparison(found, name, other, paired, p)
        for (name, other, paired), p in zip(pairs, chances, strict=True)
    )


Pair = tuple[str, Answers, Paired]


def _chances(found: Evaluation[Any], pairs: Sequence[Pair]) -> list[float]:
    """The test of the verdict stands alone; the others are corrected for how many there are."""
    best = found.best_baseline
    further = [
        place
        for place, (name, other, _) in enumerate(pairs)
        if not (other is best and name == found.deciding)
    ]
    chances = [paired.p for _, _, paired in pairs]
    rarer = significance.corrected([chances[place] for place in further])
    for place, p in zip(further, rarer, strict=True):
        chances[place] = p
    return chances


def _comparison(
    found: Evaluation[Any], name: str, other: Answers, paired: Paired, p: float
) -> Comparison:
    sign = found.counts[found.subject.name][name].sign
    said = significance.decided(paired.difference, paired.low, paired.high, p, sign=sign)
    starved = said == "win" and other.learns and found.starved
    about = {**vars(paired), "p": p, "outcome": "starved" if starved else said}
    return Comparison(metric=name, against=other.name, **about)


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
    return significance.compare(ours, theirs, seed=seed, resamples=resamples)


def _undefined(found: Evaluation[Any]) -> Verdict:
    name = found.deciding
    sentence = (
        f"{_metric(found).label('en')} is undefined on these {len(found.examples):,} rows: "
        f"{found.undefined[name]}. Nothing is decided."
    )
    return Verdict(metric=name, baseline="", better=False, sentence=sentence)


def _verdict(
    found: Evaluation[Any],
    ours: Measured,
    compared: tuple[Comparison, ...],
    seen: Seen,
    left: int,
    resamples: int,
) -> Verdict:
    """Whether the subject is above the best baseline by a paired test on rows it had not seen."""
    best, name = found.best_baseline, found.deciding
    said = _said(found, ours, unseen=bool(seen.gone and left))
    if best is None:
        return Verdict(
            metric=name, baseline="", better=False, sentence=f"{said}, beside no baseline."
        )
    test = next(one for one in compared if one.against == best.name and one.metric == name)
    theirs = found.counts[best.name][name].of_all()
    if not left:
        than = "every one of these rows had been seen before, so nothing is decided."
    else:
        than = _than(test, best.name, _number(theirs, _metric(found)), resamples)
    return Verdict(
        metric=name,
        baseline=best.name,
        better=test.outcome == "win" and left > 0,
        starved=test.outcome == "starved",
        sentence=f"{said}: {than}",
    )


def _said(found: Evaluation[Any], ours: Measured, *, unseen: bool) -> str:
    of = _metric(found)
    rows = "rows that had not been seen before" if unseen else "scored rows"
    return (
        f"On {ours.rows:,} {rows}, {found.subject.name!r} reached "
        f"{of.label('en')} {_number(ours.value, of)} ({_number(ours.low, of)} to "
        f"{_number(ours.high, of)})"
    )


def _than(test: Comparison, baseline: str, theirs: str, resamples: int) -> str:
    words = {
        "win": "clearly better than the best trivial baseline, {0} at {1} ({2}).",
        "tie": "not told apart from the trivial baseline {0} at {1} ({2}).",
        "loss": "worse than the trivial baseline {0} at {1} ({2}).",
        "starved": "no better is claimed than {0} at {1} ({2}): it had other or fewer rows to learn from.",
    }
    p = test.p if test.p is not None else test.p_randomisation
    chance = probability(p, resamples)
    return words[test.outcome].format(repr(baseline), theirs, chance)


def probability(p: float, resamples: int) -> str:
    """As 'p = 0.012'; what 1,000 draws cannot tell apart is 'p ≤ 0.001'."""
    least = significance.floor(resamples)
    return f"p ≤ {least:.2g}" if p <= least else f"p = {p:.2g}"


def _metric(found: Evaluation[Any]) -> Metric:
    answer = found.task.answer
    return metric(found.deciding, answer.labels if isinstance(answer, Choice) else ())


def _number(value: float, of: Metric) -> str:
    coarse = of.spec is not None and of.spec.scale in ("percent", "count")
    return f"{value:.1f}" if coarse else f"{value:.3f}"
