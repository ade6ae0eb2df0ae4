"""What a person watches while long work runs: bars, and plots of what was logged."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    Task,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text

from finetune.training import loop


@contextmanager
def training(console: Console, title: str) -> Iterator[Callable[[loop.Progress], None]]:
    """A bar for the loop: loss, tokens a second, model FLOPs utilization (MFU), time left."""
    columns = (
        TextColumn("{task.description}", table_column=_whole()),
        BarColumn(bar_width=10),
        MofNCompleteColumn(table_column=_whole()),
        _Time(elapsed_when_finished=True, table_column=_whole()),
        TextColumn("{task.fields[says]}", table_column=_what_fits()),
    )
    with Progress(*columns, console=console, transient=False, expand=True) as bar:
        task = bar.add_task(title, total=None, says="")
        yield lambda seen: bar.update(task, completed=seen.step, total=seen.steps, says=_says(seen))


class _Time(TimeRemainingColumn):
    """Time left, and what it took once all is done."""

    def render(self, task: Task) -> Text:
        return super().render(task).append(" in all" if task.finished else " left")


def _whole() -> Column:
    """For what must be read in a narrow terminal: step, time left."""
    return Column(no_wrap=True)


def _what_fits() -> Column:
    """For what is cut first."""
    return Column(ratio=1, no_wrap=True, overflow="ellipsis")


def _says(seen: loop.Progress) -> str:
    metrics = " ".join(f"{name} {value:.3f}" for name, value in list(seen.metrics.items())[:2])
    used = f" MFU {seen.flops_utilization:.0%}" if seen.flops_utilization else ""
    return f"loss {seen.loss:.3f} {seen.tokens_per_second:,.0f} tok/s{used} {metrics}".rstrip()


@contextmanager
def counting(console: Console, title: str) -> Iterator[Callable[[int, int], None]]:
    """A bar for work that is counted: told how many of how many are done."""
    columns = (
        TextColumn("{task.description}", table_column=_what_fits()),
        BarColumn(bar_width=10),
        MofNCompleteColumn(table_column=_whole()),
        TaskProgressColumn(table_column=_whole()),
        TimeRemainingColumn(table_column=_whole()),
        TextColumn("left", table_column=_whole()),
    )
    # Where nobody looks on, rich would leave an empty line of it.
    unseen = not console.is_interactive
    with Progress(*columns, console=console, transient=True, expand=True, disable=unseen) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def plot_log(log: Path, image: Path) -> None:
    """Draw training loss and every validated value of a `log.jsonl` over the steps."""
    from matplotlib.figure import Figure

    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    skip = ("step", "tokens", "loss", "grad_norm", "learning_rate", "tokens_per_second", "progress")
    curves = {"training loss": _curve(lines, "loss")}
    for name in dict.fromkeys(key for line in lines for key in line if key not in skip):
        curves[name.replace("_", " ")] = _curve(lines, name)
    figure = Figure(figsize=(3.4 * min(len(curves), 3), 2.6 * -(-len(curves) // 3)), dpi=110)
    axes = figure.subplots(-(-len(curves) // 3), min(len(curves), 3), squeeze=False).flatten()
    for place, (name, points) in zip(axes, curves.items(), strict=False):
        place.plot(*zip(*points, strict=True), marker="." if len(points) < 30 else "")
        place.set(title=name, xlabel="step")
        place.grid(alpha=0.3)
    for place in axes[len(curves) :]:
        place.set_visible(False)
    figure.tight_layout()
    figure.savefig(image)


def _curve(lines: list[dict[str, float]], name: str) -> list[tuple[float, float]]:
    return [(line["step"], line[name]) for line in lines if name in line]
