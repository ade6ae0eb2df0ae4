"""The words that mattered, by occlusion: each is left out once, all in one batch.

What the log-odds of the answer lose without a word is what the word was worth (Zeiler & Fergus 2014,
section 3; Li et al. 2016, arXiv:1612.08220): a probability near 1 hardly moves, its log-odds do. Long
texts are cut into groups of words.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from core.application import Prediction
from demos import words
from demos.said import html
from demos.task_words import label
from demos.tasks.asking import Asked, without

MOST, FEWEST = 40, 8
"""Pieces that are left out, one forward pass each."""
_TOKENS = 20_000
"""That all passes read together, about: of a long text fewer pieces are left out, and larger ones."""

_PIECE = re.compile(
    r"[^\W\u3400-\u9fff_]+(?:['’\-][^\W\u3400-\u9fff_]+)*|[\u3400-\u9fff]{1,2}|[^\w\s]+"
)
_FAINT = 0.05
"""A change of the log-odds below this is not coloured: from 50% it leads to 51.2%."""
_SHARE = 0.1
"""Nor is one below this share of the largest."""
_LEAST = 1e-12
"""Below this a probability is rounding."""

Place = tuple[int, int]


def pieces(text: str, most: int = MOST) -> list[Place]:
    """Where each word (two characters of Chinese, a run of marks) stands; at most `most` groups."""
    found = [match.span() for match in _PIECE.finditer(text)]
    size = -(-len(found) // most) if found else 1
    groups = [found[start : start + size] for start in range(0, len(found), size)]
    return [(group[0][0], group[-1][1]) for group in groups]


def mattered(asked: Asked[Any], found: Prediction) -> str:
    """HTML of the text, each word tinted by what it was worth to the answer; empty for one word."""
    name = asked.application.task.shorten
    text = str(getattr(asked.input, name, ""))
    most = max(FEWEST, min(MOST, _TOKENS // max(found.prompt_tokens, 1)))
    places = pieces(text[: len(text) - found.dropped], most)
    if len(places) < 2:
        return ""
    cut = [without(asked, **{name: text[:start] + text[end:]}).input for start, end in places]
    whole, worth = log_odds(found.probabilities, found.text), []
    for one in asked.application.predict(cut, batch_size=len(cut)):
        if asked.turn.stale or asked.turn.stopped:
            return ""
        worth.append(whole - log_odds(one.probabilities, found.text))
    return _drawn(text, places, worth, found.text)


def log_odds(probabilities: Mapping[str, float], name: str) -> float:
    """Of one label against all others together; summed, since 1 - p is 0 long before the others are."""
    others = sum(share for label, share in probabilities.items() if label != name)
    return math.log(max(probabilities[name], _LEAST)) - math.log(max(others, _LEAST))


def _drawn(text: str, places: Sequence[Place], worth: Sequence[float], answer: str) -> str:
    most = max(map(abs, worth))
    parts, end = [], 0
    for (start, stop), value in zip(places, worth, strict=True):
        parts.append(escape(text[end:start]))
        parts.append(_word(text[start:stop], value, abs(value) / max(most, _FAINT)))
        end = stop
    parts.append(escape(text[end:]))
    how = words.NONE_MATTERED if most < _FAINT else words.OCCLUSION.filled(answer=label(answer))
    return (
        f'<div class="mattered">{html(words.MATTERED, "p", class_="title")}'
        f"<p>{''.join(parts)}</p>{html(how, 'p', class_='quiet')}</div>"
    )


def _word(text: str, value: float, strength: float) -> str:
    said = f"{value:+.2f}"
    if abs(value) < _FAINT or strength < _SHARE:
        return f'<span title="{said}">{escape(text)}</span>'
    kind = "for" if value > 0 else "against"
    return (
        f'<span class="{kind}" style="--strength:{strength * 70:.0f}%" title="{said}">'
        f"{escape(text)}</span>"
    )
