"""`quintet predict TASK --input FOLDER --output FOLDER`: any number of rows, and a summary."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from commands.options import console
from core.errors import BadSetting

if TYPE_CHECKING:
    from core.application import Application

_ENGINES = ("local", "ray")


def answer_folder(
    opener: Callable[[], Application[Any]],
    source: Path,
    output: Path,
    *,
    engine: str,
    workers: int,
    overwrite: bool,
    limit: int | None,
    **options: Any,
) -> None:
    """Answer the files below `source`, and say where the answers and their summary lie."""
    if engine not in _ENGINES:
        raise BadSetting(f"engine is {engine!r}; it must be {' or '.join(_ENGINES)}.")
    if limit is not None:
        raise BadSetting("--limit is for a single file. Give a folder with fewer files.")
    from finetune.workflows import progress
    from finetune.workflows.folders.parts import Options
    from finetune.workflows.folders.predict_folder import predict_folder

    chosen: Any = engine
    with progress.counting(console(stderr=True), f"files of {source}") as told:
        found = predict_folder(
            opener, source, output, Options(**options), engine=chosen, workers=workers,
            overwrite=overwrite, progress=told,
        )  # fmt: skip
    typer.echo(f"{output}/answers: {found.rows} rows; summed up in {output}/summary.md")
