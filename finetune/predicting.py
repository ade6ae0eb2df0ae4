"""`quintet predict TASK --input FILE --output FILE`: a file in, a file out, restartable.

Answers are appended to a hidden file beside the output, block by block. Whoever runs the same
command again goes on there; the output appears when it is whole.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from core import store
from core.application import Application, Prediction
from core.errors import BadColumns, BadData, BadSetting, Stopped, nearest
from core.sampling import Sampling
from core.task import Input, Row, Task
from finetune.data import Problem, read_rows

_SUFFIXES = ("csv", "tsv", "jsonl", "parquet")
_BATCHES = 4
"""Batches of a block: what a crash can cost."""


@dataclass(frozen=True, kw_only=True)
class _Work:
    """The rows of the file, what they ask, and where their answers are kept meanwhile."""

    rows: list[Row]
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
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> int:
    """Answer every row of `source`; the rows written.

    Raises `BadData` or `BadColumns` before anything is written where a row cannot be asked.
    """
    _check_output(output, overwrite)
    rows, inputs = _read(application.task, source, columns_map, limit)
    about: list[Any] = [application.adapter, application.engine.backbone.fingerprint, batch_size]
    about += [repr(sampling), max_new_tokens, [asked.model_dump(mode="json") for asked in inputs]]
    identity = hashlib.sha256(json.dumps(about).encode()).hexdigest()
    work = _Work(
        rows=rows,
        inputs=inputs,
        kept=output.parent / f".{output.name}.partial.jsonl",
        identity=identity,
    )
    _go_on(work, batch_size * _BATCHES)
    try:
        _answer(work, application, batch_size, sampling, max_new_tokens, progress)
    except KeyboardInterrupt as stop:
        said = (
            f"Stopped after {len(work.done)} of {len(rows)} rows; the same command goes on there."
        )
        raise Stopped(said) from stop
    _write(output, [{**row, **found} for row, found in zip(rows, work.done, strict=True)])
    work.kept.unlink()
    return len(rows)


def _check_output(output: Path, overwrite: bool) -> None:
    if output.suffix[1:] not in _SUFFIXES:
        raise BadSetting(f"{output}: the output must end in {', '.join(_SUFFIXES)}.")
    if output.exists() and not overwrite:
        raise BadSetting(f"{output} exists. Give --overwrite, or another --output.")


def _read(
    task: Task[Any], source: Path, columns_map: Mapping[str, str] | None, limit: int | None
) -> tuple[list[Row], list[Input]]:
    rows: list[Row] = []
    inputs: list[Input] = []
    for found in read_rows(str(source), columns_map=columns_map, limit=limit):
        if isinstance(found, Problem):
            raise BadData(str(found))
        inputs.append(_asked(task, found.row, found.place))
        rows.append(found.row)
    taken = sorted(set(rows[0]) & set(_columns(task)))
    if taken:
        raise BadColumns(f"{source} has a column {taken[0]!r} already. Rename it first.")
    return rows, inputs


def _asked(task: Task[Any], row: Row, place: str) -> Input:
    """From the fields of the input by name; what only a gold row tells is read as in training."""
    fields = task.input.model_fields
    given = {name: row[name] for name in fields if row.get(name) is not None}
    missing = [name for name, about in fields.items() if about.is_required() and name not in given]
    gold = any(all(name in row for name in names) for names in task.columns)
    try:
        if gold and (missing or not given):
            return next(iter(task.read(row))).input
        if missing or not given:
            raise BadColumns(_no_column(next(iter(missing or fields)), row, place))
        named = task.input.model_validate(given)
        return _fuller(task, row, named) if gold else named
    except ValidationError as error:
        first = error.errors()[0]
        raise BadData(f"{place}: {first['loc'][0]!r}: {first['msg']}.") from error
    except BadColumns:
        raise
    except BadData as error:
        raise BadData(f"{place}: {error}") from error


def _fuller(task: Task[Any], row: Row, named: Input) -> Input:
    """The gold reading where it fills a field that the columns do not name, such as a passage."""
    try:
        read: Input = next(iter(task.read(row))).input
    except BadData:  # an unlabelled row can be asked all the same
        return named
    unnamed = set(task.input.model_fields) - named.model_fields_set
    return read if any(getattr(read, n) != getattr(named, n) for n in unnamed) else named


def _no_column(name: str, row: Row, place: str) -> str:
    found = [str(column) for column in row]
    return (
        f"{place}: no column {name!r} among {', '.join(found)}.{nearest(name, found)} "
        f"Rename with --map {name}=COLUMN."
    )


def _columns(task: Task[Any]) -> tuple[str, ...]:
    return ("prediction", "dropped", "abstained", "span_start", "span_end", *_label_columns(task))


def _label_columns(task: Task[Any]) -> list[str]:
    return [f"probability_{label}" for label in getattr(task.answer, "labels", ())]


def _go_on(work: _Work, block: int) -> None:
    """Take over what an interrupted run of the same work has answered, but no half block."""
    lines = work.kept.read_bytes().split(b"\n")[:-1] if work.kept.is_file() else []
    if lines and json.loads(lines[0]) == {"identity": work.identity}:
        whole = (len(lines) - 1) // block * block
        work.done.extend(json.loads(line) for line in lines[1 : whole + 1])
    head = [{"identity": work.identity}, *work.done]
    store.write_text(work.kept, "".join(f"{json.dumps(line)}\n" for line in head))


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
            block = [_cells(application.task, prediction) for prediction in found]
            file.write("".join(f"{json.dumps(cells)}\n" for cells in block))
            file.flush()
            work.done.extend(block)
    progress(len(work.inputs), len(work.inputs))


def _cells(task: Task[Any], found: Prediction) -> dict[str, Any]:
    start, end = found.span or (None, None)
    spans = {"span_start": start, "span_end": end} if hasattr(task.answer, "passage") else {}
    shares = {f"probability_{label}": share for label, share in found.probabilities.items()}
    unsure = {"abstained": found.abstained} if shares else {}
    return {"prediction": found.text, **shares, **spans, "dropped": found.dropped, **unsure}


def _write(output: Path, rows: Sequence[Row]) -> None:
    kind = output.suffix[1:]
    if kind == "parquet":
        _write_parquet(output, rows)
    elif kind == "jsonl":
        lines = (json.dumps(row, ensure_ascii=False, default=str) for row in rows)
        store.write_text(output, "".join(f"{line}\n" for line in lines))
    else:
        store.write_text(output, "".join(_csv(rows, "\t" if kind == "tsv" else ",")))


def _csv(rows: Sequence[Row], delimiter: str) -> Iterator[str]:
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    yield text.getvalue()


def _write_parquet(output: Path, rows: Sequence[Row]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    temporary = output.with_name(f".{output.name}.writing")
    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows]), temporary)
    temporary.replace(output)
