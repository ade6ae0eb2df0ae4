"""What is odd about rows that can all be read: a label without rows, languages swapped or not two."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from core.language import language_of
from core.task import Choice, Example, Task
from finetune.data.examples import Reading

_DIRECTION = re.compile(r"(en|zh)_(en|zh)")
_SHOWN = 3


def remarks(task: Task[Any], reading: Reading[Any]) -> list[str]:
    """One line for each oddity, before any work is done."""
    lines = [*reading.notes, *_missing_lines(task, reading), *_swapped_lines(task, reading)]
    if places := untranslated(task, reading):
        lines.append(f"en and zh say the same, letter by letter: {_first(places)}")
    return lines


def swapped(task: Task[Any], reading: Reading[Any]) -> list[str]:
    """The places of the rows whose two languages look exchanged."""
    return _places(reading, lambda one: _is_swapped(task, one))


def untranslated(task: Task[Any], reading: Reading[Any]) -> list[str]:
    """The places of the rows whose two languages hold one text; it may be a name or a number."""
    return _places(
        reading,
        lambda one: bool(_DIRECTION.fullmatch(one.part)) and _asked(task, one) == one.answers[0],
    )


def _places(reading: Reading[Any], odd: Callable[[Example[Any]], bool]) -> list[str]:
    places = reading.places or ("",) * len(reading.by_row)
    rows = zip(places, reading.by_row, strict=True)
    return [place for place, row in rows if any(map(odd, row))]


def _asked(task: Task[Any], example: Example[Any]) -> str:
    return str(getattr(example.input, task.shorten))


def _is_swapped(task: Task[Any], example: Example[Any]) -> bool:
    found = _DIRECTION.fullmatch(example.part)
    if not found:
        return False
    return (language_of(example.answers[0]), language_of(_asked(task, example))) == found.groups()


def _swapped_lines(task: Task[Any], reading: Reading[Any]) -> list[str]:
    places = swapped(task, reading)
    if not places:
        return []
    return [f"en and zh look swapped: {_first(places)}. Exchange them with --map en=zh,zh=en"]


def missing_labels(task: Task[Any], reading: Reading[Any]) -> list[str]:
    """Labels of the task that no row has."""
    if not isinstance(task.answer, Choice) or not reading.by_row:
        return []
    there = {example.answers[0] for example in reading.examples}
    return [label for label in task.answer.labels if label not in there]


def _missing_lines(task: Task[Any], reading: Reading[Any]) -> list[str]:
    return [
        f"no row has the label {label!r}: it cannot be learned from these data"
        for label in missing_labels(task, reading)
    ]


def _first(places: Sequence[str]) -> str:
    more = f" and {len(places) - _SHOWN} more" if len(places) > _SHOWN else ""
    return "; ".join(places[:_SHOWN]) + more
