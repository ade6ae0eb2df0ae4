"""The words that mattered, by occlusion: each is left out once, all in one batch.

What the probability of the answer loses without a word is what the word was worth (Zeiler &
Fergus 2014, section 3; Li et al. 2016, arXiv:1612.08220). Long texts are cut into groups of words.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from typing import Any

from core.application import Prediction
from demos import words
from demos.said import html
from demos.task_words import label
from demos.tasks.asking import Asked, without

MOST = 40
"""Pieces that are left out, one forward pass each."""

_PIECE = re.compile(
    r"[^\W\u3400-\u9fff_]+(?:['’\-][^\W\u3400-\u9fff_]+)*|[\u3400-\u9fff]{1,2}|[^\w\s]+"
)
_FAINT = 0.002
"""A change of the probability below this is not coloured."""

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
    places = pieces(text[: len(text) - found.dropped])
    if len(places) < 2:
        return ""
    cut = [without(asked, **{name: text[:start] + text[end:]}).input for start, end in places]
    shares = []
    for one in asked.application.predict(cut, batch_size=len(cut)):
        if asked.turn.stale or asked.turn.stopped:
            return ""
        shares.append(one.probabilities[found.text])
    worth = [found.probabilities[found.text] - share for share in shares]
    return _drawn(text, places, worth, found.text)


def _drawn(text: str, places: Sequence[Place], worth: Sequence[float], answer: str) -> str:
    most = max(map(abs, worth)) or 1.0
    parts, end = [], 0
    for (start, stop), value in zip(places, worth, strict=True):
        parts.append(escape(text[end:start]))
        parts.append(_word(text[start:stop], value, abs(value) / most))
        end = stop
    parts.append(escape(text[end:]))
    if max(map(abs, worth)) < _FAINT:
        how = words.NONE_MATTERED.filled(least=f"{_FAINT:.1%}")
    else:
        how = words.OCCLUSION.filled(answer=label(answer))
    return (
        f'<div class="mattered">{html(words.MATTERED, "p", class_="title")}'
        f"<p>{''.join(parts)}</p>{html(how, 'p', class_='quiet')}</div>"
    )


def _word(text: str, value: float, strength: float) -> str:
    said = f"{value:+.1%}"
    if abs(value) < _FAINT:
        return f'<span title="{said}">{escape(text)}</span>'
    kind = "for" if value > 0 else "against"
    return (
        f'<span class="{kind}" style="--strength:{strength * 70:.0f}%" title="{said}">'
        f"{escape(text)}</span>"
    )
