"""Which rows of a source are scored, and which ones baselines learn from. Loads no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from core.errors import BadSetting, nearest
from core.task import Example, In, Task
from finetune import data
from finetune.data.examples import Reading, read_examples


def test_split(source: str) -> str:
    """The split to score on: test, else validation; a single file is scored whole."""
    for split in ("test", "validation"):
        if data.has_split(source, split):
            return split
    return "train"


def read_test(
    task: Task[In],
    sources: Sequence[str],
    *,
    columns_map: Mapping[str, str] | None = None,
    limit: int | None = None,
    direction: str = "both",
    split: str | None = None,
    tolerate: float = 0.01,
) -> Reading[In]:
    """The rows to score on; `direction` keeps one part of them ('en-zh' is the part 'en_zh')."""
    found = [
        read_examples(
            task,
            [source],
            split=split or test_split(source),
            columns_map=columns_map,
            limit=limit,
            tolerate=tolerate,
        )
        for source in sources
    ]
    reading = Reading(
        by_row=tuple(row for one in found for row in one.by_row),
        problems=tuple(problem for one in found for problem in one.problems),
        sources=tuple(
            source for source, one in zip(sources, found, strict=True) for _ in one.by_row
        ),
    )
    return reading if direction == "both" else _part(reading, direction, task)


def _part(reading: Reading[In], direction: str, task: Task[In]) -> Reading[In]:
    part = direction.replace("-", "_")
    parts = sorted({example.part for example in reading.examples if example.part})
    if part not in parts:
        allowed = ", ".join(name.replace("_", "-") for name in parts) or "none"
        raise BadSetting(
            f"{task.title} has no direction {direction!r}; there: {allowed}, both."
            f"{nearest(part, parts)}"
        )
    rows = [tuple(e for e in row if e.part == part) for row in reading.by_row]
    kept = [(row, source) for row, source in zip(rows, reading.sources, strict=True) if row]
    return Reading(
        by_row=tuple(row for row, _ in kept),
        problems=reading.problems,
        sources=tuple(source for _, source in kept),
    )


def training_examples(
    task: Task[In],
    sources: Sequence[str],
    otherwise: str | None,
    columns_map: Mapping[str, str] | None = None,
) -> tuple[Example[In], ...]:
    """What baselines learn from: the train splits of the sources, else the bundled rows."""
    having = [source for source in sources if data.has_split(source, "train")]
    if not having:
        return read_examples(task, [otherwise]).examples if otherwise else ()
    return read_examples(task, having, columns_map=columns_map).examples


def short(source: str) -> str:
    """The last two names of a path: enough to know the data, nothing of the machine."""
    path = Path(source)
    return "/".join(path.parts[-2:]) if path.exists() else source
