"""What two texts share is counted in units: one Han character, or one run of other letters and digits.

Between texts the shingles are pairs of neighbouring units, the text's two ends included: one changed
unit in 20 leaves a Jaccard similarity of 19/23 = 0.83, two changed characters in 30 leave 28/34 =
0.82, and a text of 3 words still has 4. (Longer shingles lose too much to one change: word 3-grams
fall to 0.71, five characters of Chinese to 0.52.) Within documents, where pairs such as "of the" are
everywhere, runs of 3 words or 4 Han characters are counted instead.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from core.language import language_of

_HAN = r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_UNIT = re.compile(rf"[^\W_{_HAN}]+|(?=\w)[{_HAN}]")
_NEITHER = re.compile(r"[\W_]+")
RUN = {"en": 3, "zh": 4}
"""Units of a run that is looked for in documents."""
_LEAST_UNITS = {"en": 8, "zh": 13}
"""Shorter texts are not looked for in documents: "Good morning" is everywhere."""

Run: TypeAlias = tuple[str, ...]


def folded(text: str) -> str:
    """NFKC, lower case."""
    return unicodedata.normalize("NFKC", text).lower()


def normalised(text: str) -> str:
    """NFKC, lower case, letters and digits of any script; nothing else."""
    return _NEITHER.sub("", folded(text))


def units_of(text: str) -> list[str]:
    """Its words and Han characters, in order; joined they are the normalised text."""
    return _UNIT.findall(folded(text))


def spans_of(lower: str) -> list[tuple[int, int]]:
    """Where the units of a folded text stand in it."""
    return [found.span() for found in _UNIT.finditer(lower)]


def pairs_of(units: Sequence[str]) -> list[str]:
    """Neighbours; the first and the last unit have one outside the text."""
    return [f"{one} {following}" for one, following in itertools.pairwise(("", *units, ""))]


def shingles(text: str) -> frozenset[str]:
    """Pairs of neighbouring units, the two ends of the text included."""
    return frozenset(pairs_of(units_of(text)))


def runs_of(units: Sequence[str], size: int) -> Iterator[Run]:
    """Every `size` units that follow one another."""
    return zip(*(units[start:] for start in range(size)), strict=False)


def wanted_runs(text: str) -> Counter[Run]:
    """The runs to look for in documents, and what each is worth; none where the text is too short.

    The first and the last run are worth as many as would reach beyond the text, so that a changed
    word costs the same at the ends as in the middle: "Is there any chance that he'll" is not yet
    "Is there any chance that he'll resign?" (7 of 10).
    """
    units, language = units_of(text), language_of(text)
    if len(units) < _LEAST_UNITS[language]:
        return Counter()
    runs = list(runs_of(units, RUN[language]))
    beyond = [runs[0], runs[-1]] * (RUN[language] - 1)
    return Counter([*set(runs), *beyond])
