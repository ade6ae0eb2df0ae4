"""`POST /v1/chat/completions`: a conversation with a task, or with the bare backbone."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from fastapi import APIRouter, Request, Response

from core.application import Application
from core.task import Input
from serving import asking, bare
from serving.answering import Answered, Answering, Row, usage_of
from serving.guard.limits import Limits
from serving.guard.refusals import Refused, error_answers
from serving.openai_routes import replying
from serving.openai_routes.schemas import (
    Chat,
    ChatAsked,
    ChatChoice,
    ChatChunk,
    ChatLogprobs,
    ChatPiece,
    ChosenLogprob,
    Delta,
    Message,
    Said,
    TokenLogprob,
)
from serving.served import Served

_HISTORY = "history"
"""The field of an input that takes the earlier turns of a conversation."""


def router(served: Served, answering: Answering) -> APIRouter:
    """The route."""
    routes = APIRouter(tags=["OpenAI"])

    @routes.post("/v1/chat/completions", responses=error_answers(), response_model=Chat)
    async def chat(asked: ChatAsked, request: Request) -> Chat | Response:
        """Chat with `qa` or the backbone; other tasks read the last message of the user."""
        application = await answering.opened(served.chatting, asked.model)
        reply = _Reply(application, asked, served.fingerprint)
        rows = _rows(application, asked, answering.limits)
        if not asked.stream:
            return reply.whole(await answering.whole(rows, request))
        last = reply.spent if asked.wants_usage else None
        return replying.EventStream(await answering.open(rows, every_token=True), reply.piece, last)

    return routes


def _rows(application: Application[Any], asked: ChatAsked, limits: Limits) -> list[Row]:
    top = (asked.top_logprobs or 0) if asked.logprobs else None
    most = asked.max_tokens if asked.max_completion_tokens is None else asked.max_completion_tokens
    found = _input(application, asked.messages, asked.fields)
    asking.check_characters(application, limits, found)
    return asking.rows(application, [found], asked, limits, max_tokens=most, logprobs=top)


def _input(
    application: Application[Any], messages: Sequence[Message], fields: dict[str, Any]
) -> Input:
    """What the conversation asks of the application."""
    turns = [{"role": message.plain_role, "content": message.text} for message in messages]
    if application.task.input is bare.Chat:
        return application.input(messages=turns, **fields)
    *earlier, last = turns
    if last["role"] != "user":
        raise Refused(400, "The last message must be the user's.", param="messages")
    if _HISTORY in application.task.input.model_fields:
        fields = {_HISTORY: earlier, **fields}
    return application.input(last["content"], **fields)


@dataclass(frozen=True)
class _Reply:
    """What is said to one request."""

    application: Application[Any]
    asked: ChatAsked
    fingerprint: str
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self, answers: list[Answered]) -> Chat:
        """All answers at once."""
        choices = [
            ChatChoice(
                index=answer.index,
                message=Said(content=answer.prediction.text),
                logprobs=self._logprobs(answer),
                finish_reason=answer.finish or "stop",
            )
            for answer in answers
        ]
        return Chat(**self._about, choices=choices, usage=usage_of(answers, self.asked.n))

    def piece(self, more: replying.Grown) -> ChatChunk:
        """What one row adds; its first piece says who speaks."""
        choice = ChatPiece(
            index=more.answer.index,
            delta=Delta(role=None if more.offset else "assistant", content=more.text),
            logprobs=self._logprobs(more.answer, more.start),
            finish_reason=more.answer.finish,
        )
        return ChatChunk(**self._about, choices=[choice])

    def spent(self, answers: list[Answered]) -> ChatChunk:
        """The last piece of a stream that was asked for its usage."""
        return ChatChunk(**self._about, choices=[], usage=usage_of(answers, self.asked.n))

    @property
    def _about(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "created": self.created,
            "model": self.asked.model,
            "system_fingerprint": self.fingerprint,
        }

    def _logprobs(self, answer: Answered, start: int = 0) -> ChatLogprobs | None:
        if not self.asked.logprobs:
            return None
        most = self.asked.top_logprobs or 0
        content = [
            ChosenLogprob(
                **_token(one.token, one.value),
                top_logprobs=[TokenLogprob(**_token(*pair)) for pair in one.top[:most]],
            )
            for one in replying.logprobs(self.application, answer, start)
        ]
        return ChatLogprobs(content=content)


def _token(token: str, value: float) -> dict[str, Any]:
    return {"token": token, "logprob": value, "bytes": list(token.encode())}
