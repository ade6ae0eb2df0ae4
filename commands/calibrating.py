"""The command that fits an operating point: calibrate."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from commands.options import (
    AdapterName,
    AnsweringDtype,
    BackboneName,
    ColumnMap,
    Data,
    Device,
    Encoding,
    Json,
    Labels,
    Limit,
    TaskName,
    bundled,
    console,
    dumped,
    mapping,
    open_service,
    the_task,
)  # fmt: skip
from core.errors import BadSetting

if TYPE_CHECKING:
    from rich.table import Table

    from core.adapters.passport import OperatingPoint
    from core.task import Task
    from finetune.data import Layout
    from finetune.data.examples import Reading


def calibrate(
    task: TaskName,
    data: Data = None,
    adapter: AdapterName = None,
    max_false_positive_rate: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help="The share of other rows that may get the label."),
    ] = None,
    label: Annotated[str | None, typer.Option(help="Default: the task's last label.")] = None,
    abstain_below: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Give no answer less probable than this.")
    ] = 0.0,
    column_map: ColumnMap = "",
    labels: Labels = "",
    encoding: Encoding = None,
    limit: Limit = None,
    split: Annotated[str, typer.Option(help="Rows that are not scored elsewhere.")] = "validation",
    backbone: BackboneName = None,
    as_json: Json = False,
    device: Device = "auto",
    dtype: AnsweringDtype = "auto",
) -> None:
    """Fit temperature and threshold on validation rows; every caller of the adapter obeys them."""
    found, sources = the_task(task), list(data or [bundled(task, "train")])
    reading = _to_calibrate(found, sources, split, mapping(column_map, labels, encoding), limit)
    from finetune.workflows import calibrating, progress

    service = open_service(backbone, device, dtype)
    folder = adapter or service.find(task)
    with progress.counting(console(stderr=True), f"calibrating {task}") as told:
        done = calibrating.calibrate(
            service,
            task,
            folder,
            reading.examples,
            label=label,
            max_false_positive_rate=max_false_positive_rate,
            abstain_below=abstain_below,
            progress=told,
        )
    if as_json:
        found_point = done.point.model_dump()
        typer.echo(dumped({"folder": str(done.folder), "operating_point": found_point}))
        return
    console().print(_drawn(done.point))
    for line in done.lines():
        typer.echo(line)


def _drawn(point: OperatingPoint) -> Table:
    """The operating point, a value a row."""
    from rich.markup import escape
    from rich.table import Table

    table = Table("operating point", "value")
    rates = {
        "of other rows, asked for at most": point.max_false_positive_rate,
        "on these rows": point.false_positive_rate,
        "on others like them at most (95 %)": point.false_positive_bound,
    }
    rows = {
        "rows it was fitted on": f"{point.fitted_on:,}",
        "temperature": f"{point.temperature:.3f}",
        f"threshold of {point.label!r}": None
        if point.threshold is None
        else f"{point.threshold:.4f}",
        **{name: None if rate is None else f"{rate:.2%}" for name, rate in rates.items()},
        "no answer below": f"{point.abstain_below:g}" if point.abstain_below else None,
    }
    for name, value in rows.items():
        if value is not None:
            table.add_row(escape(name), value)
    return table


def _to_calibrate(
    task: Task[Any], sources: list[str], split: str, columns: Layout, limit: int | None
) -> Reading[Any]:
    """The rows of a split; a single file is read whole, and what was learned of it is left out."""
    from finetune import data as rows
    from finetune.data.splits import read_test

    if split == "test":
        raise BadSetting("Rows of --split test are scored, so nothing is fitted on them.")
    whole = [one for one in sources if Path(one).is_file()]
    lacking = [one for one in sources if one not in whole and not rows.has_split(one, split)]
    if lacking:
        raise BadSetting(
            f"{', '.join(lacking)} has no split {split!r}. Give a file of rows that were not learned, "
            "or name another with --split."
        )
    found = [
        read_test(
            task,
            [one],
            split="train" if one in whole else split,
            columns_map=columns,
            limit=limit,
        )
        for one in sources
    ]
    return replace(
        found[0],
        by_row=tuple(row for one in found for row in one.by_row),
        sources=tuple(source for one in found for source in one.sources),
    )
