"""What an adapter reached, the same wherever a reader meets it: the verdict of its card, or its passport.

The two may tell of different rows: a card leaves out those that the adapter had learned, or tells of a
larger set. Where there is a card, its figure is the one that is shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.task import Task
from demos.answers import heading_words as words
from demos.naming import Naming, deciding
from demos.said import Said
from demos.train.plots import score

_CARD = "README.md"
"""The model card of an adapter: its verdict is one sentence in bold, and below it all scores."""
_SENTENCE = re.compile(
    r"\*\*On (?P<rows>[\d,]+) .+? reached .+? (?P<value>[-\d.]+)"
    r" \((?P<low>[-\d.]+) to (?P<high>[-\d.]+)\): (?P<outcome>clearly better|not told apart|worse|no better)"
    r".+?['\"](?P<baseline>.+?)['\"] at (?P<other>[-\d.]+) \((?P<p>p [=≤] [^)]+)\)"
)
_OUTCOMES = {
    "clearly better": words.BETTER,
    "not told apart": words.TIE,
    "worse": words.WORSE,
    "no better": words.STARVED,
}


@dataclass(frozen=True)
class Verdict:
    """The sentence of a card, taken apart."""

    outcome: str
    baseline: str
    p: str
    numbers: Mapping[str, str]

    def said(self, naming: Naming) -> Said:
        """Such as 'better than TF-IDF, p ≤ 0.001'."""
        return _OUTCOMES[self.outcome].filled(baseline=naming.baseline(self.baseline), p=self.p)

    def score(self, task: Task[Any], naming: Naming) -> Said:
        """The value that decides, its interval, and the baseline's."""
        return words.SCORE.filled(
            **self.numbers,
            metric=naming.value(task, deciding(task)),
            baseline=naming.baseline(self.baseline),
        )

    @property
    def good(self) -> bool:
        """Whether something better than the baseline was shown."""
        return self.outcome == "clearly better"


def verdict(card: str) -> Verdict | None:
    """The verdict that a model card gives; None where it gives none."""
    found = _SENTENCE.search(card)
    if found is None:
        return None
    numbers = {name: found[name] for name in ("rows", "value", "low", "high", "other")}
    return Verdict(found["outcome"], found["baseline"], found["p"], numbers)


def card_of(folder: Path) -> str:
    """The model card of an adapter, empty where it has none."""
    path = folder / _CARD
    return path.read_text("utf-8", errors="replace") if path.is_file() else ""


@dataclass(frozen=True, kw_only=True)
class Reached:
    """The value that decides, as people read it."""

    metric: str
    value: str
    rows: str
    baseline: str
    """The best one's name; empty where it is not known."""
    other: str
    """What that one reached."""

    def said(self, task: Task[Any], naming: Naming) -> Said:
        """Such as 'MCC 0.921 on 505 rows'."""
        name = naming.value(task, self.metric)
        return words.REACHED.filled(metric=name, value=self.value, rows=self.rows)


def reached(folder: Path, passport: Mapping[str, Any], task: Task[Any]) -> Reached | None:
    """Of the adapter in a folder; None where it was never scored."""
    found = verdict(card_of(folder))
    if found is not None:
        value, rows, other = (found.numbers[name] for name in ("value", "rows", "other"))
        return Reached(
            metric=deciding(task), value=value, rows=rows, baseline=found.baseline, other=other
        )
    metrics, beside = passport.get("metrics", {}), passport.get("baseline", {})
    chosen = covered(task.select_by.metric, metrics)
    if not chosen:
        return None
    known = all(key in beside for key in chosen)
    return Reached(
        metric=chosen[0] if len(chosen) == 1 else deciding(task),
        value=score(sum(metrics[key] for key in chosen) / len(chosen)),
        rows=f"{passport.get('rows', 0):,}",
        baseline=str(passport.get("baseline_name") or ""),
        other=score(sum(beside[key] for key in chosen) / len(chosen)) if known else "",
    )


def covered(metric: str, names: Iterable[str]) -> list[str]:
    """The value of that name, or else those of its parts, such as the two directions of a translation."""
    known = list(names)
    return [metric] if metric in known else [k for k in known if k.startswith(f"{metric}_")]
