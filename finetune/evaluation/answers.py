"""What one system said to every example, whether it is an adapter, the bare backbone or a baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from core.application import Likelihood, Prediction

Kind = Literal["baseline", "base", "adapter"]


@dataclass(frozen=True, kw_only=True)
class Answers:
    """In the order of the examples; a system may write, weigh, or both."""

    name: str
    kind: Kind
    predictions: tuple[Prediction, ...] = ()
    """Empty where the system only weighs texts, such as a language model of n-grams."""
    likelihoods: tuple[Likelihood, ...] = ()
    """Empty where the task has no metric of a language model, or the system cannot weigh."""
    seconds: float = 0.0
    learns: bool = False
    """A baseline that learned from training rows: with few or other rows it is easily beaten."""

    def without(self, dropped: Sequence[int]) -> Answers:
        """Without the examples at these places."""
        gone = set(dropped)

        def kept(items: tuple[object, ...]) -> tuple[object, ...]:
            return tuple(item for place, item in enumerate(items) if place not in gone)

        return Answers(
            name=self.name,
            kind=self.kind,
            predictions=kept(self.predictions),  # type: ignore[arg-type]
            likelihoods=kept(self.likelihoods),  # type: ignore[arg-type]
            seconds=self.seconds,
            learns=self.learns,
        )
