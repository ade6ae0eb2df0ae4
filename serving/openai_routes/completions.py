"""`POST /v1/completions`: a task asked its text, or a text that the bare backbone continues."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from fastapi import APIRouter, Request, Response

from core.application import Application
from serving import asking
from serving.answering import Answered, Answering, Row, usage_of
from serving.guard.limits import Limits
from serving.guard.refusals import error_answers
from serving.openai_routes import replying
from serving.openai_routes.schemas import (
    Completion,
    CompletionAsked,
    CompletionChoice,
    CompletionLogprobs,
)
from serving.served import Served


def router(served: Served, answering: Answering) -> APIRouter:
    """The route."""
    routes = APIRouter(tags=["OpenAI"])

    @routes.post("/v1/completions", responses=error_answers(), response_model=Completion)
    async def complete(asked: CompletionAsked, request: Request) -> Completion | Response:
        """Ask a task its text (`model`: its name), or let the backbone continue one."""
        application = await answering.opened(served.continuing, asked.model)
        reply = _Reply(application, asked, served.fingerprint)
        rows = _rows(application, asked, answering.limits)
        if not asked.stream:
            return reply.whole(await answering.whole(rows, request))
        last = reply.spent if asked.wants_usage else None
        return replying.EventStream(await answering.open(rows, every_token=True), reply.piece, last)

    return routes


def _rows(application: Application[Any], asked: CompletionAsked, limits: Limits) -> list[Row]:
    prompts = [asked.prompt] if isinstance(asked.prompt, str) else asked.prompt
    inputs = [asking.checked_input(application, limits, text, **asked.fields) for text in prompts]
    return asking.rows(
        application, inputs, asked, limits, max_tokens=asked.max_tokens, logprobs=asked.logprobs
    )


@dataclass(frozen=True)
class _Reply:
    """What is said to one request."""

    application: Application[Any]
    asked: CompletionAsked
    fingerprint: str
    id: str = field(default_factory=lambda: f"cmpl-{uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self, answers: list[Answered]) -> Completion:
        """All answers at once."""
        choices = [
            self._choice(answer, answer.prediction.text, self._logprobs(answer))
            for answer in answers
        ]
        return self._completion(choices, usage=usage_of(answers, self.asked.n))

    def piece(self, more: replying.Grown) -> Completion:
        """What one row adds."""
        found = self._logprobs(more.answer, more.start, more.offset)
        return self._completion([self._choice(more.answer, more.text, found)])

    def spent(self, answers: list[Answered]) -> Completion:
        """The last piece of a stream that was asked for its usage."""
        return self._completion([], usage=usage_of(answers, self.asked.n))

    def _completion(self, choices: list[CompletionChoice], **more: Any) -> Completion:
        return Completion(
            id=self.id, created=self.created, model=self.asked.model, choices=choices,
            system_fingerprint=self.fingerprint, **more,
        )  # fmt: skip

    @staticmethod
    def _choice(
        answer: Answered, text: str, logprobs: CompletionLogprobs | None
    ) -> CompletionChoice:
        return CompletionChoice(
            index=answer.index, text=text, logprobs=logprobs, finish_reason=answer.finish
        )

    def _logprobs(
        self, answer: Answered, start: int = 0, offset: int = 0
    ) -> CompletionLogprobs | None:
        if self.asked.logprobs is None:
            return None
        found = CompletionLogprobs(tokens=[], token_logprobs=[], top_logprobs=[], text_offset=[])
        for one in replying.logprobs(self.application, answer, start):
            found.tokens.append(one.token)
            found.token_logprobs.append(one.value)
            found.top_logprobs.append(dict(one.top[: self.asked.logprobs]))
            found.text_offset.append(offset)
            offset += len(one.token)
        return found
