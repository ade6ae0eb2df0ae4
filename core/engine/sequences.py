"""Sequences: what is asked of the engine, and what it has written so far."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from core.engine.sampling import Greedy, Sampling

Finish = Literal["stop", "length", "cancelled"]
"""Why an answer ended: it was complete, it met its limit, or nobody wanted it any more."""

Allowed = Callable[[list[int]], Sequence[int]]
"""The tokens that may follow what a row has written so far."""

Told = Callable[["Handle"], None]
"""Called by the engine's thread after every change; it must return at once."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One row: a prompt and what is wanted after it. Exactly one of three things is done:

    `label_tokens` are ranked (a closed answer); `targets` are weighed; else an answer is written.
    """

    prompt: tuple[int, ...]
    adapter: str | None = None
    """The name of a loaded adapter; None is the bare backbone."""
    max_new_tokens: int = 1
    sampling: Sampling = field(default_factory=Greedy)
    allowed: Allowed | None = None
    stop: tuple[str, ...] = ()
    """Texts that end the answer; the tokens that spell them are written still."""
    logprobs: int | None = None
    """With a number, each token comes with its log-probability and so many alternatives."""
    label_tokens: tuple[int, ...] = ()
    targets: tuple[int, ...] = ()


@dataclass(frozen=True)
class TokenLogprob:
    """Natural logarithm of the model's probability of a token, before sampling changes it."""

    token: int
    logprob: float
    top: tuple[tuple[int, float], ...] = ()
    """The likeliest tokens at this place, likeliest first."""


@dataclass(frozen=True, kw_only=True)
class Written:
    """What a row holds after a step; `finish` is None while it goes on."""

    ids: tuple[int, ...] = ()
    finish: Finish | None = None
    prompt_tokens: int = 0
    cached_tokens: int = 0
    """Of the prompt, those that the prefix cache held."""
    completion_tokens: int = 0
    """Tokens that were computed, end-of-text included."""
    logprobs: tuple[TokenLogprob, ...] = ()
    probabilities: tuple[float, ...] = ()
    """Of the label tokens, summing to 1."""
    nats: float = 0.0
    """Negative log-likelihood of the targets."""


@dataclass
class Answer:
    """What the engine's thread fills in, between `Handle.update` and the next."""

    ids: list[int] = field(default_factory=list)
    logprobs: list[TokenLogprob] = field(default_factory=list)
    computed: int = 0
    cached: int = 0
    probabilities: tuple[float, ...] = ()
    nats: float = 0.0
    finish: Finish | None = None
    error: BaseException | None = None


class Handle:
    """A request on its way: iterate for every token, or ask for the `result`.

    Times are those of `time.monotonic`, None while they lie ahead.
    """

    def __init__(self, request: Request, told: Told | None = None, owner: object = None) -> None:
        self.request = request
        self.owner = owner
        """What must live as long as somebody waits: the engine."""
        self.cancelled = False
        """Whether somebody asked for it to end; it does so at the next step."""
        self.submitted = time.monotonic()
        self.first_token: float | None = None
        self.finished: float | None = None
        self._told = told
        self._answer = Answer()
        self._changed = threading.Condition()

    @property
    def done(self) -> bool:
        """Whether nothing more will come."""
        return self.finished is not None

    def cancel(self) -> None:
        """Take the row out of the batch at the next step; what it has written stays."""
        self.cancelled = True

    def result(self, timeout: float | None = None) -> Written:
        """The whole answer; raises what went wrong, and `TimeoutError` after `timeout` seconds.

        Whoever is interrupted while waiting, by Ctrl-C for instance, cancels the row.
        """
        with self._cancelling(), self._changed:
            if not self._changed.wait_for(lambda: self.done, timeout):
                raise TimeoutError(
                    f"No answer within {timeout} s; the row goes on until cancelled."
                )
            return self._written(len(self._answer.ids))

    def __iter__(self) -> Iterator[Written]:
        """What was written so far, token by token; the last one has a `finish`.

        Whoever stops listening (closes the iterator) cancels the row.
        """
        written = None
        with self._cancelling():
            while written is None or written.finish is None:
                written = self._next(len(written.ids) if written else 0)
                yield written

    def _next(self, seen: int) -> Written:
        with self._changed:
            self._changed.wait_for(lambda: self.done or len(self._answer.ids) > seen)
            return self._written(min(seen + 1, len(self._answer.ids)))

    def update(
        self, *, token: int | None = None, logprob: TokenLogprob | None = None, **changes: Any
    ) -> None:
        """For the engine's thread: one more token, new values of `Answer`; whoever waits is told."""
        with self._changed:
            if token is not None:
                self._answer.ids.append(token)
            if logprob is not None:
                self._answer.logprobs.append(logprob)
            for name, value in changes.items():
                setattr(self._answer, name, value)
            now = time.monotonic()
            if self.first_token is None and self._answer.error is None:
                self.first_token = now
            if self._answer.finish or self._answer.error:
                self.finished = now
            self._changed.notify_all()
        if self._told is not None:
            try:
                self._told(self)
            except Exception:  # the listener's fault, such as a loop that was closed
                logging.getLogger(__name__).exception("Who was told of a token failed.")

    @property
    def latest(self) -> Written:
        """The answer as it is now, without waiting."""
        with self._changed:
            return self._written(len(self._answer.ids))

    def _written(self, tokens: int) -> Written:
        answer, whole = self._answer, tokens == len(self._answer.ids)
        if whole and answer.error is not None:
            raise answer.error
        return Written(
            ids=tuple(answer.ids[:tokens]),
            finish=answer.finish if whole else None,
            prompt_tokens=len(self.request.prompt),
            cached_tokens=answer.cached,
            completion_tokens=answer.computed if whole else tokens,
            logprobs=tuple(answer.logprobs[:tokens]),
            probabilities=answer.probabilities,
            nats=answer.nats,
        )

    @contextmanager
    def _cancelling(self) -> Iterator[None]:
        try:
            yield
        except TimeoutError:
            raise
        except BaseException:
            self.cancel()
            raise
