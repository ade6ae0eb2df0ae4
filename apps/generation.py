"""Continues a text, or writes one from a request. `quintet finetune generation`"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from core.labels import text_of
from core.language import language_of
from core.task import Criterion, Example, Input, Row, Source, Task, Text, separator

_OPENING = {"en": 6, "zh": 10}
"""Words and characters at most that are given; the rest is learned."""


class Opening(Input):
    """How a text begins, or what it is to be about."""

    text: str = Field(
        default="", title="Text", description="The beginning of a text; empty starts anew."
    )
    mode: Literal["continue", "complete"] = Field(
        default="continue",
        title="Mode",
        description="continue: write on from the text. complete: write what the text asks for.",
    )


def read(row: Row) -> Iterable[Example[Opening]]:
    if "completion" in row:
        asked = Opening(text=text_of(row, "prompt"), mode="complete")
        return [Example(input=asked, answers=(text_of(row, "completion"),))]
    opening, rest = _split(text_of(row, "text").strip())
    return [Example(input=Opening(text=opening), answers=(rest,), part="text")]


def write(opening: Opening, answer: str) -> Row:
    """The inverse of `read`: a continuation is one text with its opening."""
    if opening.mode == "complete":
        return {"prompt": opening.text, "completion": answer}
    return {"text": f"{opening.text}{separator(opening.text)}{answer}"}


def _split(text: str) -> tuple[str, str]:
    """The opening and the rest; a line break stays with the opening, a space is the separator's."""
    unit = r"\S" if language_of(text) == "zh" else r"\S+"
    ends = [found.end() for found in re.finditer(unit, text)]
    given = min(_OPENING[language_of(text)], len(ends) // 2)
    place = ends[given - 1] if given else 0
    space = len(text[place:]) - len(text[place:].lstrip())
    opening = text[:place] if text[place : place + space] in ("", " ") else text[: place + space]
    return opening, text[place + space :]


def prompt(opening: Opening) -> str:
    return opening.text if opening.mode == "continue" else f"{opening.text}\nText:"


def repeat_the_prompt(opening: Opening) -> str:
    return opening.text


task = Task(
    title="Generation",
    description="Continues a text, or writes one from a request.",
    title_zh="文本生成",
    description_zh="续写一段文本，或按要求写一段文本。",
    input=Opening,
    columns=(("text",), ("prompt", "completion")),
    sources=(
        Source(name="samples", licence="Apache-2.0"),
        Source(name="roneneldan/TinyStories", revision="main", licence="CDLA-Sharing-1.0"),
    ),
    read=read,
    write=write,
    prompt=prompt,
    answer=Text(max_new_tokens=100),
    metrics=("completion", "language_model"),
    select_by=Criterion(metric="bits_per_byte"),
    samples=(
        Opening(text="name: The Blue Door | food: noodles | area: riverside", mode="complete"),
        Opening(
            text="name[The Eagle], eatType[coffee shop], food[Italian], "
            "priceRange[cheap], area[riverside]",
            mode="complete",
        ),
        Opening(text="The Golden Palace is a coffee shop"),
        Opening(text="In the city centre there is a"),
    ),
    trivial=repeat_the_prompt,
)
