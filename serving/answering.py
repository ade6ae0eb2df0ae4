"""The asynchronous front of the engine: the rows of a request, bounded in time, ended with its client."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pydantic import BaseModel

from core.application import Application
from core.engine.sequences import Handle, Told, Written
from core.prediction import Pending, Prediction
from serving.guard.limits import Limits
from serving.guard.refusals import Refused
from serving.metrics import Metrics

if TYPE_CHECKING:
    from fastapi import Request

Result = TypeVar("Result")
FinishReason = Literal["stop", "length"]


class Usage(BaseModel):
    """Tokens that were read and written."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row to be answered; `submit` encodes it and hands it to the engine."""

    model: str
    submit: Callable[[Told], Pending]


@dataclass(frozen=True, kw_only=True)
class Answered:
    """A row as it stands: what the task makes of it, and what the engine wrote."""

    index: int
    pending: Pending
    written: Written

    @property
    def prediction(self) -> Prediction:
        """What the task makes of it."""
        return self.pending.read(self.written)

    @property
    def finish(self) -> FinishReason | None:
        """Why it ended; None while it goes on. `Refused` where the server ended it."""
        if self.written.finish == "cancelled":
            raise Refused(503, "The server ended this answer. Ask again.", retry_after=1)
        return self.written.finish


class Rows:
    """The rows of one request, from their submission to their end, whoever brings it about."""

    def __init__(
        self, asked: Sequence[Row], limits: Limits, metrics: Metrics, *, every_token: bool
    ) -> None:
        self._asked = asked
        self._metrics = metrics
        self._seconds = limits.seconds
        self._every_token = every_token
        self._pending: list[Pending] = []
        self._lock = threading.Lock()
        self._ended = self._expired = False
        self._started = time.monotonic()
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._timer = self._loop.call_later(limits.seconds, self._expire)

    def submit(self) -> None:
        """Hand every row to the engine. Runs in another thread, and stops once they have ended."""
        for row in self._asked:
            with self._lock:
                if self._ended:
                    return
                self._pending.append(row.submit(self._tell))
                self._metrics.admitted.labels(row.model).inc()

    async def steps(self) -> AsyncIterator[Answered]:
        """Each row whenever it has changed, the last time with its `finish`."""
        going = dict(enumerate(self._pending))
        lengths = dict.fromkeys(going, -1)
        while going:
            await self._changed.wait()
            self._changed.clear()
            for index, pending in tuple(going.items()):
                done = pending.handle.done
                written = pending.handle.latest
                if done:
                    del going[index]
                if done or len(written.ids) > lengths[index]:
                    lengths[index] = len(written.ids)
                    self._check_time()
                    yield Answered(index=index, pending=pending, written=written)
            self._check_time()

    async def whole(self) -> list[Answered]:
        """Every row at its end, in the order they were asked."""
        last = {step.index: step async for step in self.steps()}
        return [last[index] for index in range(len(self._asked))]

    def end(self) -> None:
        """Take what still runs out of the batch, and count what was done."""
        with self._lock:
            if self._ended:
                return
            self._ended = True
        self._timer.cancel()
        for row, pending in zip(self._asked, self._pending, strict=False):
            pending.cancel()
            self._count(row.model, pending.handle)

    def _check_time(self) -> None:
        if self._expired:
            raise Refused(504, f"No whole answer within {self._seconds:g} s. Ask for less.")

    def _expire(self) -> None:
        self._expired = True
        self._changed.set()

    def _tell(self, handle: Handle) -> None:
        """Called by the engine's thread."""
        if not self._ended and (self._every_token or handle.done):
            with suppress(RuntimeError):  # the loop was closed meanwhile
                self._loop.call_soon_threadsafe(self._changed.set)

    def _count(self, model: str, handle: Handle) -> None:
        metrics = self._metrics
        metrics.admitted.labels(model).dec()
        try:
            written = handle.latest
        except Exception:  # told to the client by whoever waited for the row
            metrics.rows.labels(model, "error").inc()
            return
        metrics.rows.labels(model, written.finish or "cancelled").inc()
        metrics.tokens.labels(model, "prompt").inc(written.prompt_tokens)
        metrics.tokens.labels(model, "cached").inc(written.cached_tokens)
        metrics.tokens.labels(model, "completion").inc(written.completion_tokens)
        if first := handle.first_token or handle.finished:
            metrics.first_token.labels(model).observe(first - self._started)


class Answering:
    """Opens the rows of requests; one thread encodes them, in the order they came."""

    def __init__(self, limits: Limits, metrics: Metrics) -> None:
        self.limits = limits
        self.metrics = metrics
        # One: the tokenizer keeps settings between calls, which two threads would mix up.
        self._encoding = ThreadPoolExecutor(1, thread_name_prefix="encoding")

    async def opened(self, find: Callable[[str], Application[Any]], model: str) -> Application[Any]:
        """The application of a model, whose adapter may have to be loaded first."""
        return await asyncio.to_thread(find, model)

    async def open(self, asked: Sequence[Row], *, every_token: bool = False) -> Rows:
        """The rows, submitted; whoever opens them ends them."""
        if len(asked) > self.limits.batch:
            raise Refused(400, f"{len(asked)} rows in one request; at most {self.limits.batch}.")
        rows = Rows(asked, self.limits, self.metrics, every_token=every_token)
        try:
            await asyncio.get_running_loop().run_in_executor(self._encoding, rows.submit)
        except BaseException:
            rows.end()
            raise
        return rows

    async def whole(self, asked: Sequence[Row], request: Request | None = None) -> list[Answered]:
        """Every answer; rows of a client that goes away are taken out of the batch."""
        rows = await self.open(asked)
        try:
            work = rows.whole()
            return await (_while_there(request, work) if request else work)
        finally:
            rows.end()

    def close(self) -> None:
        """No more rows."""
        self._encoding.shutdown(wait=False, cancel_futures=True)


async def _while_there(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """The result of the work, which ends when the client goes away."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise Refused(499, "The client went away.")
        return working.result()
    finally:
        working.cancel()
        leaving.cancel()


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def usage_of(answers: Sequence[Answered], choices: int = 1) -> Usage:
    """Tokens of all answers; a prompt that was asked for several counts once, as OpenAI does."""
    read = sum(answer.written.prompt_tokens for answer in answers[::choices])
    written = sum(answer.written.completion_tokens for answer in answers)
    return Usage(prompt_tokens=read, completion_tokens=written, total_tokens=read + written)
