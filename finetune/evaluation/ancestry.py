"""What the adapter had learned that a run begins from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic

from core.adapters.passport import Learned, read_passport
from core.task import Example, In, Task
from finetune.evaluation.contamination.training_rows import TrainingRows, read_rows_of, rows_of
from finetune.evaluation.training_sources import own_training


@dataclass(frozen=True, kw_only=True)
class Ancestry(Generic[In]):
    """Of a run that begins anew all of it is empty, and known."""

    train: tuple[Example[In], ...] = ()
    """The rows themselves, where they can be read again."""
    known: bool = True
    """Whether `train` is all of them."""
    learned: tuple[Learned, ...] = ()
    recorded: bool = True
    """Whether `learned` is all of them."""
    seen: TrainingRows | None = None
    hashed: bool = True
    """Whether `seen` is there, where there is anything to be seen."""

    def extended(
        self,
        task: Task[In],
        train: Sequence[Example[In]],
        *,
        picked: Sequence[Example[In]] = (),
        scored: Sequence[Example[In]] = (),
    ) -> TrainingRows:
        """With the rows of the run itself."""
        return rows_of(
            task, train, picked=picked, scored=scored, parent=self.seen, known=self.hashed
        )


def of(task: Task[In], start: Path | None) -> Ancestry[In]:
    """Of the adapter in `start`, and of those it began from itself."""
    if start is None:
        return Ancestry()
    passport = read_passport(start)
    rows = own_training(task, passport)
    seen = read_rows_of(start, passport.training_rows_hash)
    return Ancestry(
        train=rows or (),
        known=rows is not None,
        learned=passport.learned,
        recorded=bool(passport.learned) and passport.ancestors_known,
        seen=seen,
        hashed=seen is not None,
    )
