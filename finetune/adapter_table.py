"""The adapters that can be served, with their scores."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.markup import escape
from rich.table import Table

from core import store


def listed(tasks: Iterable[str]) -> list[dict[str, Any]]:
    """One row an adapter; the served one of each task comes first."""
    rows = []
    for task in tasks:
        versions = store.installed_versions(task)
        folders = [(f"{task}@{number}", versions[number]) for number in sorted(versions)[::-1]]
        shipped = store.SHIPPED / "adapters" / task
        folders += [(f"{task} (shipped)", shipped)] if shipped.is_dir() else []
        for place, (name, folder) in enumerate(folders):
            passport = store.read_passport(folder)
            rows.append(
                {
                    "name": name,
                    "served": place == 0,
                    "backbone": passport.backbone,
                    "rows": passport.rows,
                    "metrics": passport.metrics,
                    "data": passport.data,
                    "folder": str(folder),
                }
            )
    return rows


def drawn(rows: Iterable[dict[str, Any]]) -> Table:
    """For a terminal."""
    table = Table("adapter", "served", "backbone", "score", "examples", "data")
    for row in rows:
        score = ", ".join(f"{name} {value:.3f}" for name, value in list(row["metrics"].items())[:3])
        served = "yes" if row["served"] else ""
        cells = (row["name"], served, row["backbone"], score, str(row["rows"]), row["data"])
        table.add_row(*map(escape, cells))
    return table
