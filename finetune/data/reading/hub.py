"""The only door to `datasets`: splits and rows of a hub id, with the names of its classes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from core.errors import BadData
from finetune.data.reading.parquet import named
from finetune.data.reading.rows import Located

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+(@[\w.-]+)?")


def rows(source: str, split: str) -> Iterator[Located]:
    """The rows of a split; `source` may name a revision after an @."""
    name, _, revision = source.partition("@")
    found: Any = _hub(source, "load_dataset", name, split=split, revision=revision or None)
    names = class_names(found)
    for number, row in enumerate(found, 1):
        yield Located(named(row, names), f"{source} [{split}], row {number}")


def class_names(found: Any) -> dict[str, list[str]]:
    """The names of the classes of each column of a `datasets.Dataset`."""
    features = getattr(found, "features", None) or {}
    return {column: list(about.names) for column, about in features.items() if _is_class(about)}


def splits(source: str) -> list[str]:
    """The splits of a hub id."""
    name, _, revision = source.partition("@")
    return list(_hub(source, "get_dataset_split_names", name, revision=revision or None))


def _is_class(about: Any) -> bool:
    import datasets

    return isinstance(about, datasets.ClassLabel)


def _hub(source: str, function: str, *arguments: Any, **keywords: Any) -> Any:
    import datasets

    datasets.disable_progress_bars()
    try:
        return getattr(datasets, function)(*arguments, **keywords)
    except Exception as error:  # the hub's clients raise of every kind
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise BadData(
            f"No file or folder {source!r}, and not to be had from the hub: {first}"
        ) from error
