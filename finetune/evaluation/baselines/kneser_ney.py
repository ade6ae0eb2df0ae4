"""Interpolated Kneser–Ney (Kneser & Ney 1995) over bytes, counted by numpy: ten million a minute or so.

An n-gram is one number, its symbols the digits, so that counting is sorting. A test holds it equal to
NLTK's model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.int64]
Shares = npt.NDArray[np.float64]
BASE = 258
"""256 bytes, the end of a text, and what stands before one."""
START = 257


@dataclass(frozen=True)
class Table:
    """Sorted keys and how often each was seen."""

    keys: Codes
    counts: Codes

    def of(self, asked: Codes) -> Shares:
        """The counts of these keys, 0 where there is none."""
        if not len(self.keys):
            return np.zeros(len(asked))
        places = np.minimum(np.searchsorted(self.keys, asked), len(self.keys) - 1)
        return np.where(self.keys[places] == asked, self.counts[places], 0).astype(np.float64)


@dataclass(frozen=True)
class Order:
    """What one length of n-grams is scored by."""

    words: Table
    """n-gram → its count; of shorter ones, how many different symbols stood before it."""
    wholes: Table
    """Context → the sum of these."""
    kinds: Table
    """Context → how many different symbols followed."""


class KneserNey:
    """Learned from texts of symbols below `START`, each with its end."""

    def __init__(self, texts: Sequence[Codes], order: int, discount: float | None = None) -> None:
        self.order = order
        grams = [np.unique(codes(texts, n), return_counts=True) for n in range(1, order + 1)]
        self.discount = estimated_discount(grams[-1][1]) if discount is None else discount
        self.orders = [
            _order(n, keys, counts, grams[n][0] if n < order else None)
            for n, (keys, counts) in enumerate(grams, 1)
        ]

    def scores(self, asked: Codes) -> Shares:
        """The probability of the last symbol of each n-gram, given those before it."""
        first = self.orders[0]
        found = first.words.of(asked % BASE) / max(first.words.counts.sum(), 1)
        for n, order in enumerate(self.orders[1:], 2):
            grams = asked % BASE**n
            wholes = order.wholes.of(grams // BASE)
            seen = wholes > 0
            safe = np.where(seen, wholes, 1)
            own = np.maximum(order.words.of(grams) - self.discount, 0) / safe
            rest = self.discount * order.kinds.of(grams // BASE) / safe
            found = np.where(seen, own + rest * found, found)
        return found


def _order(n: int, keys: Codes, counts: Codes, longer: Codes | None) -> Order:
    kinds = Table(*np.unique(keys // BASE, return_counts=True))
    words = Table(keys, counts)
    if longer is not None:
        words = Table(*np.unique(longer % BASE**n, return_counts=True))
    contexts, places = np.unique(words.keys // BASE, return_inverse=True)
    wholes = np.bincount(places, weights=words.counts, minlength=len(contexts))
    return Order(words, Table(contexts, wholes.astype(np.int64)), kinds)


def codes(texts: Sequence[Codes], size: int) -> Codes:
    """The n-grams that end in a symbol of a text, the first of them beginning before it."""
    pad = np.full(size - 1, START, dtype=np.int64)
    whole = np.concatenate([part for text in texts for part in (pad, text)] or [pad])
    if len(whole) < size:
        return np.array([], dtype=np.int64)
    found = np.zeros(len(whole) - size + 1, dtype=np.int64)
    for place in range(size):
        found = found * BASE + whole[place : place + len(found)]
    return found[whole[size - 1 :] != START]


def estimated_discount(counts: Codes) -> float:
    """What is taken off each count: n1 / (n1 + 2 n2) (Chen & Goodman 1999, section 2.7)."""
    once, twice = int((counts == 1).sum()), int((counts == 2).sum())
    return once / max(once + 2 * twice, 1)
