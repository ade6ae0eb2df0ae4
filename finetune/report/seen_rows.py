"""Which scored rows were seen before: learned, picking the checkpoint, or fitting the threshold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from finetune.evaluation import contamination
from finetune.evaluation.comparison import Evaluation
from finetune.evaluation.contamination import Found
from finetune.evaluation.contamination.search import Counted


@dataclass(frozen=True, kw_only=True)
class Seen:
    """Places among the scored examples, and where they were seen."""

    found: tuple[Found, ...]
    """In training rows and documents."""
    looked_in: dict[str, int]
    compared: tuple[int, int] | None
    """Near duplicates were sought among so many of so many learned texts; None where among all."""
    known: bool
    """Whether all that the subject has learned was searched."""
    learned: frozenset[int]
    picked: frozenset[int]
    """Not among the learned ones."""
    fitted: frozenset[int]
    """Not among the others."""

    @property
    def gone(self) -> list[int]:
        """All that tell nothing, in their order."""
        return sorted({one.row for one in self.found} | self.picked | self.fitted)


def look(found: Evaluation[Any], documents: Mapping[str, Iterable[str]]) -> Seen:
    """In what the subject learned, what its baselines learned, and in documents."""
    passed = {name: Counted(texts) for name, texts in documents.items()}
    bare = found.subject.kind == "base"
    train = "training" if found.own and not bare else "rows of the baselines"
    against = {train: found.train} if found.train else {}
    texts = contamination.leaked(found.task, found.examples, against, passed)
    every = _with_hashes(found, texts)
    learned = frozenset(one.row for one in every if one.source == "training")
    picked = frozenset(_places(found, "picked")) - learned
    return Seen(
        found=tuple(sorted(every, key=lambda one: one.row)),
        looked_in=_looked_in(found, train) | {name: one.count for name, one in passed.items()},
        compared=_compared(found),
        known=bare or (found.seen.ancestors_known if found.seen else found.own),
        learned=learned,
        picked=picked,
        fitted=frozenset(_places(found, "fitted")) - learned - picked,
    )


def _with_hashes(found: Evaluation[Any], texts: list[Found]) -> list[Found]:
    """Hashes say what was learned; the texts of the sources, where they are at hand, show it.

    Of the rows of a source some were held out to pick the checkpoint: these were not learned.
    """
    if found.seen is None:
        return texts
    hashed = found.seen.find(found.task, found.examples)
    learned = {one.row for one in hashed}
    kept = [one for one in texts if one.source != "training" or one.row in learned]
    shown = {one.row for one in kept if one.source == "training"}
    return [*kept, *(one for one in hashed if one.row not in shown)]


def _compared(found: Evaluation[Any]) -> tuple[int, int] | None:
    """Where the texts themselves are not at hand, some have a hash and no sketch."""
    if found.seen is None or found.own or len(found.seen.sketches) >= len(found.seen.learned):
        return None
    return len(found.seen.sketches), len(found.seen.learned)


def _looked_in(found: Evaluation[Any], train: str) -> dict[str, int]:
    counts = {train: len(found.train)} if found.train else {}
    return counts | ({"training": found.seen.examples} if found.seen else {})


def _places(found: Evaluation[Any], name: str) -> list[int]:
    return found.seen.places(found.task, found.examples, name) if found.seen else []
