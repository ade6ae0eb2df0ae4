"""Every metric of a system as sums over rows, in the form that intervals and tests need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from core.task import Example, Task
from finetune.evaluation.answers import Answers
from finetune.evaluation.clusters import Groups, groups_of
from finetune.evaluation.metrics import registry
from finetune.evaluation.metrics.rows import Rows, key_of_input
from finetune.evaluation.metrics.spec import MetricSpec
from finetune.evaluation.metrics.sums import Sums
from finetune.evaluation.metrics.texts import placed


@dataclass(frozen=True, kw_only=True)
class Counts(Sums):
    """One metric of one system."""

    name: str
    spec: MetricSpec
    groups: Groups | None = None
    """Equal numbers for rows that belong together; None where each stands alone."""

    @property
    def sign(self) -> int:
        """1 where higher is better, -1 where lower is."""
        return self.spec.sign

    @property
    def clustered(self) -> Counts:
        """The same with a row for each group of rows: what is drawn, and swapped, together."""
        if self.alone or self.groups is None:
            return replace(self, groups=None)
        from scipy import sparse

        places = np.arange(self.rows.shape[0])
        among = sparse.coo_array((np.ones(len(places)), (self.groups, places))).tocsr()
        return replace(self, rows=among @ self.rows, groups=None)

    @property
    def alone(self) -> bool:
        """Whether every row stands for itself."""
        return self.groups is None or len(np.unique(self.groups)) == self.rows.shape[0]

    def of_all(self) -> float:
        """The metric of all rows as they are."""
        return float(self.value(np.asarray(self.rows.sum(0)).reshape(1, -1))[0])


def count(
    task: Task[Any],
    examples: Sequence[Example[Any]],
    answers: Answers,
    groups: Groups | None = None,
) -> dict[str, Counts]:
    """Every metric of the task that this system can be measured by.

    `groups` says which examples belong together; without it, those of one input or passage do.
    """
    together = groups_of(task, examples) if groups is None else groups
    found: dict[str, Counts] = {}
    for name, spec, rows in registry.measured(
        task,
        examples,
        texts=[prediction.text for prediction in answers.predictions],
        likelihoods=answers.likelihoods,
        of_bytes=answers.kind == "baseline",
    ):
        if sums := spec.sums(rows):
            drawn = _by_prompt(examples, together) if spec.split == "prompt" else together
            found[name] = _counts(name, spec, sums, rows, drawn)
    return found


def _counts(name: str, spec: MetricSpec, sums: Sums, rows: Rows, groups: Groups) -> Counts:
    """Among all rows: those of other parts are zero."""
    all_ = (
        sums.rows if len(rows.places) == rows.whole else placed(sums.rows, rows.places, rows.whole)
    )
    return Counts(**{**vars(sums), "rows": all_}, name=name, spec=spec, groups=groups)


def _by_prompt(examples: Sequence[Example[Any]], groups: Groups) -> Groups:
    """The group of each prompt, in the order in which they come first."""
    first: dict[str, int] = {}
    for place, example in enumerate(examples):
        first.setdefault(key_of_input(example.input), place)
    return groups[list(first.values())]


def defined(counts: Mapping[str, Counts]) -> dict[str, Counts]:
    """Those that these rows give a value."""
    return {name: one for name, one in counts.items() if not one.undefined}
