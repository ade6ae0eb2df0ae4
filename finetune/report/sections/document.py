"""What a report consists of; HTML and Markdown draw the same document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a table; `note` stands small beneath its title."""

    title: str
    note: str = ""
    number: bool = False


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A cell; `note` stands small beneath the text, `mark` beside it."""

    text: str
    note: str = ""
    mark: str = ""
    quoted: bool = False
    """A text from the data: shown as it is, and isolated from what surrounds it."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """The first cell names the row."""

    cells: tuple[Cell, ...]
    strong: bool = False


@dataclass(frozen=True, kw_only=True)
class Table:
    kind: ClassVar[str] = "table"
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A drawing; `name` is its file's name, without the ending."""

    kind: ClassVar[str] = "figure"
    name: str
    caption: str
    how: str
    svg: str


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Stand beside one another where there is room."""

    kind: ClassVar[str] = "figures"
    figures: tuple[Figure, ...]


@dataclass(frozen=True, kw_only=True)
class Note:
    """A paragraph."""

    kind: ClassVar[str] = "note"
    text: str


@dataclass(frozen=True, kw_only=True)
class Code:
    kind: ClassVar[str] = "code"
    text: str


@dataclass(frozen=True, kw_only=True)
class Fact:
    """A name and what is said under it."""

    name: str
    text: str
    quoted: bool = False
    strong: bool = False


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Short facts under one another, in columns where there is room."""

    kind: ClassVar[str] = "facts"
    facts: tuple[Fact, ...]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One row that went wrong."""

    title: str
    note: str
    facts: tuple[Fact, ...]


@dataclass(frozen=True, kw_only=True)
class Cases:
    kind: ClassVar[str] = "cases"
    cases: tuple[Case, ...]


@dataclass(frozen=True, kw_only=True)
class Folded:
    """Shown when asked for, and always in print."""

    kind: ClassVar[str] = "folded"
    summary: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, kw_only=True)
class Step:
    """Something to do, and the command that does it."""

    text: str
    command: str = ""


@dataclass(frozen=True, kw_only=True)
class Steps:
    """In the order in which they matter."""

    kind: ClassVar[str] = "steps"
    title: str
    steps: tuple[Step, ...]


Block = Table | Figures | Note | Code | Facts | Cases | Folded | Steps


@dataclass(frozen=True, kw_only=True)
class Section:
    """`how` says in one line how to read it."""

    name: str
    title: str
    how: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, kw_only=True)
class Document:
    title: str
    lead: str
    description: str
    banner: str
    """Empty where the verdict is good."""
    why: str
    verdict: str
    caution: str
    """What makes the score look better than it is; empty where nothing does."""
    sections: tuple[Section, ...]
    footer: str

    @property
    def figures(self) -> tuple[Figure, ...]:
        """All drawings, in order."""
        rows = (b for s in self.sections for b in s.blocks if isinstance(b, Figures))
        return tuple(figure for row in rows for figure in row.figures)
