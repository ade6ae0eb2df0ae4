"""The last answer of each browser on a page: what a thumb is about."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from core.task import Input, Task

_MOST = 1000
"""Browsers whose last answer is remembered."""


@dataclass(frozen=True, kw_only=True)
class Given:
    """An answer, to what, and by whom."""

    task: Task[Any]
    input: Input
    answer: str
    adapter: str
    backbone: str


class LastAnswers:
    """By the name of the session; the oldest are forgotten."""

    def __init__(self) -> None:
        self._given: OrderedDict[str, Given] = OrderedDict()
        self._lock = threading.Lock()

    def remember(self, session: str, given: Given) -> None:
        """This is what the session was answered last."""
        with self._lock:
            self._given[session] = given
            self._given.move_to_end(session)
            while len(self._given) > _MOST:
                self._given.popitem(last=False)

    def forget(self, session: str) -> None:
        """It has asked anew."""
        with self._lock:
            self._given.pop(session, None)

    def of(self, session: str) -> Given | None:
        """What it was answered, if its answer is whole."""
        with self._lock:
            return self._given.get(session)
