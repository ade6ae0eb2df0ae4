"""What an adapter learned from, read again: the rows that fair baselines learn from. Loads no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from core.adapters.passport import Learned, Passport
from core.errors import QuintetError
from core.task import Example, In, Task
from finetune.data import Layout, layout_of
from finetune.data.examples import read_examples


def described(
    sources: Sequence[str], columns_map: Mapping[str, str], limit: int | None, digest: str
) -> Learned:
    """For the passport: files by their whole path, hub ids as they are, and how they were read."""
    found = tuple(str(Path(one).resolve()) if Path(one).exists() else one for one in sources)
    layout = layout_of(columns_map)
    return Learned(
        sources=found,
        columns_map=dict(layout.columns),
        labels=dict(layout.labels),
        encoding=layout.encoding,
        limit=limit,
        data_hash=digest,
    )


def own_training(task: Task[In], passport: Passport | None) -> tuple[Example[In], ...] | None:
    """All rows that the adapter and those it began from learned or picked checkpoints by.

    None where one of the sources is not known, is not at hand, or holds other rows today.
    """
    if passport is None or not passport.learned or not passport.ancestors_known:
        return None
    found: list[Example[In]] = []
    for one in passport.learned:
        rows = _rows(task, one)
        if rows is None:
            return None
        found += rows
    return tuple(found)


def _rows(task: Task[In], one: Learned) -> tuple[Example[In], ...] | None:
    try:
        reading = read_examples(
            task, one.sources, columns_map=_layout(one), limit=one.limit, tolerate=1.0
        )
    except QuintetError:  # moved, deleted, or not to be had from the hub
        return None
    return reading.examples if reading.digest == one.data_hash else None


def _layout(one: Learned) -> Layout:
    return Layout(columns=one.columns_map, labels=one.labels, encoding=one.encoding)
