"""The newest request wins: what a page of one browser asked before is cancelled on the server."""

from __future__ import annotations

import threading
from typing import Protocol


class Cancellable(Protocol):
    """An answer on its way, or several."""

    def cancel(self) -> None:
        """End it soon."""


class Turn:
    """One request of one page in one browser, until a newer one begins or it is stopped."""

    def __init__(self) -> None:
        self.stale = False
        """Whether a newer one has begun: nothing of this one is to be shown any more."""
        self.stopped = False
        """Whether somebody pressed Stop: what was written stays."""
        self._running: list[Cancellable] = []
        self._lock = threading.Lock()

    def watch(self, running: Cancellable) -> None:
        """Cancel `running` as soon as this turn is over."""
        with self._lock:
            if not (self.stale or self.stopped):
                self._running.append(running)
                return
        running.cancel()

    def end(self, *, stale: bool) -> None:
        """Cancel what runs for it."""
        with self._lock:
            self.stale, self.stopped = stale or self.stale, not stale or self.stopped
            running, self._running = self._running, []
        for one in running:
            one.cancel()


class Newest:
    """The turns of all browsers on one page, by the name of their session."""

    def __init__(self) -> None:
        self._turns: dict[str, Turn] = {}
        self._lock = threading.Lock()

    def begin(self, session: str) -> Turn:
        """A new turn, the only one of this session from now on."""
        turn = Turn()
        with self._lock:
            earlier, self._turns[session] = self._turns.get(session), turn
        if earlier is not None:
            earlier.end(stale=True)
        return turn

    def stop(self, session: str, *, stale: bool = False) -> None:
        """End the turn of this session, if there is one; `stale`, and show nothing more of it."""
        with self._lock:
            turn = self._turns.get(session)
        if turn is not None:
            turn.end(stale=stale)

    def leave(self, session: str, turn: Turn) -> None:
        """It is over: forget it, and cancel what still runs for it."""
        turn.end(stale=False)
        with self._lock:
            if self._turns.get(session) is turn:
                del self._turns[session]
