"""Readers of single files, one per suffix: rows with the line they stand on, or why not."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import BadData
from core.task import Row

LONGEST_ROW = 500_000
"""Bytes of a row; more is a file in the wrong format, not a text to learn from."""
_BATCH = 1024
_NO_LIMIT = 2**31 - 1


@dataclass(frozen=True)
class Located:
    """A row and where it stands."""

    row: Row
    place: str


@dataclass(frozen=True)
class Problem:
    """A row that cannot be used: where it stands, and why."""

    place: str
    reason: str

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"


def _csv(path: Path, delimiter: str = ",") -> Iterator[Located | Problem]:
    csv.field_size_limit(_NO_LIMIT)  # a long cell is one bad row, not the end of the file
    reader = csv.reader((text for _, text in _lines(path)), delimiter=delimiter, strict=True)
    header = _next(path, reader)
    if header is None:
        return
    before = reader.line_num
    while (cells := _next(path, reader)) is not None:
        place, before = f"{path}, line {before + 1}", reader.line_num
        if not cells:
            continue
        if len(cells) != len(header):
            yield Problem(place, f"{len(cells)} cells under {len(header)} columns")
        else:
            yield _sized(dict(zip(header, cells, strict=True)), place)


def _next(path: Path, reader: Any) -> list[str] | None:
    start = reader.line_num + 1
    try:
        found: list[str] | None = next(reader, None)
    except csv.Error as error:
        raise BadData(f"{path}, line {start}: {error}.") from error
    return found


def _tsv(path: Path) -> Iterator[Located | Problem]:
    yield from _csv(path, "\t")


def _jsonl(path: Path) -> Iterator[Located | Problem]:
    for number, text in _lines(path):
        if not text.strip():
            continue
        place = f"{path}, line {number}"
        if (size := len(text.encode())) > LONGEST_ROW:
            yield Problem(place, _too_long(size))
            continue
        yield _object(_parsed(text, place), place)


def _json(path: Path) -> Iterator[Located | Problem]:
    """A list of rows, or an object whose `data` is one."""
    found = _parsed("".join(text for _, text in _lines(path)), str(path))
    rows = found.get("data") if isinstance(found, dict) else found
    if not isinstance(rows, list):
        raise BadData(f"{path} must hold a list of rows, or one under 'data'. Is it jsonl?")
    for number, row in enumerate(rows, 1):
        yield _object(row, f"{path}, row {number}")


def _parsed(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise BadData(f"{place}: broken JSON: {error.msg}.") from error
    except (RecursionError, ValueError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else "a number too long"
        raise BadData(f"{place}: broken JSON: {reason}.") from error


def _object(value: Any, place: str) -> Located | Problem:
    if not isinstance(value, dict):
        return Problem(place, f"a {type(value).__name__} where a row of columns is expected")
    return _sized(value, place)


def _parquet(path: Path) -> Iterator[Located | Problem]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        batches: Iterable[Any] = file.iter_batches(batch_size=_BATCH)
        rows = (row for batch in batches for row in batch.to_pylist())
        for number, row in enumerate(rows, 1):
            yield _sized(row, f"{path}, row {number}")
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        first = str(error).splitlines()[0]
        raise BadData(f"{path} is no readable parquet file: {first}") from error


def _txt(path: Path) -> Iterator[Located | Problem]:
    """A file of text is one document."""
    yield Located({"text": "".join(text for _, text in _lines(path))}, str(path))


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines of a UTF-8 file, line ends kept."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise BadData(
            f"{path}, line {number}: not valid UTF-8 at byte {error.start + 1}. "
            "Save the file as UTF-8."
        ) from error
    except OSError as error:
        raise BadData(f"Cannot read {path}: {error.strerror}.") from error


def _sized(row: dict[str, Any], place: str) -> Located | Problem:
    try:
        size = sum(len(cell.encode()) for cell in row.values() if isinstance(cell, str))
    except UnicodeEncodeError:  # "\ud800" in JSON
        return Problem(place, "a text that is no valid Unicode: half of a surrogate pair")
    return Problem(place, _too_long(size)) if size > LONGEST_ROW else Located(row, place)


def _too_long(size: int) -> str:
    return f"a row of {size:,} bytes; at most {LONGEST_ROW:,} are read"


READERS: dict[str, Callable[[Path], Iterator[Located | Problem]]] = {
    "csv": _csv,
    "tsv": _tsv,
    "json": _json,
    "jsonl": _jsonl,
    "parquet": _parquet,
    "txt": _txt,
}
