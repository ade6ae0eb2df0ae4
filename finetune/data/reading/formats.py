"""Readers of single files, one per kind: rows with the place they stand at, or why not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from core.errors import BadData
from finetune.data.reading.files import File
from finetune.data.reading.nested import unfolded
from finetune.data.reading.parquet import read_parquet
from finetune.data.reading.rows import LONGEST_ROW, Located, Problem, as_row, too_long
from finetune.data.reading.separated import read_csv, read_tsv
from finetune.data.reading.sheets import read_xlsx


def read_file(file: File) -> Iterator[Located | Problem]:
    """Its rows; `BadData` for a file that holds none or is of no known kind."""
    reader = READERS.get(file.kind)
    if reader is None:
        raise BadData(f"{file.path}: unknown kind of file; read are {', '.join(READERS)}.")
    rows = reader(file)
    first = next(rows, None)
    if first is None:
        raise BadData(f"{file.path} holds no rows.")
    yield first
    yield from rows


def _jsonl(file: File) -> Iterator[Located | Problem]:
    for number, text in file.lines():
        if not text.strip():
            continue
        place = f"{file.path}, line {number}"
        if (size := len(text.encode(errors="replace"))) > LONGEST_ROW:
            yield Problem(place, too_long(size))
            continue
        for row in unfolded(_parsed(text, place)):
            yield as_row(row, place)


def _json(file: File) -> Iterator[Located | Problem]:
    """A list of rows, an object whose `data` is one, or a row a line under the wrong name."""
    text = file.text()
    if _is_lines(text):
        file.tell(f"{file.path}: holds a row a line, as jsonl does, and is read so")
        yield from _jsonl(file)
        return
    found = _parsed(text, str(file.path))
    rows = found.get("data") if isinstance(found, dict) else found
    if not isinstance(rows, list):
        raise BadData(f"{file.path} must hold a list of rows, or one under 'data'. Is it jsonl?")
    flat = (row for one in rows for row in unfolded(one))
    for number, row in enumerate(flat, 1):
        yield as_row(row, f"{file.path}, row {number}")


def _is_lines(text: str) -> bool:
    """Whether the first line is a whole object, and more follows."""
    first, _, rest = text.lstrip().partition("\n")
    if not first.startswith("{") or not rest.strip():
        return False
    try:
        return isinstance(json.loads(first), dict)
    except (ValueError, RecursionError):
        return False


def _parsed(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise BadData(f"{place}: broken JSON: {error.msg}.") from error
    except (RecursionError, ValueError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else "a number too long"
        raise BadData(f"{place}: broken JSON: {reason}.") from error


def _txt(file: File) -> Iterator[Located | Problem]:
    """A file of text is one document."""
    yield Located({"text": file.text()}, str(file.path))


READERS: dict[str, Callable[[File], Iterator[Located | Problem]]] = {
    "csv": read_csv,
    "tsv": read_tsv,
    "json": _json,
    "jsonl": _jsonl,
    "ndjson": _jsonl,
    "parquet": read_parquet,
    "xlsx": read_xlsx,
    "txt": _txt,
}
