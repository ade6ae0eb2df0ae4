"""From the rows of the engine to what a client reads: server-sent events, log-probabilities."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastapi.responses import StreamingResponse

from serving.guard.refusals import logged

if TYPE_CHECKING:
    from pydantic import BaseModel
    from starlette.types import Receive, Scope, Send

    from core.application import Application
    from serving.answering import Answered, Rows

_LEAST = 1e-12
"""The smallest share whose logarithm is told."""


@dataclass(frozen=True)
class Grown:
    """What a row says that it had not said before."""

    answer: Answered
    text: str
    start: int
    """The first token that is new."""
    offset: int
    """Characters that were sent before."""


@dataclass(frozen=True)
class LogProb:
    """A token, or a label, and the likeliest in its place."""

    token: str
    value: float
    top: tuple[tuple[str, float], ...]


def logprobs(application: Application[Any], answer: Answered, start: int = 0) -> Iterator[LogProb]:
    """Of the tokens from `start` on; a choice is one token, with all labels in its place."""
    if application.closed:
        shares = answer.prediction.probabilities
        ranked = sorted(shares.items(), key=lambda pair: -pair[1])
        top = tuple((label, math.log(max(share, _LEAST))) for label, share in ranked)
        yield LogProb(answer.prediction.text, dict(top)[answer.prediction.text], top)
        return
    tokenizer = application.engine.backbone.tokenizer
    for found in answer.written.logprobs[start:]:
        top = tuple((_spelled(tokenizer, token), value) for token, value in found.top)
        yield LogProb(_spelled(tokenizer, found.token), found.logprob, top)


def _spelled(tokenizer: Any, token: int) -> str:
    """Its text; for a part of a character, which has none, the vocabulary's own entry."""
    text = str(tokenizer.decode([token]))
    return str(tokenizer.convert_ids_to_tokens(token)) if "\ufffd" in text else text


async def grown(steps: AsyncIterator[Answered]) -> AsyncIterator[Grown]:
    """Every row whenever its text has grown, and at its end; what was sent is never taken back."""
    sent: dict[int, tuple[str, int]] = {}
    async for step in steps:
        before, tokens = sent.get(step.index, ("", 0))
        text = step.prediction.text
        more = text[len(before) :] if text.startswith(before) else ""
        if more or step.finish:
            sent[step.index] = (before + more, len(step.written.ids))
            yield Grown(step, more, tokens, len(before))


class EventStream(StreamingResponse):
    """Server-sent events; the rows end with it, however it ends."""

    def __init__(
        self,
        rows: Rows,
        piece: Callable[[Grown], BaseModel],
        last: Callable[[list[Answered]], BaseModel] | None = None,
    ) -> None:
        pieces = _pieces(rows, piece, last)
        super().__init__(_events(pieces), media_type="text/event-stream")
        self.headers["Cache-Control"] = "no-store"
        self._rows = rows

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._rows.end()


async def _pieces(
    rows: Rows,
    piece: Callable[[Grown], BaseModel],
    last: Callable[[list[Answered]], BaseModel] | None,
) -> AsyncIterator[BaseModel]:
    ends: dict[int, Answered] = {}
    async for more in grown(rows.steps()):
        ends[more.answer.index] = more.answer
        yield piece(more)
    if last:
        yield last([ends[index] for index in sorted(ends)])


async def _events(pieces: AsyncIterator[BaseModel]) -> AsyncIterator[str]:
    try:
        async for piece in pieces:
            yield f"data: {piece.model_dump_json()}\n\n"
    except Exception as error:  # the status is sent already: it is said in the stream
        yield f"data: {json.dumps(logged(error).body)}\n\n"
        return
    yield "data: [DONE]\n\n"
