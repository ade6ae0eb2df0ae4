"""`quintet predict TASK --input FILE --output FILE`: a file in, a file out, restartable.

Answers are appended to a hidden file beside the output, block by block. Whoever runs the same
command again goes on there; the output appears when it is whole.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from core import store
from core.application import Application, Prediction
from core.engine.sampling import Sampling
from core.errors import BadColumns, Busy, Stopped
from core.task import Input, Row, Task
from finetune.data import tables
from finetune.data.inputs import Asked, read_asked

_BATCHES = 4
"""Batches of a block: what a crash can cost."""
_PROBLEM = "problem"


@dataclass(frozen=True, kw_only=True)
class _Work:
    """What is asked, and where the answers are kept meanwhile."""

    inputs: list[Input]
    kept: Path
    identity: str
    done: list[dict[str, Any]] = field(default_factory=list)


def predict_file(
    application: Application[Any],
    source: Path,
    output: Path,
    *,
    columns_map: Mapping[str, str] | None = None,
    limit: int | None = None,
    batch_size: int = 16,
    sampling: Sampling | None = None,
    max_new_tokens: int | None = None,
    overwrite: bool = False,
    skip_bad: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> int:
    """Answer every row of `source`; the rows written.

    Raises `BadData`, `BadColumns` or `BadSetting` before the first answer where a row cannot be
    asked or the output could not be written. `skip_bad` leaves answers empty and says why.
    """
    tables.check_output(output, overwrite=overwrite)
    asked = read_asked(
        application,
        source,
        columns_map=columns_map,
        limit=limit,
        max_new_tokens=max_new_tokens,
        skip_bad=skip_bad,
    )
    _check_columns(application.task, source, output, asked, skip_bad)
    inputs = [one for one in asked.inputs if one is not None]
    work = _Work(
        inputs=inputs,
        kept=output.parent / f".{output.name}.partial.jsonl",
        identity=_identity(application, inputs, batch_size, repr(sampling), max_new_tokens),
    )
    with _alone(output):
        _go_on(work, batch_size * _BATCHES)
        try:
            _answer(work, application, batch_size, sampling, max_new_tokens, progress)
        except KeyboardInterrupt as stop:
            said = f"Stopped after {len(work.done)} of {len(inputs)} rows"
            raise Stopped(f"{said}; the same command goes on there.") from stop
        tables.write(output, _whole(application.task, asked, work.done, skip_bad))
        work.kept.unlink()
    return len(asked.rows)


@contextmanager
def _alone(output: Path) -> Iterator[None]:
    """One writer of an output; `Busy` for whoever comes while it is at work."""
    lock = output.parent / f".{output.name}.partial.lock"
    try:
        with FileLock(lock, timeout=0):
            try:
                yield
            finally:
                lock.unlink(missing_ok=True)
    except Timeout as error:
        raise Busy(
            f"Another process writes {output}. Wait for it, or give another --output."
        ) from error


def _identity(application: Application[Any], inputs: list[Input], *settings: Any) -> str:
    """Of everything that changes an answer: weights and operating point, not their names."""
    about: list[Any] = [
        application.task.prompt_hash,
        application.engine.backbone.fingerprint,
        weights_hash(application),
        application.operating_point.model_dump(mode="json"),
        *settings,
        [one.model_dump(mode="json") for one in inputs],
    ]
    return hashlib.sha256(json.dumps(about).encode()).hexdigest()


def weights_hash(application: Application[Any]) -> str:
    """Of the adapter's weights as they are in memory; of nothing for the bare backbone."""
    digest = hashlib.sha256()
    if application.adapter is not None:
        for parameter in application.engine.adapters.parameters(application.adapter):
            digest.update(f"{parameter.dtype}".encode())
            digest.update(parameter.detach().float().cpu().numpy().tobytes())
    return digest.hexdigest()


def _check_columns(
    task: Task[Any], source: Path, output: Path, asked: Asked, skip_bad: bool
) -> None:
    """No column of the file is overwritten, and each can be written."""
    added = {*answer_columns(task), *([_PROBLEM] if skip_bad else [])}
    taken = sorted(added & set(tables.names_of(asked.rows)))
    if taken:
        raise BadColumns(f"{source} has a column {taken[0]!r} already. Rename it first.")
    tables.check_rows(output, asked.rows)


def _whole(task: Task[Any], asked: Asked, done: list[dict[str, Any]], skip_bad: bool) -> list[Row]:
    """Every row with its answer, or with empty cells and the reason."""
    answers = iter(done)
    empty = dict.fromkeys(answer_cells(task, Prediction(text="", probabilities=_no_shares(task))))
    rows: list[Row] = []
    for row, one, problem in zip(asked.rows, asked.inputs, asked.problems, strict=True):
        found = empty if one is None else next(answers)
        rows.append({**row, **found, **({_PROBLEM: problem} if skip_bad else {})})
    return rows


def _no_shares(task: Task[Any]) -> dict[str, float]:
    return dict.fromkeys(getattr(task.answer, "labels", ()), 0.0)


def answer_columns(task: Task[Any]) -> tuple[str, ...]:
    """The columns that an answer may add to a row."""
    shares = (f"probability_{label}" for label in _no_shares(task))
    return ("prediction", "dropped", "abstained", "span_start", "span_end", *shares)


def _go_on(work: _Work, block: int) -> None:
    """Take over what an interrupted run of the same work has answered, but no half block."""
    lines = work.kept.read_bytes().split(b"\n")[:-1] if work.kept.is_file() else []
    if lines and _parsed(lines[0]) == {"identity": work.identity}:
        whole = (len(lines) - 1) // block * block
        work.done.extend(json.loads(line) for line in lines[1 : whole + 1])
    head = [{"identity": work.identity}, *work.done]
    store.write_text(work.kept, "".join(f"{json.dumps(line)}\n" for line in head))


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


def _answer(
    work: _Work,
    application: Application[Any],
    batch_size: int,
    sampling: Sampling | None,
    max_new_tokens: int | None,
    progress: Callable[[int, int], None],
) -> None:
    """Blocks of fixed rows, so that a resumed run makes the same batches."""
    size = batch_size * _BATCHES
    with work.kept.open("a", encoding="utf-8") as file:
        for start in range(len(work.done), len(work.inputs), size):
            progress(start, len(work.inputs))
            found = application.predict(
                work.inputs[start : start + size],
                batch_size=batch_size,
                sampling=sampling,
                max_new_tokens=max_new_tokens,
            )
            block = [answer_cells(application.task, prediction) for prediction in found]
            file.write("".join(f"{json.dumps(cells)}\n" for cells in block))
            file.flush()
            work.done.extend(block)
    progress(len(work.inputs), len(work.inputs))


def answer_cells(task: Task[Any], found: Prediction) -> dict[str, Any]:
    """What a prediction adds to its row."""
    start, end = found.span or (None, None)
    spans = {"span_start": start, "span_end": end} if hasattr(task.answer, "passage") else {}
    shares = {f"probability_{label}": share for label, share in found.probabilities.items()}
    unsure = {"abstained": found.abstained} if shares else {}
    return {"prediction": found.text, **shares, **spans, "dropped": found.dropped, **unsure}
