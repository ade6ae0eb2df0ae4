"""Any source → located rows: a file of any kind, a folder of these, a hub id.

A row that cannot be used comes out as a `Problem` that names its file and line; a file that cannot
be read at all raises `BadData`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from core.errors import BadData, nearest
from finetune.data.reading import folders, hub, parallel
from finetune.data.reading.files import File, kind_of
from finetune.data.reading.formats import READERS, read_file
from finetune.data.reading.layout import Layout, Tell, layout_of, silent
from finetune.data.reading.rows import Located, Problem

_CLASSES = 2
"""Folders of texts from which on their names are labels."""


def read_rows(
    source: str,
    *,
    split: str = "train",
    columns_map: Mapping[str, str] | None = None,
    limit: int | None = None,
    pairs: bool = False,
    tell: Tell = silent,
) -> Iterator[Located | Problem]:
    """The rows of a split, the first `limit` of them; `columns_map` renames ours=theirs.

    A single file is every split. `pairs` reads line-parallel files as rows of en and zh. `tell`
    hears what a person should know, such as an encoding. Raises `BadData` for a source that is
    missing, empty or broken.
    """
    layout = layout_of(columns_map)
    found = itertools.islice(_rows(source, split, layout, pairs, tell), limit)
    if not layout.columns:
        yield from found
        return
    for row in found:
        yield row if isinstance(row, Problem) else renamed(row, layout.columns)


def has_split(source: str, split: str) -> bool:
    """Whether a folder or hub id holds this split; a single file has none but itself."""
    path = Path(source)
    if path.is_file():
        return False
    if path.is_dir():
        return bool(folders.matching(path, folders.files(path), split))
    return split in hub.splits(source)


def _rows(
    source: str, split: str, layout: Layout, pairs: bool, tell: Tell
) -> Iterator[Located | Problem]:
    path = Path(source)
    if path.is_file():
        yield from _files([path], layout, pairs, tell)
    elif path.is_dir():
        yield from _folder(path, folders.files_of(path, split, tell), layout, pairs, tell)
    elif hub.HUB_ID.fullmatch(source) and not path.is_symlink() and kind_of(path) not in READERS:
        yield from hub.rows(source, split)
    elif path.is_symlink():
        raise BadData(f"{source} is a link that leads nowhere.")
    else:
        raise BadData(f"No file or folder {source!r}.{_similar(path)}")


def _folder(
    folder: Path, found: list[Path], layout: Layout, pairs: bool, tell: Tell
) -> Iterator[Located | Problem]:
    """Texts in a folder for each class get its name as their label."""
    classes = {folders.class_of(folder, path) for path in found} - {""}
    if pairs or len(classes) < _CLASSES:
        yield from _files(found, layout, pairs, tell)
        return
    for path in folders.by_turns(folder, found):
        label = folders.class_of(folder, path)
        for row in _files([path], layout, pairs, tell):
            if label and isinstance(row, Located):
                row = Located({**row.row, "label": label}, row.place)
            yield row


def _files(
    paths: Sequence[Path], layout: Layout, pairs: bool, tell: Tell
) -> Iterator[Located | Problem]:
    done: set[Path] = set()
    for path in paths:
        other = parallel.partner(path) if pairs else None
        if path in done:
            continue
        if other is not None:
            done.add(other)
            yield from parallel.read_pair(path, other, layout.encoding, tell)
        else:
            yield from read_file(File(path, layout.encoding, tell))


def _similar(path: Path) -> str:
    beside = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    return nearest(path.name, beside)


def renamed(located: Located, columns: Mapping[str, str]) -> Located | Problem:
    """The row under our names; where it lacks a mapped column, its own is no substitute."""
    row: dict[str, Any] = {
        name: cell for name, cell in located.row.items() if name not in columns.values()
    }
    for ours, theirs in columns.items():
        if theirs in located.row:
            row[ours] = located.row[theirs]
        elif ours in row:
            return Problem(located.place, f"has no column {theirs!r}, which --map names")
    return Located(row, located.place)
