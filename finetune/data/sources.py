"""Any source → located rows: csv, tsv, json, jsonl, parquet, a folder of these or of .txt, a hub id.

The only door to `datasets`. A row that cannot be used comes out as a `Problem` that names its file
and line; a file that cannot be read at all raises `BadData`.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from core.errors import BadColumns, BadData, nearest
from finetune.data.formats import READERS, Located, Problem

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+(@[\w.-]+)?")
_ALIASES = {"validation": ("validation", "valid", "val", "dev"), "train": ("train", "training")}
_SPLITS = ("train", "training", "validation", "valid", "val", "dev", "test")


def read_rows(
    source: str,
    *,
    split: str = "train",
    columns_map: Mapping[str, str] | None = None,
    limit: int | None = None,
) -> Iterator[Located | Problem]:
    """The rows of a split, the first `limit` of them; `columns_map` renames ours=theirs.

    A single file is every split. Raises `BadData` for a source that is missing, empty or broken,
    and `BadColumns` for a mapped column that is not there.
    """
    found = itertools.islice(_rows(source, split), limit)
    if not columns_map:
        yield from found
        return
    for row in found:
        yield row if isinstance(row, Problem) else _renamed(row, columns_map)


def has_split(source: str, split: str) -> bool:
    """Whether a folder or hub id holds this split; a single file has none but itself."""
    path = Path(source)
    if path.is_file():
        return False
    if path.is_dir():
        return bool(_matching(_files(path), split))
    return split in _hub_splits(source)


def _rows(source: str, split: str) -> Iterator[Located | Problem]:
    path = Path(source)
    if path.is_file():
        yield from _read(path)
    elif path.is_dir():
        for one in split_files(path, split):
            yield from _read(one)
    elif _HUB_ID.fullmatch(source) and path.suffix[1:] not in READERS:
        yield from _hub_rows(source, split)
    else:
        raise BadData(f"No file or folder {source!r}.{_similar(path)}")


def _similar(path: Path) -> str:
    beside = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    return nearest(path.name, beside)


def split_files(folder: Path, split: str) -> list[Path]:
    """Its files named after the split (`train.csv`, `x.train.csv`, `train-0001.csv`).

    Where no file is named after any split, all of them are the training split.
    """
    files = _files(folder)
    if not files:
        raise BadData(f"No data in {folder}; read are files that end in {', '.join(READERS)}.")
    found = _matching(files, split)
    if not found:
        names = sorted({name for path in files if (name := _split_of(path))})
        raise BadData(
            f"No split {split!r} in {folder}; there: {', '.join(names) or 'train'}."
            f"{nearest(split, names)}"
        )
    return found


def _files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.suffix[1:].lower() in READERS and p.is_file())


def _matching(files: list[Path], split: str) -> list[Path]:
    if not any(_split_of(path) for path in files):
        return files if split == "train" else []
    return [path for path in files if _split_of(path) in (split, *_ALIASES.get(split, ()))]


def _split_of(path: Path) -> str:
    """'train' for `train.csv`, `news.train.csv` or `train-00000-of-00001.csv`; else the stem.

    A stem that only begins with a split (`train_human`) is a split of its own.
    """
    stem = path.stem
    for split in _SPLITS:
        if re.fullmatch(rf"(.+\.)?{split}(-\d+(-of-\d+)?)?", stem):
            return split
    return stem if stem.startswith(_SPLITS) else ""


def _read(path: Path) -> Iterator[Located | Problem]:
    reader = READERS.get(path.suffix[1:].lower())
    if reader is None:
        raise BadData(f"{path}: unknown kind of file; read are {', '.join(READERS)}.")
    rows = reader(path)
    first = next(rows, None)
    if first is None:
        raise BadData(f"{path} holds no rows.")
    yield first
    yield from rows


def _renamed(located: Located, columns_map: Mapping[str, str]) -> Located:
    row = {name: cell for name, cell in located.row.items() if name not in columns_map.values()}
    for ours, theirs in columns_map.items():
        if theirs in located.row:
            row[ours] = located.row[theirs]
        elif ours not in row:
            raise BadColumns(
                f"{located.place}: --map names column {theirs!r}, which is not among "
                f"{', '.join(map(str, located.row))}.{nearest(theirs, map(str, located.row))}"
            )
    return Located(row, located.place)


def _hub_rows(source: str, split: str) -> Iterator[Located]:
    name, _, revision = source.partition("@")
    rows: Any = _hub(source, "load_dataset", name, split=split, revision=revision or None)
    for number, row in enumerate(rows, 1):
        yield Located(row, f"{source} [{split}], row {number}")


def _hub_splits(source: str) -> list[str]:
    name, _, revision = source.partition("@")
    return list(_hub(source, "get_dataset_split_names", name, revision=revision or None))


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
