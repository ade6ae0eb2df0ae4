"""Tables that people send: their columns and first rows, xlsx made csv and back, scored rows read.

Scoring itself is `quintet predict`, which reads csv, tsv, jsonl and parquet by itself.
"""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from core.errors import BadData
from finetune.data.reading.sheets import only_one

KINDS = (".csv", ".tsv", ".xlsx", ".parquet", ".jsonl")
MOST_ROWS = 200_000
"""Of one sheet; more of them belong to the command."""
_HEAD = 50
_NUMBER = re.compile(r"-?\d{1,15}(\.\d+)?(e-?\d{1,3})?")
_ENCODINGS = ("utf-8-sig", "gb18030", "latin-1")


def head(path: Path) -> pd.DataFrame:
    """The first rows, every cell as text; `BadData` where it cannot be read."""
    kind = _kind(path)
    try:
        if kind == ".parquet":
            return _parquet_head(path)
        if kind == ".jsonl":
            return pd.read_json(path, lines=True, nrows=_HEAD, dtype=False).astype(str)
        if kind == ".xlsx":
            names, *rows = itertools.islice(_sheet(path), _HEAD + 1)
            return pd.DataFrame(rows, columns=list(map(str, names))).astype(str)
        return _separated_head(path)
    except (ValueError, OSError, pd.errors.ParserError) as error:
        raise BadData(f"{path.name} cannot be read: {' '.join(str(error).split())}") from error


def readable(path: Path, folder: Path) -> Path:
    """The file as `quintet predict` reads it: an xlsx as csv in `folder`."""
    if _kind(path) != ".xlsx":
        return path
    target = folder / f"{path.stem}.csv"
    with target.open("x", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(_sheet(path))
    return target


def count(source: Path) -> int:
    """The rows of what `readable` gave; 0 where that cannot be told."""
    try:
        if _kind(source) == ".parquet":
            from pyarrow.parquet import read_metadata

            return int(read_metadata(source).num_rows)
        with source.open(encoding="utf-8", errors="replace", newline="") as file:
            if _kind(source) == ".jsonl":
                return sum(1 for line in file if line.strip())
            return max(sum(1 for row in csv.reader(file) if row) - 1, 0)
    except (csv.Error, OSError, ValueError):
        return 0


def finished(scored: Path, like: Path) -> Path:
    """The scored file in the kind of the one that was sent."""
    if _kind(like) != ".xlsx":
        return scored
    from openpyxl import Workbook

    target = scored.with_suffix(".xlsx")
    book = Workbook(write_only=True)
    sheet = book.create_sheet("scored")
    table = read(scored)
    for row in itertools.chain([table.columns], table.itertuples(index=False)):
        sheet.append([_cell(sheet, str(value)) for value in row])
    book.save(target)
    return target


def read(scored: Path) -> pd.DataFrame:
    """All rows of a scored file, cells of csv as text."""
    if _kind(scored) == ".xlsx":
        names, *rows = _sheet(scored)
        return pd.DataFrame(rows, columns=names).fillna("").astype(str)
    if _kind(scored) == ".parquet":
        return pd.read_parquet(scored)
    if _kind(scored) == ".jsonl":
        return pd.read_json(scored, lines=True, dtype=False)
    separator = "\t" if _kind(scored) == ".tsv" else ","
    return pd.read_csv(scored, sep=separator, dtype=str, keep_default_na=False)


def _kind(path: Path) -> str:
    kind = path.suffix.lower()
    if kind not in KINDS:
        raise BadData(f"{path.name} is of no known kind; taken are {', '.join(KINDS)}.")
    return kind


def _separated_head(path: Path) -> pd.DataFrame:
    for encoding in _ENCODINGS:
        try:
            return pd.read_csv(
                path, sep=None, engine="python", nrows=_HEAD, dtype=str, encoding=encoding,
                keep_default_na=False,
            )  # fmt: skip
        except UnicodeDecodeError:
            continue
    raise BadData(f"{path.name} is in no known encoding.")


def _parquet_head(path: Path) -> pd.DataFrame:
    from pyarrow import ArrowInvalid
    from pyarrow.parquet import ParquetFile

    try:
        batch = next(ParquetFile(path).iter_batches(batch_size=_HEAD), None)
    except ArrowInvalid as error:
        raise BadData(f"{path.name} is no parquet file: {error}.") from error
    return pd.DataFrame() if batch is None else batch.to_pandas().astype(str)


def _sheet(path: Path) -> Iterator[list[Any]]:
    """The rows of the one sheet that has any; `BadData` where there are too many."""
    from zipfile import BadZipFile

    from openpyxl import load_workbook

    try:
        book = load_workbook(path, read_only=True, data_only=True)
    except (BadZipFile, KeyError, ValueError, OSError) as error:
        raise BadData(f"{path.name} is no xlsx file: {error}.") from error
    try:
        sheet = only_one(path, book) or book.worksheets[0]
        rows = sheet.iter_rows(values_only=True)
        for row in itertools.islice(rows, MOST_ROWS + 1):
            yield [_plain(cell) for cell in row]
        if next(rows, None) is not None:
            raise BadData(
                f"{path.name} has more than {MOST_ROWS:,} rows. Save it as csv, and score it with "
                "quintet predict."
            )
    finally:
        book.close()


def _cell(sheet: Any, text: str) -> Any:
    """A number where it is one; any other text stays a text, never a formula."""
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    if _NUMBER.fullmatch(text):
        return float(text)
    cell = WriteOnlyCell(sheet, value=ILLEGAL_CHARACTERS_RE.sub("", text))
    cell.data_type = "s"
    return cell


def _plain(cell: Any) -> Any:
    if isinstance(cell, datetime) and not (cell.hour or cell.minute or cell.second):
        return cell.date().isoformat()
    return cell.isoformat() if isinstance(cell, date | datetime) else cell
