"""Predictions: what an application answers, whole or while it is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict

from core.adapters.passport import OperatingPoint
from core.engine.sequences import Finish, Handle, Written


class Prediction(BaseModel):
    """An answer: a label with its probabilities, a written text, or a span of the passage."""

    model_config = ConfigDict(frozen=True)

    text: str
    probabilities: dict[str, float] = {}
    span: tuple[int, int] | None = None
    """The place of the text in the passage, in characters."""
    dropped: int = 0
    """Characters of the input that did not fit into the context."""
    abstained: bool = False
    """Too unsure to be an answer, as the adapter's operating point says; `text` is the best guess."""
    finish_reason: Finish = "stop"
    """'length': cut at its limit; 'cancelled': somebody ended it."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    """Tokens that were computed, end-of-text included."""


@dataclass(frozen=True)
class Likelihood:
    """What an answer cost: negative log-likelihood, tokens with end-of-text, UTF-8 bytes."""

    nats: float
    tokens: int
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Pending:
    """An answer on its way."""

    handle: Handle
    dropped: int
    """Characters of the input that did not fit into the context."""
    read: Callable[[Written], Prediction]
    """What the task makes of the row as it stands."""

    def texts(self) -> Iterator[str]:
        """The text so far, each time it has grown; whoever stops listening cancels the row."""
        shown: str | None = None
        for written in self.handle:
            text = self.read(written).text
            if text != shown:
                yield text
            shown = text

    def result(self, timeout: float | None = None) -> Prediction:
        """The whole answer; raises what went wrong, and `TimeoutError` after `timeout` seconds."""
        return self.read(self.handle.result(timeout))

    def cancel(self) -> None:
        """End it at the next step; what was written stays."""
        self.handle.cancel()


def decide(raw: Mapping[str, float], point: OperatingPoint, **more: Any) -> Prediction:
    """The label that an operating point makes of the raw probabilities of all labels."""
    probabilities = point.scaled(raw)
    rest = [label for label in raw if label != point.label or point.threshold is None]
    text = max(rest, key=lambda label: probabilities[label])
    if point.threshold is not None and probabilities[point.label] >= point.threshold:
        text = point.label
    return Prediction(
        text=text,
        probabilities=probabilities,
        abstained=probabilities[text] < point.abstain_below,
        **more,
    )
