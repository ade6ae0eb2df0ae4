"""csv and tsv as people export them: the separator told from the header, quotes that mean nothing."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from core.errors import BadColumns, BadData
from finetune.data.reading.files import File
from finetune.data.reading.rows import LONGEST_ROW, Located, Problem, sized

_NO_LIMIT = 2**31 - 1
_OTHERS = ",;\t|"
_NAMES = {"\t": "tabs", ";": "semicolons", ",": "commas", "|": "bars"}
_EXCEL = re.compile(r"sep=(.)\r?\n?")
_QUOTED = re.compile(r'"((?:[^"]|"")*)"', re.DOTALL)


def read_csv(file: File) -> Iterator[Located | Problem]:
    """Rows of a file with separators; a row may span lines within quotes."""
    return _read(file, ",")


def read_tsv(file: File) -> Iterator[Located | Problem]:
    """The same with tabs; a quote opens a cell only where the row would be too short without."""
    return _read(file, "\t")


@dataclass
class _Lines:
    """The lines of a file, one of which may be put back."""

    file: File
    number: int = 0
    again: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lines = self.file.lines()

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        self.number += 1
        if self.again:
            return self.again.pop()
        return next(self._lines)[1]

    def back(self, line: str) -> None:
        """What the next one will be."""
        self.again.append(line)
        self.number -= 1


def _read(file: File, usual: str) -> Iterator[Located | Problem]:
    csv.field_size_limit(_NO_LIMIT)  # a long cell is one bad row, not the end of the file
    lines = _Lines(file)
    delimiter = _delimiter(file, lines, usual)
    header = next(_csv_rows(file, lines, delimiter), (0, None))[1]
    if header is None:
        return
    header = names_of(file, header)
    rows = _tab_rows if delimiter == "\t" else _csv_rows
    for number, cells in rows(file, lines, delimiter, len(header)):
        place = f"{file.path}, line {number}"
        if len(cells) != len(header):
            yield Problem(place, f"{len(cells)} cells under {len(header)} columns")
        else:
            yield sized(dict(zip(header, cells, strict=True)), place)


def _delimiter(file: File, lines: _Lines, usual: str) -> str:
    """The usual one where the header has it, else what the sniffer makes of the header."""
    first = next(lines, "")
    if excel := _EXCEL.fullmatch(first):
        return excel[1]
    lines.back(first)
    there = "".join(mark for mark in _OTHERS if mark in first)
    if usual in there or not there:
        return usual
    try:
        found = csv.Sniffer().sniff(first, there).delimiter
    except csv.Error:
        found = there[0]
    file.tell(f"{file.path}: cells are separated by {_NAMES[found]}")
    return found


def names_of(file: File, header: list[str]) -> list[str]:
    """The columns, blanks around them taken off."""
    bare = [name.strip() for name in header]
    if bare != header:
        file.tell(f"{file.path}: blanks around names of columns are left out")
    twice = [name for name, count in Counter(bare).items() if count > 1 and name]
    if twice:
        raise BadColumns(
            f"{file.path}: several columns are named {twice[0]!r}. Rename or remove all but one."
        )
    return [name or f"column_{place}" for place, name in enumerate(bare, 1)]


def _csv_rows(
    file: File, lines: _Lines, delimiter: str, width: int = 0
) -> Iterator[tuple[int, list[str]]]:
    taken: list[str] = []

    def kept() -> Iterator[str]:
        for line in lines:
            taken.append(line)
            yield line

    reader = csv.reader(kept(), delimiter=delimiter, strict=True)
    while True:
        start = lines.number + 1
        taken.clear()
        try:
            cells: list[str] | None = next(reader, None)
        except csv.Error as error:
            raise BadData(f"{file.path}, line {start}: {_said(error)}.") from error
        if cells is None:
            return
        if cells:
            _suspect(file, taken, start, delimiter, width)
            yield start, cells


def _suspect(file: File, taken: list[str], start: int, delimiter: str, width: int) -> None:
    """Say where a quote has swallowed lines that are rows by themselves."""
    inner = taken[1:-1]
    if inner and width > 1 and all(line.count(delimiter) == width - 1 for line in inner):
        file.tell(
            f"{file.path}, line {start}: a quote opens here and swallows the rows up to line "
            f"{start + len(taken) - 1}; if it is no quote, double it"
        )


def _said(error: csv.Error) -> str:
    text = str(error)
    return f"{text}: a quote opens here that is never closed" if "unexpected end" in text else text


def _tab_rows(
    file: File, lines: _Lines, delimiter: str, width: int
) -> Iterator[tuple[int, list[str]]]:
    """A line of as many cells as columns is a row; only a shorter one may go on in the next."""
    for line in lines:
        start = lines.number
        bare = line.rstrip("\r\n")
        if not bare:
            continue
        cells = bare.split("\t")
        if len(cells) == width or '"' not in bare:
            yield start, [_unquoted(cell) for cell in cells]
        else:
            yield start, _quoted(lines, line, width) or cells


def _unquoted(cell: str) -> str:
    found = _QUOTED.fullmatch(cell)
    return found[1].replace('""', '"') if found else cell


def _quoted(lines: _Lines, line: str, width: int) -> list[str] | None:
    """The row that the quotes in a line make, with the lines they hold; None where they make none.

    What was read in vain is put back.
    """
    text, taken = line, list[str]()
    while True:
        cells = _parsed(text)
        if cells is not None or len(text) > LONGEST_ROW:
            break
        following = next(lines, None)
        if following is None:
            break
        taken.append(following)
        text += following
    if cells is not None and len(cells) == width:
        return cells
    for one in reversed(taken):
        lines.back(one)
    return None


def _parsed(text: str) -> list[str] | None:
    """None while a quote is open."""
    reader: Any = csv.reader(io.StringIO(text, newline=""), delimiter="\t", strict=True)
    try:
        return next(reader, None)
    except csv.Error:
        return None
