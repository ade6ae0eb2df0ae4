"""From the body of a request to rows of the engine, within the limits."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from core.application import Application
from core.engine.sampling import Greedy, Sample, Sampling
from core.task import Input
from serving.answering import Row
from serving.guard.limits import Limits
from serving.guard.refusals import Refused
from serving.openai_routes.schemas import Asked


def rows(
    application: Application[Any],
    inputs: Sequence[Input],
    asked: Asked,
    limits: Limits,
    *,
    max_tokens: int | None,
    logprobs: int | None,
) -> list[Row]:
    """`n` rows for each input, those that are drawn with seeds of their own."""
    if asked.n > limits.choices:
        raise Refused(400, f"n is {asked.n}; it must be from 1 to {limits.choices}.", param="n")
    length = checked_length(application, max_tokens, limits)
    seed = drawn_seed(asked.seed)
    return [
        row(
            asked.model, application, one, max_new_tokens=length, stop=asked.stops,
            sampling=sampling(asked.temperature, asked.top_p, seed + choice), logprobs=logprobs,
        )
        for one in inputs
        for choice in range(asked.n)
    ]  # fmt: skip


def row(model: str, application: Application[Any], asked: Input, **options: Any) -> Row:
    """One row of an application."""
    return Row(model=model, submit=lambda told: application.submit(asked, **options, told=told))


def checked_input(
    application: Application[Any], limits: Limits, *text: str, **fields: Any
) -> Input:
    """The input of a task, whose prompt is not longer than one may send."""
    asked: Input = application.input(*text, **fields)
    check_characters(application, limits, asked)
    return asked


def check_characters(application: Application[Any], limits: Limits, asked: Input) -> None:
    """`Refused` where the prompt is longer than one may send."""
    if (length := len(application.task.prompt(asked))) > limits.characters:
        raise Refused(
            400, f"A prompt of {length} characters; at most {limits.characters}.",
            code="context_length_exceeded",
        )  # fmt: skip


def checked_length(
    application: Application[Any], max_tokens: int | None, limits: Limits
) -> int | None:
    """`max_tokens`, if so many may be asked for; None is the task's own."""
    most = min(limits.tokens, application.engine.backbone.context // 2)
    if max_tokens is not None and not 1 <= max_tokens <= most:
        raise Refused(
            400, f"max_tokens is {max_tokens}; it must be from 1 to {most}.", param="max_tokens"
        )
    return max_tokens


def drawn_seed(given: int | None) -> int:
    """The seed that was given; without one, every request draws anew."""
    return secrets.randbits(62) if given is None else given


def sampling(temperature: float | None, top_p: float, seed: int) -> Sampling:
    """Greedy without a temperature, or at 0."""
    if not temperature:
        return Greedy()
    return Sample(temperature=max(0.01, temperature), top_p=top_p, seed=seed % 2**63)
