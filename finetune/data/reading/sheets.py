"""xlsx: the one sheet that holds rows, its cells as values."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

from core.errors import BadData
from finetune.data.reading.files import File
from finetune.data.reading.rows import Located, Problem, sized
from finetune.data.reading.separated import names_of

_LARGEST = 2**30
"""Bytes that a workbook may unpack to: shared texts are held at once."""


def read_xlsx(file: File) -> Iterator[Located | Problem]:
    """Its rows; `BadData` for a workbook that is broken, or has rows in several sheets."""
    from openpyxl import load_workbook

    try:
        _check_size(file)
        book = load_workbook(file.path, read_only=True, data_only=True)
    except (BadZipFile, KeyError, ValueError, OSError) as error:
        raise BadData(f"{file.path} is no readable xlsx file: {error}.") from error
    try:
        sheet = only_one(file.path, book)
        yield from _rows(file, _cells(sheet)) if sheet else ()
    finally:
        book.close()


def _check_size(file: File) -> None:
    with ZipFile(file.path) as packed:
        size = sum(one.file_size for one in packed.infolist())
    if size > _LARGEST:
        raise BadData(f"{file.path} unpacks to {size / 2**30:.0f} GiB. Save it as csv.")


def only_one(path: Path, book: Any) -> Any:
    """The sheet that holds rows, None where none does; `BadData` where it could be another."""
    found = [sheet for sheet in book.worksheets if next(_cells(sheet), None)]
    if len(found) > 1:
        names = ", ".join(repr(sheet.title) for sheet in found)
        raise BadData(
            f"{path.name} has rows in {len(found)} sheets: {names}. Save the one that is meant as a file "
            "of its own, such as train.csv in a folder with test.csv."
        )
    return found[0] if found else None


def _cells(sheet: Any) -> Iterator[tuple[int, list[Any]]]:
    """Numbered rows that are not blank."""
    for number, row in enumerate(sheet.iter_rows(values_only=True), 1):
        if any(cell is not None for cell in row):
            yield number, [_plain(cell) for cell in row]


def _rows(file: File, rows: Iterator[tuple[int, list[Any]]]) -> Iterator[Located | Problem]:
    _, first = next(rows)
    while first and first[-1] is None:
        first.pop()
    header = names_of(file, ["" if name is None else str(name) for name in first])
    for number, row in rows:
        place = f"{file.path}, row {number}"
        cells = [*row, *itertools.repeat(None, len(header) - len(row))]
        if any(cell is not None for cell in cells[len(header) :]):
            yield Problem(place, f"cells beyond the {len(header)} columns")
        else:
            yield sized(dict(zip(header, cells, strict=False)), place)


def _plain(cell: Any) -> Any:
    """Texts, numbers and yes or no as they are; dates as ISO 8601 writes them."""
    return cell if cell is None or isinstance(cell, (str, int, float)) else str(cell)
