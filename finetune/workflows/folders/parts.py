"""One file of a folder: read, answered and written block by block, and gone on with after a crash."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from core.application import Application
from core.engine.sampling import Sampling
from core.errors import BadColumns, BadData
from core.task import Input, Row
from finetune.data.inputs import each_asked
from finetune.workflows.batch_prediction import answer_cells, answer_columns

_BATCHES = 16
"""Batches of a block: so many rows are held at a time, and a crash costs no more."""
PROBLEM = "problem"


@dataclass(frozen=True, kw_only=True)
class Part:
    """A file of the folder, and where its answers go."""

    source: Path
    output: Path


@dataclass(frozen=True, kw_only=True)
class Options:
    """How every part is answered."""

    columns_map: Mapping[str, str] | None = None
    batch_size: int = 16
    sampling: Sampling | None = None
    max_new_tokens: int | None = None
    skip_bad: bool = False


def answer(
    application: Application[Any],
    part: Part,
    options: Options,
    progress: Callable[[int], None] = lambda rows: None,
) -> None:
    """Answer what is not answered yet; the output appears when it is whole.

    Raises `BadData` at the first row that cannot be asked, unless `skip_bad` keeps it with the
    reason. What was answered before stays, and the same call goes on there.
    """
    kept = part.output.with_name(f".{part.output.name}.partial")
    part.output.parent.mkdir(parents=True, exist_ok=True)
    # A second writer, such as an actor that was given up too early, waits and finds the work done.
    with FileLock(kept.with_suffix(".lock")):
        if part.output.is_file():
            return
        done = _whole_lines(kept)
        with kept.open("a", encoding="utf-8") as file:
            for block in _blocks(application, part.source, options, done):
                lines = _answered(application, part.source, block, options)
                file.write("".join(f"{line}\n" for line in lines))
                file.flush()
                progress(len(block))
            os.fsync(file.fileno())
        os.replace(kept, part.output)
    kept.with_suffix(".lock").unlink(missing_ok=True)


Asked = tuple[Row, Input | None, str]


def _blocks(
    application: Application[Any], source: Path, options: Options, done: int
) -> Iterator[list[Asked]]:
    """The rows after the first `done`, so many at a time."""
    rows = each_asked(
        application,
        source,
        columns_map=options.columns_map,
        max_new_tokens=options.max_new_tokens,
    )
    rest = itertools.islice(rows, done, None)
    while block := list(itertools.islice(rest, options.batch_size * _BATCHES)):
        yield block


def _answered(
    application: Application[Any], source: Path, block: list[Asked], options: Options
) -> Iterator[str]:
    """A line of JSON for each row, whatever it asks."""
    task = application.task
    taken = {*answer_columns(task), PROBLEM}
    for row, asked, problem in block:
        if double := sorted(taken & set(row)):
            raise BadColumns(f"{source} has a column {double[0]!r} already. Rename it first.")
        if asked is None and not options.skip_bad:
            raise BadData(f"{problem}. Mend it, or leave its answer empty with --skip-bad.")
    found = application.predict(
        [asked for _, asked, _ in block if asked is not None],
        batch_size=options.batch_size,
        sampling=options.sampling,
        max_new_tokens=options.max_new_tokens,
    )
    for row, asked, problem in block:
        cells = answer_cells(task, next(found)) if asked is not None else {PROBLEM: problem}
        yield json.dumps({**row, **cells}, ensure_ascii=False, default=str)


def _whole_lines(kept: Path) -> int:
    """The lines of an interrupted run; half a line at the end is cut off."""
    if not kept.is_file():
        return 0
    count = end = 0
    with kept.open("rb+") as file:
        for line in file:
            if not line.endswith(b"\n"):
                break
            count, end = count + 1, end + len(line)
        file.truncate(end)
    return count
