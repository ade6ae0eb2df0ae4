"""Commands that change what is served: adapters promote, adapters rollback."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commands.options import (
    BackboneName,
    ColumnMap,
    Data,
    Device,
    Json,
    Labels,
    TaskName,
    bundled_if_any,
    console,
    dumped,
    mapping,
    name_of_backbone,
    open_service,
    the_task,
)  # fmt: skip

if TYPE_CHECKING:
    from core.feedback.entries import Entry


def promote(
    task: TaskName,
    run: Annotated[Path, typer.Argument(metavar="RUN")],
    data: Data = None,
    column_map: ColumnMap = "",
    labels: Labels = "",
    no_feedback: Annotated[
        bool, typer.Option("--no-feedback", help="Leave out the feedback kept from training.")
    ] = False,
    margin: Annotated[
        float, typer.Option(help="The loss that is allowed, as a share of the metric's range.")
    ] = 0.02,
    min_rows: Annotated[int, typer.Option(min=2, help="Fewer held-out rows decide nothing.")] = 50,
    seed: Annotated[int, typer.Option(help="Of the resampling.")] = 0,
    backbone: BackboneName = None,
    as_json: Json = False,
    device: Device = "auto",
) -> None:
    """Install the adapter of RUN only where a paired test on held-out rows shows no loss.

    The rows are those of --data (default: the bundled test rows) and the fifth of the feedback that is
    kept from training, without rows that either adapter has learned. Promoted is a candidate that is not
    significantly worse and whose 95 % interval of the difference stays above minus the margin.
    """
    from core.adapters.passport import read_passport
    from finetune.workflows import progress, promoting

    found = the_task(task)
    read_passport(run / "adapter" if (run / "adapter").is_dir() else run)
    own = bundled_if_any(task, "test")
    sources = list(data or ([own] if own else []))
    said = [] if no_feedback else _feedback(task)
    reading = promoting.held_out(found, sources, said, mapping(column_map, labels))
    service = open_service(backbone, device)
    with progress.counting(console(stderr=True), f"comparing {task}") as told:
        decision = promoting.decide(
            service,
            task,
            run,
            reading,
            margin=margin,
            least_rows=min_rows,
            seed=seed,
            progress=told,
        )
    decision = promoting.promote(decision, run)
    typer.echo(dumped(asdict(decision)) if as_json else "\n".join(decision.lines()))
    raise typer.Exit(0 if decision.promoted else 1)


def rollback(task: TaskName, backbone: BackboneName = None) -> None:
    """Serve the version before again; the one that is taken back stays on the disk."""
    from core.adapters import registry

    the_task(task)
    taken, now = registry.rollback(task, name_of_backbone(backbone))
    typer.echo(f"taken back: {taken}\nserved: {now}")


def _feedback(task: str) -> list[Entry]:
    from core.feedback.database import Feedback, Query

    return Feedback().entries(Query(task=task))
