"""The engine's thread: it alone calls the model, and runs only while there is work or soon may be."""

from __future__ import annotations

import atexit
import threading
import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from core import hardware
from core.engine.batch import Outbox
from core.errors import Closed, Overloaded

if TYPE_CHECKING:
    from core.adapters.lora import AdapterStack
    from core.engine.row import Row
    from core.engine.scheduler import Scheduler

_PAUSE = 2.0
"""Seconds without work after which memory goes back to the system: what comes soon would want it again."""
_started: list[tuple[threading.Thread, weakref.ref[Worker]]] = []


@atexit.register
def _end_all() -> None:
    """No thread may be in torch, or still give memory back, when the interpreter goes down: it aborts."""
    for thread, worker in _started:
        if one := worker():
            one.stop()
        thread.join()


class Worker:
    """Started by the first row; ends with `stop`, which the engine's end calls."""

    def __init__(self, scheduler: Scheduler, adapters: AdapterStack) -> None:
        self.scheduler = scheduler
        self._adapters = adapters
        self._inbox: list[Row] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stopped = False

    @property
    def waiting(self) -> int:
        """Rows whose prompts nobody has begun to read."""
        return len(self._inbox) + len(self.scheduler.waiting)

    def put(self, rows: Sequence[Row], *, wait: bool) -> None:
        """All of the rows at once; where they do not fit, `Overloaded`, or `wait` until they do.

        More rows than the queue holds wait until it is empty.
        """
        most = self.scheduler.limits.queue
        with self._changed:
            if not wait and self.waiting + len(rows) > most:
                raise Overloaded(
                    f"{self.waiting} requests wait already, and {most} may. Try again in a moment."
                )
            self._changed.wait_for(
                lambda: self._stopped or not self.waiting or self.waiting + len(rows) <= most
            )
            if self._stopped:
                raise Closed("The engine was closed. Make a new one.")
            self._inbox += rows
            self._start()
            self._changed.notify_all()

    def stop(self) -> None:
        """Rows on their way fail with `Closed`; the thread ends after the step it is in."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def join(self) -> None:
        """Stop, and wait for the thread."""
        self.stop()
        if self._thread and self._thread is not threading.current_thread():
            self._thread.join()

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="quintet-engine", daemon=True)
            _started[:] = [pair for pair in _started if pair[0].is_alive()]
            self._thread.start()
            _started.append((self._thread, weakref.ref(self)))

    def _run(self) -> None:
        while self._fetch():
            self._step()
        for row in [*self.scheduler.clear(), *self._inbox]:
            self._tell(row, error=Closed("The engine was closed before the answer was complete."))

    def _step(self) -> None:
        """In a function of its own: what waits for work must hold no row, and so no engine."""
        outbox = Outbox()
        try:
            self.scheduler.step(outbox)
        except BaseException as error:  # a fault of ours must not leave anybody waiting
            for row in self.scheduler.clear():
                outbox.say(row, error=error)
        for row, changes in outbox.sent:
            self._tell(row, **changes)

    def _fetch(self) -> bool:
        """Wait for work and take it; False once it is time to end."""
        with self._changed:
            idle = not self._changed.wait_for(self._due, _PAUSE)
        if idle:
            hardware.return_memory()
        with self._changed:
            self._changed.wait_for(self._due)
            self.scheduler.waiting += self._inbox
            self._inbox = []
            self._changed.notify_all()
            return not self._stopped

    def _due(self) -> bool:
        return self._stopped or bool(self._inbox) or self._busy

    @property
    def _busy(self) -> bool:
        return next(self.scheduler.rows, None) is not None

    def _tell(self, row: Row, **changes: Any) -> None:
        if row.handle.done:
            return
        if "finish" in changes or "error" in changes:
            self._adapters.release(row.key)
        row.handle.update(**changes)
