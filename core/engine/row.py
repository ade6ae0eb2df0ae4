"""A row of the batch: a request, what it has written, and why it ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from core.engine.sampling import Greedy, choose, generators
from core.engine.sequences import Finish, Handle, Request, TokenLogprob
from core.errors import Damaged

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

    from core.engine.prefixes import Mark

Chosen = int | Exception
"""The next token of a row, or what went wrong with this row alone."""


@dataclass(eq=False)
class Row:
    """Belongs to the engine's thread, but for its handle."""

    handle: Handle
    key: str | None
    """The adapter it holds."""
    group: str | None
    """None where other adapters may share its forward passes."""
    context: int
    mark: Mark | None = None
    """By which the prefix cache knows what it has read; None where it keeps nothing."""
    read: int = 0
    """Tokens of the prompt that the prefix cache gave."""
    ids: list[int] = field(default_factory=list)
    nats: float = 0.0
    chance: list[torch.Generator] = field(default_factory=list)

    @property
    def request(self) -> Request:
        return self.handle.request

    @property
    def tokens(self) -> tuple[int, ...]:
        """What is read before the first answer."""
        return self.request.prompt + self.request.targets[:-1]

    @property
    def wanted(self) -> int:
        """At so many of the last tokens the logits are looked at."""
        return max(1, len(self.request.targets))

    @property
    def text(self) -> tuple[int, ...]:
        """All it has read and written."""
        return (*self.tokens, *self.ids)

    @property
    def writes(self) -> bool:
        """Whether it goes on after its prompt was read."""
        return not self.request.label_tokens and not self.request.targets

    @property
    def room(self) -> int:
        """Tokens it may write."""
        return min(self.request.max_new_tokens, self.context - len(self.request.prompt))

    @property
    def reserve(self) -> int:
        """Tokens whose keys and values it may come to hold."""
        return len(self.request.prompt) + self.room

    def begin(self, device: torch.device) -> None:
        """Its own source of chance, so that it draws as it would alone."""
        self.chance = generators(self.request.sampling, 1, device)

    def rank(self, logits: Tensor) -> tuple[float, ...]:
        """Probabilities of the label tokens as next token, from logits (vocabulary,)."""
        return tuple(torch.softmax(logits[list(self.request.label_tokens)], -1).tolist())

    def weigh(self, logits: Tensor, first: int) -> None:
        """Add the cost of the targets from `first` on, from logits (targets, vocabulary)."""
        targets = torch.tensor(self.request.targets[first : first + len(logits)])
        costs = torch.nn.functional.cross_entropy(
            logits, targets.to(logits.device), reduction="none"
        )
        self.nats += float(costs.double().sum())

    def take(self, token: int, ends: frozenset[int], tokenizer: Any) -> Finish | None:
        """Write the token unless it is an end; why the row ends now, if it does."""
        if token in ends:
            return "stop"
        self.ids.append(token)
        if self.request.stop and _stopped(self.ids, self.request.stop, tokenizer):
            return "stop"
        return "length" if len(self.ids) >= self.room else None


def _stopped(
    ids: Sequence[int], stops: tuple[str, ...], tokenizer: PreTrainedTokenizerBase
) -> bool:
    """Whether one of the texts ends within the last token."""
    longest = max(len(stop.encode("utf-8")) for stop in stops)
    text = str(tokenizer.decode(list(ids[-longest - 4 :]), clean_up_tokenization_spaces=False))
    return any(stop in text for stop in stops)


def check(logits: Tensor) -> None:
    """`Damaged` where a value is not a number."""
    if bool(torch.isnan(logits).any()):
        raise Damaged(
            "The model gives values that are not numbers: its weights are damaged. "
            "Load the backbone and the adapter again, or train anew."
        )


def next_tokens(rows: Sequence[Row], logits: Tensor) -> list[Chosen]:
    """The next token of each row from logits (rows, vocabulary); an error of one stays with it."""
    best = logits.max(-1)
    likeliest: list[int] = best.indices.tolist()
    found: list[Chosen] = [*likeliest]
    for place, (row, value) in enumerate(zip(rows, best.values.tolist(), strict=True)):
        try:
            if value != value:
                check(logits[place])
            found[place] = _next(row, logits[place], likeliest[place])
        except Exception as error:
            found[place] = error
    return found


def _next(row: Row, logits: Tensor, best: int) -> int:
    """From logits (vocabulary,), whose likeliest token is `best`."""
    allowed = row.request.allowed(list(row.ids)) if row.request.allowed else None
    if isinstance(row.request.sampling, Greedy):
        return best if allowed is None else _likeliest(logits, allowed)
    seen = [*row.request.prompt, *row.ids]
    return choose(_only(logits, allowed)[None], [seen], row.request.sampling, row.chance)[0]


def _likeliest(logits: Tensor, allowed: Sequence[int]) -> int:
    if len(allowed) == 1:
        return int(allowed[0])
    return int(allowed[int(logits[list(allowed)].argmax())])


def _only(logits: Tensor, allowed: Sequence[int] | None) -> Tensor:
    if allowed is None:
        return logits
    blocked = torch.full_like(logits, float("-inf"))
    blocked[list(allowed)] = logits[list(allowed)]
    return blocked


def logprob(logits: Tensor, token: int, alternatives: int) -> TokenLogprob:
    """Of a token and the likeliest others, from logits (vocabulary,)."""
    every = torch.log_softmax(logits, -1)
    top = every.topk(alternatives)
    pairs = zip(top.indices.tolist(), top.values.tolist(), strict=True)
    return TokenLogprob(token, float(every[token]), tuple(pairs))
