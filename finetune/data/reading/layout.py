"""How somebody else's files are to be read: columns renamed, labels told, bytes decoded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

Tell = Callable[[str], None]
"""Takes one line that a person should know about the data."""


def silent(line: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True, kw_only=True)
class Layout(Mapping[str, str]):
    """As a mapping it is its columns, ours → theirs."""

    columns: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str | None] = field(default_factory=dict)
    """What is written in the label's cell → our label; None leaves the row out."""
    encoding: str | None = None
    """None is told from the file."""

    def __getitem__(self, name: str) -> str:
        return self.columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.columns)

    def described(self) -> dict[str, object]:
        """For the record of a run, in words of the command."""
        labels = {cell: "skip" if label is None else label for cell, label in self.labels.items()}
        more = {"labels": labels, "encoding": self.encoding}
        return {"map": dict(self.columns), **{name: said for name, said in more.items() if said}}


def layout_of(columns_map: Mapping[str, str] | None) -> Layout:
    """The layout that a mapping of columns is."""
    if isinstance(columns_map, Layout):
        return columns_map
    return Layout(columns=dict(columns_map or {}))
