"""One piece of feedback: a prompt, a completion, and whether that completion is right."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from core.errors import BadInput, QuintetError
from core.task import Choice, Example, Input, Row, Task

HELD_OUT = 5
"""One input of so many is kept from training: promotion is decided on those."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A row of the database; `prompt`, `completion`, `label` are what preference trainers read."""

    task: str
    prompt: str
    completion: str
    label: bool
    """Whether the completion is right."""
    input: Mapping[str, Any] = field(default_factory=dict)
    """The fields that the prompt was written from."""
    backbone: str = ""
    adapter: str = ""
    """The version that gave the answer, such as 'spam@2'."""
    time: str = ""
    """When it was said, in UTC."""
    id: int = 0
    """The number that the database gave it; 0 before that."""

    @property
    def held_out(self) -> bool:
        """Whether it is kept from training; equal inputs are always on the same side."""
        content = json.dumps([self.task, self.input], sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(content.encode()).digest()[0] % HELD_OUT == 0


def entries_of(
    task: Task[Any],
    asked: Input,
    answer: str,
    *,
    right: bool,
    correction: str = "",
    backbone: str = "",
    adapter: str = "",
) -> list[Entry]:
    """The rows of one thumb: the answer with its label, and a correction as a right completion.

    Raises `BadInput` for a correction that the task could not learn.
    """
    better = correction.strip()
    if better and better != answer:
        right = False
        check(task, asked, better)
    said = {answer: right} | ({better: True} if better else {})
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return [
        Entry(
            task=task.name,
            prompt=task.prompt(asked),
            completion=completion,
            label=label,
            input=asked.model_dump(mode="json"),
            backbone=backbone,
            adapter=adapter,
            time=now,
        )
        for completion, label in said.items()
    ]


def check(task: Task[Any], asked: Input, completion: str) -> None:
    """Raise `BadInput` unless `completion` is an answer that the task can learn for this input."""
    if isinstance(task.answer, Choice) and completion not in task.answer.labels:
        labels = ", ".join(task.answer.labels)
        raise BadInput(f"{completion!r} is no label of {task.title.lower()}; labels: {labels}.")
    try:
        found = list(task.read(row_of(task, asked, completion)))
    except QuintetError as error:
        raise BadInput(f"{completion[:80]!r} cannot be learned: {error}") from error
    if not any(isinstance(one, Example) for one in found):
        raise BadInput(f"{completion[:80]!r} cannot be learned as an answer to this input.")


def row_of(task: Task[Any], asked: Input, completion: str) -> Row:
    """The row that `task.read` makes this example of.

    A task without `write` has one column that no field of its input is named like: the answer's.
    """
    if task.write is not None:
        return task.write(asked, completion)
    fields = asked.model_dump(mode="json")
    for columns in task.columns:
        free = [name for name in columns if name not in fields]
        if len(free) == 1:
            return {**fields, free[0]: completion}
    raise BadInput(f"{task.title} does not say how its rows are written. Give it a `write`.")


def input_of(task: Task[Any], entry: Entry) -> Input | None:
    """The input that an entry was about; None where the task takes other fields today."""
    try:
        return task.input.model_validate(dict(entry.input))
    except ValidationError:
        return None
