"""How sure the model was of each token that it wrote, and what it might have written instead."""

from __future__ import annotations

import math
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING

from core.engine.sequences import TokenLogprob, Written
from demos import words
from demos.said import html

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Decode = Callable[[list[int]], str]


def token_view(written: Written, tokenizer: PreTrainedTokenizerBase) -> str:
    """HTML of the answer, token by token: the darker, the surer; each opens its alternatives."""
    if not written.logprobs:
        return ""

    def decode(ids: list[int]) -> str:
        return str(tokenizer.decode(ids))

    drawn = "".join(_token(found, decode) for found in written.logprobs)
    return f'<div class="tokens">{drawn}</div>{html(words.TOKENS_HOW, "p", class_="quiet")}'


def _token(found: TokenLogprob, decode: Decode) -> str:
    share = math.exp(found.logprob)
    rows = "".join(
        f"<span>{_shown(decode([token]))}</span><b>{math.exp(logprob):.1%}</b>"
        for token, logprob in found.top
    )
    return (
        f'<span class="token" tabindex="0" style="--share:{share * 60:.0f}%" '
        f'aria-label="{escape(decode([found.token]))}: {share:.0%}">'
        f"{_shown(decode([found.token]))}"
        f'<span class="instead" role="tooltip">{rows}</span></span>'
    )


def _shown(text: str) -> str:
    """A token with its blanks made visible."""
    return escape(text).replace("\n", "⏎").replace(" ", "&nbsp;") or "∅"
