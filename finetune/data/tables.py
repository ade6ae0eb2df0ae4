"""Rows as a file of csv, tsv, jsonl or parquet, told before the work whether it can be written."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core import store
from core.errors import BadSetting
from core.task import Row

KINDS = ("csv", "tsv", "jsonl", "parquet")
_RUN_BY_SPREADSHEETS = ("=", "+", "-", "@", "\t", "\r")


def check_output(output: Path, *, overwrite: bool) -> None:
    """Raise `BadSetting` for a name, a kind or a folder that cannot be written to."""
    if output.is_dir():
        raise BadSetting(
            f"{output} is a folder; the answers to one file are a file. "
            f"Give its name as --output: {output / 'answered.csv'}"
        )
    if kind(output) not in KINDS:
        raise BadSetting(f"{output}: the output must end in {', '.join(KINDS)}.")
    if output.exists() and not overwrite:
        raise BadSetting(f"{output} exists. Give --overwrite, or another --output.")
    store.check_writable(output.absolute().parent)


def check_rows(output: Path, rows: Sequence[Row]) -> None:
    """Raise `BadSetting` where a column cannot be written in the kind that is asked for."""
    if kind(output) == "parquet":
        for name in names_of(rows):
            _column(output, name, rows)


def names_of(rows: Sequence[Row]) -> list[str]:
    """The columns of all rows, in the order they first occur."""
    return list(dict.fromkeys(name for row in rows for name in row))


def write(output: Path, rows: Sequence[Row]) -> None:
    """Write the rows, every column of every row; the file appears when it is whole."""
    if kind(output) == "parquet":
        _write_parquet(output, rows)
    elif kind(output) == "jsonl":
        lines = (json.dumps(row, ensure_ascii=False, default=str) for row in rows)
        store.write_text(output, "".join(f"{line}\n" for line in lines))
    else:
        store.write_text(output, _separated(rows, "\t" if kind(output) == "tsv" else ","))


def kind(output: Path) -> str:
    """The end of its name, without the dot."""
    return output.suffix[1:].lower()


def _separated(rows: Sequence[Row], delimiter: str) -> str:
    text = io.StringIO()
    names = names_of(rows)
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerow(map(_cell, names))
    writer.writerows([_cell(row.get(name)) for name in names] for row in rows)
    return text.getvalue()


def _cell(value: Any) -> Any:
    """Lists as JSON; what a spreadsheet would run as a formula begins with an apostrophe."""
    if isinstance(value, list | dict | tuple):
        value = json.dumps(value, ensure_ascii=False, default=str)
    if isinstance(value, str) and value.startswith(_RUN_BY_SPREADSHEETS) and not _is_number(value):
        return f"'{value}"
    return value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _write_parquet(output: Path, rows: Sequence[Row]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {name: _column(output, name, rows) for name in names_of(rows)}
    with store.new_file(output) as temporary:
        pq.write_table(pa.table(columns), temporary)


def _column(output: Path, name: str, rows: Sequence[Row]) -> Any:
    import pyarrow as pa

    values = [row.get(name) for row in rows]
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError, TypeError) as error:
        kinds = sorted({type(value).__name__ for value in values if value is not None})
        raise BadSetting(
            f"{output}: column {name!r} holds {' and '.join(kinds)}, which parquet cannot. "
            "Write .jsonl or .csv instead."
        ) from error
