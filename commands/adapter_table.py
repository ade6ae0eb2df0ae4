"""The adapters that can be served, with their scores."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from core.adapters import registry
from core.adapters.passport import read_passport
from core.errors import QuintetError


def listed(tasks: Iterable[str]) -> list[dict[str, Any]]:
    """One row an adapter, backbone by backbone, the newest version of each task first.

    One that cannot be served says why as `broken`, and has no score.
    """
    found = []
    for backbone in registry.backbones():
        for task in tasks:
            there = _of(task, backbone)
            rows = [_row(name, folder) for name, folder in there]
            served = next((one for one in rows if _can_be_served(one)), None)
            found += [{**one, "served": one is served} for one in rows]
    return found


def _can_be_served(row: dict[str, Any]) -> bool:
    return not row["taken_back"] and "broken" not in row


def _of(task: str, backbone: str) -> list[tuple[str, Path]]:
    versions = registry.versions(task, backbone)
    installed = [(f"{task}@{number}", versions[number]) for number in sorted(versions)[::-1]]
    shipped = registry.shipped(task, backbone)
    return [*installed, *([(f"{task} (shipped)", shipped)] if shipped else [])]


def _row(name: str, folder: Path) -> dict[str, Any]:
    row = {
        "name": name,
        "taken_back": registry.taken_back(folder),
        "folder": str(folder),
    }
    try:
        passport = read_passport(folder)
    except QuintetError as error:
        broken = {"broken": str(error), "rows": 0, "metrics": {}, "data": ""}
        return {**row, "backbone": folder.parent.parent.name, **broken}
    known = passport.model_dump(include={"backbone", "rows", "metrics", "data"})
    return {**row, **known}


def broken(rows: Iterable[dict[str, Any]]) -> list[str]:
    """A line for each that cannot be served."""
    return [f"{row['name']} is broken: {row['broken']}" for row in rows if "broken" in row]


def drawn(rows: Iterable[dict[str, Any]]) -> Table:
    """For a terminal."""
    table = Table("adapter", "served", "backbone", "score", "examples", "data")
    for row in rows:
        score = "\n".join(f"{name} {value:.3f}" for name, value in list(row["metrics"].items())[:3])
        cells = (
            row["name"],
            _state(row),
            row["backbone"],
            score,
            f"{row['rows']:,}",
            _short(row["data"]),
        )
        table.add_row(*map(escape, cells))
    return table


def _state(row: dict[str, Any]) -> str:
    if "broken" in row:
        return "broken"
    return "yes" if row["served"] else "taken back" if row["taken_back"] else ""


def _short(data: str) -> str:
    """The first source, and how many more there are."""
    first, *others = data.split(", ")
    return f"{first}\n+ {len(others)} more" if others else first
