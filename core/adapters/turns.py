"""Turns: a step of the engine or a change of the adapters, one at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Turns:
    """Changes come before the next step, so that a busy engine does not keep them waiting."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._owner: int | None = None
        self._changes = 0

    @contextmanager
    def step(self) -> Iterator[None]:
        """The model stays as it is within the block."""
        with self._taken(lambda: self._owner is None and not self._changes):
            yield

    @contextmanager
    def change(self) -> Iterator[None]:
        """No step runs within the block; a change or step of the same thread may hold it already."""
        if self._owner == threading.get_ident():
            yield
            return
        with self._condition:
            self._changes += 1
        try:
            with self._taken(lambda: self._owner is None):
                yield
        finally:
            with self._condition:
                self._changes -= 1
                self._condition.notify_all()

    @contextmanager
    def _taken(self, free: Callable[[], bool]) -> Iterator[None]:
        with self._condition:
            self._condition.wait_for(free)
            self._owner = threading.get_ident()
        try:
            yield
        finally:
            with self._condition:
                self._owner = None
                self._condition.notify_all()
