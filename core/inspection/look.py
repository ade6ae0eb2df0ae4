"""A look inside one forward pass of any causal language model, with an adapter or without.

The logit lens (nostalgebraist 2020, lesswrong.com/posts/AcKRB8wDpdaN6v6ru) reads the hidden state after
each layer as if it were the last: through the model's own final norm and head.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from core.engine.prompting import encode_text, first_token
from core.errors import BadInput, BadSetting
from core.inspection.tail import Tail, watched

if TYPE_CHECKING:
    from torch import Tensor

    from core.engine.engine import Engine

MOST_TOKENS = 48
_TOP = 10
_UNSHOWN = "□"
"""Stands for bytes that are no whole character."""


@dataclass(frozen=True, kw_only=True)
class Likely:
    """A token that may come next."""

    text: str
    logit: float
    probability: float


@dataclass(frozen=True, kw_only=True)
class Guess:
    """What the lens reads at one place: the likeliest next token, and what the last layer says."""

    text: str
    probability: float
    of_final: float
    """The probability of the token that the whole model finds likeliest here."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """What was seen; the tokens begin with the one that opens every prompt."""

    tokens: tuple[str, ...]
    dropped: int
    """Tokens at the beginning that were left out."""
    layers: tuple[int, ...]
    """Layers that have attention, counted from 1."""
    attention: Tensor
    """(layers, heads, tokens, tokens): how much each token, a row, takes from each one, a column."""
    head_size: int
    next_tokens: tuple[Likely, ...]
    log_normaliser: float
    """ln Σ exp(logit) over the vocabulary: a probability is exp(logit - this)."""
    lens: tuple[tuple[Guess, ...], ...]
    """A row for the embeddings and one after each layer; the last is what the model says."""


def look(engine: Engine, adapter: str | None, text: str, *, most: int = MOST_TOKENS) -> Look:
    """See what the model makes of `text`; of a longer one, of its last `most` tokens."""
    tokenizer = engine.backbone.tokenizer
    ids = [first_token(tokenizer), *encode_text(text, tokenizer)]
    most = min(most, engine.backbone.context)
    if most < 2:
        raise BadInput(f"At least 2 tokens are needed to look at, not {most}.")
    kept = ids if len(ids) <= most else [ids[0], *ids[-(most - 1) :]]
    with engine.exclusive(adapter) as model, _eager(engine.backbone.model):
        output, tail = _forward(model, engine, kept)
        lens = _lens(engine, tail, output)
    found = [(n, one) for n, one in enumerate(output.attentions, 1) if one is not None]
    if not found:
        raise BadSetting(f"{engine.backbone.name} tells no attention weights.")
    logits = output.logits[0, -1].float()
    return Look(
        tokens=tuple(spelled(engine, token) for token in kept),
        dropped=len(ids) - len(kept),
        layers=tuple(number for number, _ in found),
        attention=torch.stack([one[0].float().cpu() for _, one in found]),
        head_size=_head_size(engine),
        next_tokens=_likely(engine, logits),
        log_normaliser=float(torch.logsumexp(logits, -1)),
        lens=lens,
    )


def spelled(engine: Engine, token: int) -> str:
    """A token as text."""
    text = engine.backbone.tokenizer.decode([token], clean_up_tokenization_spaces=False)
    return str(text).replace("\ufffd", _UNSHOWN)


@contextmanager
def _eager(model: Any) -> Iterator[None]:
    """Fused attention never has its weights in memory; plain attention does."""
    before = model.config._attn_implementation
    model.set_attn_implementation("eager")
    try:
        with _unhooked(model):
            yield
    finally:
        model.set_attn_implementation(before)


@contextmanager
def _unhooked(model: Any) -> Iterator[None]:
    """Take away the hooks with which transformers records outputs: it leaves them on every layer.

    A model with hooks answers through slower passes (`llama_step.hooked`).
    """
    modules = list(model.modules())
    before = [set(module._forward_hooks) for module in modules]
    try:
        yield
    finally:
        for module, known in zip(modules, before, strict=True):
            for new in module._forward_hooks.keys() - known:
                del module._forward_hooks[new]
            vars(module).pop("_output_capturing_hooks_installed", None)


def _forward(model: Any, engine: Engine, ids: Sequence[int]) -> tuple[Any, Tail]:
    asked = torch.tensor([list(ids)], device=engine.backbone.device)
    with watched(model, engine.backbone.model) as tail:
        output = model(
            input_ids=asked,
            attention_mask=torch.ones_like(asked),
            use_cache=False,
            output_attentions=True,
            output_hidden_states=True,
        )
    return output, tail()


def _lens(engine: Engine, tail: Tail, output: Any) -> tuple[tuple[Guess, ...], ...]:
    final = output.logits[0].float()
    said = final.argmax(-1)
    states = output.hidden_states[:-1]  # the last one has been through the final norm
    rows = [tail(state[0]) for state in states]
    return tuple(tuple(_guesses(engine, logits, said)) for logits in (*rows, final))


def _guesses(engine: Engine, logits: Tensor, said: Tensor) -> Iterator[Guess]:
    shares = torch.softmax(logits, -1)
    best, tokens = shares.max(-1)
    of_final = shares.gather(-1, said[:, None])[:, 0]
    for share, token, other in zip(best.tolist(), tokens.tolist(), of_final.tolist(), strict=True):
        yield Guess(text=spelled(engine, token), probability=share, of_final=other)


def _likely(engine: Engine, logits: Tensor) -> tuple[Likely, ...]:
    shares, tokens = torch.softmax(logits, -1).topk(min(_TOP, len(logits)))
    return tuple(
        Likely(text=spelled(engine, token), logit=float(logits[token]), probability=share)
        for share, token in zip(shares.tolist(), tokens.tolist(), strict=True)
    )


def _head_size(engine: Engine) -> int:
    found = engine.backbone.model.config.get_text_config()
    own = getattr(found, "head_dim", None)
    return int(own or found.hidden_size // found.num_attention_heads)
