"""The names of metrics and baselines for the pages, from the registries of evaluation."""

from __future__ import annotations

from collections.abc import Collection

from demos.naming import Naming
from demos.said import Said, same
from finetune.evaluation.metrics import registry
from finetune.report.words import names


def naming() -> Naming:
    """As a report names them, in both languages."""
    return Naming(metric=_metric, baseline=_baseline)


def _metric(name: str, labels: Collection[str]) -> Said:
    found = registry.metric(name, labels)
    return Said(found.label("en"), found.label("zh"))


def _baseline(name: str) -> Said:
    known = names.ENTRIES.get(name)
    return Said(*known) if known else same(name)
