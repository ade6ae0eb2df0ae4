"""Which piece of a passage a question is about: the one that shares most of its words."""

from __future__ import annotations

import re

from finetune.evaluation.baselines.terms import pieces

Place = tuple[int, int]
"""Start and end in the passage, in characters."""

# Between digits or letters, an ASCII mark is a part of a number or a name: 1,820, example.com.
_CLAUSE = re.compile(r"(?:[^.!?;,。！？；，\n]|[.!?;,](?=\w))+")


def best_clause(passage: str, question: str) -> Place | None:
    """Without the marks and spaces around it; of equals, the shortest. None where there is none.

    Words are those of English and single characters of Chinese; each counts once.
    """
    asked = set(_words(question))
    places = [place for place in map(_stripped, _CLAUSE.finditer(passage)) if place[0] < place[1]]
    if not places:
        return None

    def shared(place: Place) -> tuple[int, int]:
        start, end = place
        return len(asked & set(_words(passage[start:end]))), start - end

    return max(places, key=shared)


def _words(text: str) -> list[str]:
    return [piece for piece in pieces(text.lower()) if piece[0].isalnum()]


def _stripped(found: re.Match[str]) -> Place:
    text = found[0]
    start = found.start() + len(text) - len(text.lstrip())
    return start, start + len(text.strip())
