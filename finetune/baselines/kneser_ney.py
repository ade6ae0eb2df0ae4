"""Interpolated Kneser–Ney over any symbols: NLTK's model, with its counts looked up, not searched."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from nltk.lm import KneserNeyInterpolated
from nltk.lm.smoothing import KneserNey

Context = tuple[str, ...]


class KneserNeyModel(KneserNeyInterpolated):  # type: ignore[misc]
    """NLTK's model and its scores; each is worked out once."""

    def __init__(self, order: int, discount: float, ngrams: Iterable[Context]) -> None:
        super().__init__(order, discount=discount)
        self.counts.update([ngrams])
        self.estimator = IndexedKneserNey(self.vocab, self.counts, order=order, discount=discount)
        self._score = functools.cache(super().unmasked_score)

    def unmasked_score(self, word: str, context: Context | None = None) -> float:
        return float(self._score(word, context))


class IndexedKneserNey(KneserNey):  # type: ignore[misc]
    """NLTK's smoothing, which otherwise looks through all n-grams at each call."""

    @functools.cached_property
    def _continuations(self) -> dict[Context, Counter[str]]:
        """For each context the words after it, with how many different words before it."""
        index: dict[Context, Counter[str]] = {}
        for size in range(2, self._order + 1):
            for context, words in self.counts[size].items():
                index.setdefault(context[1:], Counter()).update(words.keys())
        return index

    @functools.cached_property
    def _totals(self) -> dict[Context, int]:
        return {context: words.total() for context, words in self._continuations.items()}

    def _continuation_counts(self, word: str, context: Context = ()) -> tuple[int, int]:
        return self._continuations[context][word], self._totals[context]


def estimated_discount(ngrams: Sequence[Context]) -> float:
    """What is taken off each count: n1 / (n1 + 2 n2) (Chen & Goodman 1999, section 2.7)."""
    often: Any = Counter(Counter(ngrams).values())
    return often[1] / max(often[1] + 2 * often[2], 1)
