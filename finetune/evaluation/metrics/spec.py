"""What is known of a metric, in one place: its words, its direction, how it is computed and drawn anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from core.language import Said
from finetune.evaluation.metrics.rows import Rows, Split
from finetune.evaluation.metrics.sums import Sums

Scale = Literal["fraction", "percent", "bits", "count"]
_DECIMALS: Final[dict[Scale, int]] = {"fraction": 3, "percent": 2, "bits": 3, "count": 2}
SIGNATURES: Final = "signatures"
"""Under this name an `evaluate` metric tells how its values were counted."""


@dataclass(frozen=True, kw_only=True)
class MetricSpec:
    """One metric. Of parts and labels it has a value each, as `chrf_en_zh` and `recall_spam`."""

    name: str
    label: Said
    meaning: Said
    """One sentence for a student, without the direction."""
    evaluated: Callable[[Rows], Mapping[str, Any]]
    """The values of an `evaluate` metric by name, the one of this metric among them."""
    sums: Callable[[Rows], Sums | None]
    """The same value as sums over rows; None where these rows cannot be measured by it."""
    module: str = ""
    """What a task calls a set of metrics that belong together; its own name serves as well."""
    needs: Literal["texts", "likelihoods"] = "texts"
    """What a system must have given to be measured."""
    split: Split = "all"
    per_label: bool = False
    """Whether each label has a value of its own, which `Rows.label` then names."""
    higher_is_better: bool = True
    scale: Scale = "fraction"
    bounds: tuple[float, float] | None = None
    """The least and the most that it can be."""
    proportion: bool = False
    """Whether it is the share of rows that are right, neither more nor less."""
    counts_kinds: bool = False
    """Whether it counts different things: a row drawn twice then holds nothing new, and draws are
    lower than the value by their nature."""
    of_one_tokenizer: bool = False
    """Whether values compare within one tokenizer only; baselines, whose tokens are bytes, have none."""
    chance: Callable[[int], float] | None = None
    """What random guessing reaches on average, by the number of labels; None where there is no such value."""
    hub: str = ""
    """Its name among the hub's metrics, where that is another one."""

    @property
    def sign(self) -> int:
        """1 where higher is better, -1 where lower is."""
        return 1 if self.higher_is_better else -1

    @property
    def decimals(self) -> int:
        """How many are written at most."""
        return _DECIMALS[self.scale]
