"""What a person says about labels (`--labels 1,2=negative 3=skip`), and stars told from indices."""

from __future__ import annotations

import re
from typing import Any

from core.errors import BadData, BadSetting, nearest
from core.task import Choice, Row, Skip, Task
from finetune.data import Layout

_COLUMN = "label"
_STARS = re.compile(r"star|rating|score|grade|评分|星级|打分", re.IGNORECASE)


class Labels:
    """The cells of one source's label column: translated, and looked at as a whole."""

    def __init__(self, task: Task[Any], layout: Layout) -> None:
        answer = task.answer
        self._labels = answer.labels if isinstance(answer, Choice) else ()
        self._theirs = layout.columns.get(_COLUMN, _COLUMN)
        self._said = {_key(cell): label for cell, label in layout.labels.items()}
        self._numbers: set[int] = set()
        if layout.labels and not self._labels:
            raise BadSetting(f"--labels is for tasks with labels; {task.title} has none.")
        for label in layout.labels.values():
            if label is not None and label not in self._labels:
                raise BadSetting(
                    f"--labels names {label!r}; allowed: {', '.join(self._labels)} and skip."
                    f"{nearest(label, self._labels)}"
                )

    def said(self, row: Row) -> Row | Skip[Any]:
        """The row with our label in it; `BadData` for a cell that --labels does not name."""
        if not self._labels or _COLUMN not in row:
            return row
        cell = row[_COLUMN]
        if not self._said:
            self._see(cell)
            return row
        if _key(cell) not in self._said:
            named = ", ".join(self._said)
            raise BadData(f"--labels does not say what {str(cell)[:80]!r} is; it names {named}.")
        label = self._said[_key(cell)]
        return Skip(reason=f"label {_key(cell)}") if label is None else {**row, _COLUMN: label}

    def check(self, source: str) -> None:
        """Raise `BadData` where the labels are stars rather than indices."""
        high = max(self._numbers, default=0)
        starred = bool(_STARS.search(self._theirs)) and 0 not in self._numbers
        if not self._numbers or (high < len(self._labels) and not starred):
            return
        raise BadData(
            f"{source}: column {self._theirs!r} holds {_listed(self._numbers)}, which may be stars "
            f"and are no indices of {', '.join(self._labels)}. Say which is which: "
            f"{self._example()}"
        )

    def _see(self, cell: Any) -> None:
        key = _key(cell)
        if not isinstance(cell, bool) and key.isdecimal() and len(key) < 9:
            self._numbers.add(int(key))

    def _example(self) -> str:
        first, last = self._labels[0], self._labels[-1]
        return f"--labels 1,2={first} 4,5={last} 3=skip"


def _listed(numbers: set[int]) -> str:
    shown = ", ".join(map(str, sorted(numbers)[:6]))
    return f"{shown}, …" if len(numbers) > 6 else shown


def _key(cell: Any) -> str:
    """'4' for 4, 4.0, '4' and '4.0'; words in any case."""
    text = str(cell).strip()
    if re.fullmatch(r"\d{1,9}\.0+", text):
        text = text.partition(".")[0]
    return text.casefold()
