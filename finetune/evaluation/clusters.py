"""Which examples belong together: drawn one by one they would promise more rows than there are.

References of one prompt, questions on one passage, and all that came from one row, such as the two
directions of a pair, stand and fall together.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from core.task import Example, Span, Task
from finetune.evaluation.metrics.rows import key_of_input

Groups = npt.NDArray[np.int64]


def groups_of(
    task: Task[Any], examples: Sequence[Example[Any]], rows: Sequence[int] = ()
) -> Groups:
    """A number for each example, equal where they belong together; `rows` tells the row of each."""
    first: dict[Hashable, int] = {}
    parents = list(range(len(examples)))

    def root(place: int) -> int:
        while parents[place] != place:
            parents[place] = parents[parents[place]]
            place = parents[place]
        return place

    for place, example in enumerate(examples):
        for key in (*_keys(task, example), *((("row", rows[place]),) if rows else ())):
            parents[root(place)] = root(first.setdefault(key, place))
    roots = [root(place) for place in range(len(examples))]
    return np.unique(np.array(roots, dtype=np.int64), return_inverse=True)[1]


def rows_of(by_row: Sequence[Sequence[Example[Any]]]) -> list[int]:
    """The number of the row that each example came from."""
    return [number for number, row in enumerate(by_row) for _ in row]


def _keys(task: Task[Any], example: Example[Any]) -> Iterator[Hashable]:
    yield ("input", key_of_input(example.input))
    passage = task.answer.passage(example.input) if isinstance(task.answer, Span) else ""
    if passage.strip():
        yield ("passage", passage)
