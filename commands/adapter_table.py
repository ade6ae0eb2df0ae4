"""The adapters that can be served, with their scores."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from core.adapters import registry
from core.adapters.passport import read_passport


def listed(tasks: Iterable[str]) -> list[dict[str, Any]]:
    """One row an adapter, backbone by backbone, the newest version of each task first."""
    found = []
    for backbone in registry.backbones():
        for task in tasks:
            there = _of(task, backbone)
            served = next((f for _, f in there if not registry.taken_back(f)), None)
            found += [_row(name, folder == served, folder) for name, folder in there]
    return found


def _of(task: str, backbone: str) -> list[tuple[str, Path]]:
    versions = registry.versions(task, backbone)
    installed = [(f"{task}@{number}", versions[number]) for number in sorted(versions)[::-1]]
    shipped = registry.shipped(task, backbone)
    return [*installed, *([(f"{task} (shipped)", shipped)] if shipped else [])]


def _row(name: str, served: bool, folder: Path) -> dict[str, Any]:
    passport = read_passport(folder)
    return {
        "name": name,
        "served": served,
        "taken_back": registry.taken_back(folder),
        "backbone": passport.backbone,
        "rows": passport.rows,
        "metrics": passport.metrics,
        "data": passport.data,
        "folder": str(folder),
    }


def drawn(rows: Iterable[dict[str, Any]]) -> Table:
    """For a terminal."""
    table = Table("adapter", "served", "backbone", "score", "examples", "data")
    for row in rows:
        score = "\n".join(f"{name} {value:.3f}" for name, value in list(row["metrics"].items())[:3])
        served = "yes" if row["served"] else "taken back" if row["taken_back"] else ""
        cells = (
            row["name"],
            served,
            row["backbone"],
            score,
            f"{row['rows']:,}",
            _short(row["data"]),
        )
        table.add_row(*map(escape, cells))
    return table


def _short(data: str) -> str:
    """The first source, and how many more there are."""
    first, *others = data.split(", ")
    return f"{first}\n+ {len(others)} more" if others else first
