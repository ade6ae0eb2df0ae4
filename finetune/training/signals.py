"""Ctrl-C and SIGTERM, noted instead of obeyed at once, so that what was done is saved."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from finetune.training import processes


@contextmanager
def stop_signals() -> Iterator[Callable[[], bool]]:
    """Ctrl-C and SIGTERM end the run after the step in hand; a second one ends it at once.

    Not so among several processes: a launcher sends each of them SIGTERM after the SIGINT of the terminal.
    """
    seen: list[int] = []

    def note(number: int, frame: Any) -> None:
        if seen and not processes.several():
            raise KeyboardInterrupt
        seen.append(number)

    try:
        before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not in the main thread: signals are somebody else's
        yield lambda: False
        return
    try:
        yield lambda: bool(seen)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
