"""A dictionary learned from pairs of texts, and translation word by word with it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer

from core.language import language_of
from core.task import Language
from finetune.evaluation.baselines.terms import grams, pieces

Pair = tuple[str, str]
"""A text and its translation."""

_MOST_PAIRS = 20_000
_MOST_CELLS = 20_000_000
"""Characters of a text times those of its translation, over the pairs that a table is learned from:
what takes the time. Sentences of 30 characters reach the most pairs first, those of news do not."""

_LONGEST: Mapping[Language, int] = {"en": 1, "zh": 3}
"""Pieces of an entry: an English word, up to three Chinese characters."""

_SEPARATOR: Mapping[Language, str] = {"en": " ", "zh": ""}
_LEAST = 2
"""Times that two entries have stood in one pair; once, a rare word stands beside all others."""

_TIE = 1e-9
"""Worth of a longer translation where it is as close: a part of a word is as close as the word."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """One direction: the language it translates into, and its entries."""

    target: Language
    entries: Mapping[str, str]


@dataclass(frozen=True)
class Dictionary:
    """A table for each language that has been seen as a source."""

    tables: Mapping[Language, Table]

    def translate(self, text: str) -> str:
        """Entry by entry, the longest first; what has none is copied."""
        source = language_of(text)
        if source not in self.tables:
            return text
        table = self.tables[source]
        return _SEPARATOR[table.target].join(_translated(text, _LONGEST[source], table.entries))


def learn(pairs: Sequence[Pair], *, seed: int = 0) -> Dictionary:
    """A source language is translated into the one that most of its translations are in."""
    by_source: dict[Language, list[Pair]] = {}
    for pair in pairs:
        by_source.setdefault(language_of(pair[0]), []).append(pair)
    return Dictionary({source: _table(found, seed) for source, found in by_source.items()})


def _table(pairs: Sequence[Pair], seed: int) -> Table:
    targets = Counter(language_of(target) for _, target in pairs)
    target = max(sorted(targets), key=lambda language: targets[language])
    kept = _some([pair for pair in pairs if language_of(pair[1]) == target], seed)
    return Table(target=target, entries=_entries(kept))


def _some(pairs: list[Pair], seed: int) -> list[Pair]:
    order = random.Random(seed).sample(pairs, min(len(pairs), _MOST_PAIRS))
    ends = np.cumsum([len(source) * len(target) for source, target in order])
    return order[: max(int(np.searchsorted(ends, _MOST_CELLS, side="right")), 1)]


def _entries(pairs: Sequence[Pair]) -> dict[str, str]:
    """Each entry and what is closest to it, unless a part of it is as close to something."""
    closest = _closest(pairs)
    return {
        term: found
        for term, (found, closeness) in closest.items()
        if all(closest.get(part, ("", 0.0))[1] < closeness for part in _parts(term))
    }


def _parts(term: str) -> Iterator[str]:
    """The shorter runs of characters of a Chinese entry; an English word has no parts."""
    found = pieces(term)
    return (part for part in grams(found, len(found) - 1, "") if part != term)


def _closest(pairs: Sequence[Pair]) -> dict[str, tuple[str, float]]:
    """By the coefficient of Dice (1945), 2 |A and B| / (|A| + |B|), over the pairs."""
    sources, left = _counted([source for source, _ in pairs])
    targets, right = _counted([target for _, target in pairs])
    if not sources or not targets:
        return {}
    together = (left.T @ right).tocoo()
    fit = (together.data >= _LEAST) & (
        _words(sources)[together.row] == _words(targets)[together.col]
    )
    rows, columns = together.row[fit], together.col[fit]
    closeness = 2 * together.data[fit] / (_sums(left)[rows] + _sums(right)[columns])
    closeness += _TIE * np.array(list(map(len, targets)))[columns]
    # By entry; of what was found for it the closest comes last, and of equals the first by name.
    order = np.lexsort((-columns, closeness, rows))
    last = order[np.append(rows[order][1:] != rows[order][:-1], True)] if len(order) else order
    found = zip(rows[last].tolist(), columns[last].tolist(), closeness[last].tolist(), strict=True)
    return {sources[row]: (targets[column], close) for row, column, close in found}


def _words(terms: Sequence[str]) -> Any:
    """Which ones are words: a mark translates marks alone."""
    return np.array([term[0].isalnum() for term in terms])


def _counted(texts: Sequence[str]) -> tuple[list[str], Any]:
    """The entries that stand in several of the texts, and the matrix (texts, entries) of where."""
    if not any(map(pieces, texts)):
        return [], None
    vectorizer = CountVectorizer(analyzer=_terms, binary=True, dtype=np.int32)
    matrix = vectorizer.fit_transform(texts)
    kept = np.flatnonzero(_sums(matrix) >= _LEAST)
    names: Sequence[str] = vectorizer.get_feature_names_out()[kept].tolist()
    return list(names), matrix[:, kept]


def _sums(matrix: Any) -> Any:
    """Of each column, as a plain array."""
    return np.asarray(matrix.sum(axis=0)).ravel()


def _terms(text: str) -> list[str]:
    return grams(pieces(text.lower()), _LONGEST[language_of(text)], "")


def _translated(text: str, longest: int, entries: Mapping[str, str]) -> Iterator[str]:
    found = pieces(text)
    place = 0
    while place < len(found):
        size = _fitting(found, place, longest, entries.__contains__)
        piece = "".join(found[place : place + size])
        yield entries.get(piece.lower(), piece)
        place += size


def _fitting(found: list[str], place: int, longest: int, known: Callable[[str], bool]) -> int:
    """How many pieces the longest entry that stands at this place has; 1 where there is none."""
    for size in range(min(longest, len(found) - place), 1, -1):
        if known("".join(found[place : place + size]).lower()):
            return size
    return 1
