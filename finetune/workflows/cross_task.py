"""`quintet evaluate --matrix`: the base and every adapter on every task, to catch wrong routing."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table
from scipy.stats import wilcoxon

from core.application import Application
from core.errors import QuintetError
from core.service import Service
from core.task import Example, Task
from finetune.evaluation.metrics.counts import count
from finetune.evaluation.metrics.deciding import deciding, deciding_metric
from finetune.evaluation.scoring import answer

BASE = "base"
_LEVEL = 0.05


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One adapter on one task."""

    adapter: str
    task: str
    metric: str
    value: float | None
    """None where these rows give the metric no value, as rows of one label do."""
    bits_per_byte: float
    """What the right answers cost."""
    rows: int
    nats: tuple[float, ...] = ()
    """Of the right answer of each row."""


@dataclass(frozen=True)
class Matrix:
    """A row a task, a column the base and each adapter."""

    adapters: tuple[str, ...]
    tasks: tuple[str, ...]
    cells: tuple[Cell, ...]
    broken: tuple[str, ...] = ()
    """Why adapters that are installed could not be asked, a line each."""

    def cell(self, adapter: str, task: str) -> Cell:
        """The one of that adapter and task."""
        return next(one for one in self.cells if (one.adapter, one.task) == (adapter, task))

    def suspicions(self) -> list[str]:
        """Tasks whose right answers clearly cost less with another adapter, or with none.

        An adapter makes the answers of its own task likelier than any other does; where it does
        not, the wrong weights answer, or it has learned nothing. Clearly: by Wilcoxon's test of the
        rows in pairs, at 5 % shared by all others (Bonferroni).
        """
        found = []
        for task in self.tasks:
            if task not in self.adapters:
                continue
            costs = {name: self.cell(name, task).bits_per_byte for name in self.adapters}
            best = min(costs, key=lambda name: costs[name])
            if best != task and self._costs_less(best, task):
                found.append(
                    f"{task}: its answers cost {costs[task]:.3f} bits per byte with its own "
                    f"adapter, and {costs[best]:.3f} with {best!r}. Is the right one served?"
                )
        return found

    def _costs_less(self, other: str, task: str) -> bool:
        own, less = self.cell(task, task).nats, self.cell(other, task).nats
        found = wilcoxon(own, less, alternative="greater", zero_method="zsplit")
        return bool(found.pvalue < _LEVEL / (len(self.adapters) - 1))

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "cells": [
                {name: value for name, value in vars(cell).items() if name != "nats"}
                for cell in self.cells
            ],
            "suspicions": self.suspicions(),
            "broken": self.broken,
        }


def measure(
    service: Service,
    examples: Mapping[str, Sequence[Example[Any]]],
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Matrix:
    """Every served adapter on every task, with the task's own prompts and rows."""
    opened, broken = _opened(service, [name for name in examples if service.served(name)])
    names = [BASE, *opened]
    total = len(names) * len(examples)
    cells: list[Cell] = []
    for task, rows in examples.items():
        for name in names:
            progress(len(cells), total)
            application = Application(service.task(task), service.engine, opened.get(name))
            cells.append(_cell(name, application, rows))
    return Matrix(tuple(names), tuple(examples), tuple(cells), tuple(broken))


def _opened(service: Service, names: Sequence[str]) -> tuple[dict[str, str | None], list[str]]:
    """Task → its adapter, loaded; a line for each that could not be."""
    opened, broken = {}, []
    for name in names:
        try:
            opened[name] = service.application(name).adapter
        except QuintetError as error:
            broken.append(f"{name} is not asked: {error}")
    return opened, broken


def _cell(name: str, application: Application[Any], examples: Sequence[Example[Any]]) -> Cell:
    task = application.task
    found = answer(application, examples)
    decides = deciding(task, count(task, examples, found))
    costs = found.likelihoods or tuple(application.log_likelihood(examples))
    bits = sum(one.nats for one in costs) / math.log(2) / sum(one.bytes for one in costs)
    return Cell(
        adapter=name,
        task=task.name,
        metric=task.select_by.metric,
        value=None if decides is None or decides.undefined else decides.of_all(),
        bits_per_byte=bits,
        rows=len(examples),
        nats=tuple(one.nats for one in costs),
    )


def table(matrix: Matrix) -> Table:
    """For a terminal of 80 columns: of each task the deciding value, and below it bits per byte."""
    drawn = Table("task")
    for name in matrix.adapters:
        drawn.add_column(escape(name), overflow="fold")
    for task in matrix.tasks:
        cells = [matrix.cell(name, task) for name in matrix.adapters]
        shown = [f"\n{_said(cell.value)}\n{cell.bits_per_byte:.2f}" for cell in cells]
        head = f"{escape(task)}\n  {cells[0].metric}\n  bits/byte"
        drawn.add_row(head, *shown, end_section=True)
    return drawn


def _said(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3g}"


def draw(matrix: Matrix, image: Path, tasks: Mapping[str, Task[Any]]) -> None:
    """Two heat maps: the deciding value, and bits per byte; each row has its own scale."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2.6 + 1.6 * len(matrix.adapters), 1.2 + 0.75 * len(matrix.tasks)))
    left, right = figure.subplots(1, 2, sharey=True)
    signs = {
        name: 1 if deciding_metric(tasks[name]).higher_is_better else -1 for name in matrix.tasks
    }
    _map(left, matrix, "deciding value", lambda cell: cell.value, signs)
    _map(
        right,
        matrix,
        "bits per byte of the right answers (lower is better)",
        lambda cell: cell.bits_per_byte,
        dict.fromkeys(matrix.tasks, -1),
    )
    left.set_yticks(
        range(len(matrix.tasks)),
        [f"{name}\n{matrix.cell(BASE, name).metric.replace('_', ' ')}" for name in matrix.tasks],
    )
    figure.tight_layout()
    image.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(image, dpi=120)


def _map(
    axes: Any,
    matrix: Matrix,
    title: str,
    value: Callable[[Cell], float | None],
    signs: Mapping[str, int],
) -> None:
    """The better a value of its row, the darker; the number is the value itself, sign and all."""
    for y, task in enumerate(matrix.tasks):
        values = [value(matrix.cell(name, task)) for name in matrix.adapters]
        better = [signs[task] * one for one in values if one is not None]
        low, high = min(better, default=0.0), max(better, default=0.0)
        shades = [
            0.5 if one is None or high == low else (signs[task] * one - low) / (high - low)
            for one in values
        ]
        axes.imshow(
            [shades],
            cmap="Greens",
            vmin=-0.1,
            vmax=1.6,
            extent=(-0.5, len(values) - 0.5, y + 0.5, y - 0.5),
            aspect="auto",
        )
        for x, one in enumerate(values):
            own = matrix.adapters[x] == task
            axes.text(x, y, _said(one), ha="center", va="center", weight="bold" if own else None)
    axes.set(
        xlim=(-0.5, len(matrix.adapters) - 0.5), ylim=(len(matrix.tasks) - 0.5, -0.5), title=title
    )
    axes.set_xticks(range(len(matrix.adapters)), matrix.adapters, rotation=30, ha="right")
