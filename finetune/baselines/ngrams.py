"""What texts cost under the frequencies of their bytes, and under those of runs of bytes.

A text is its UTF-8 bytes and an end symbol. The texts are weighed by themselves, without the inputs
that they answer.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterator, Sequence

from core.application import Likelihood

_ORDER = 5
_MOST_BYTES = 200_000
"""That are learned from by the 5-gram; NLTK counts some 50,000 bytes a second."""

_SYMBOLS = 257
_END = chr(256)
"""Stands for end-of-text, which a model has to predict as well."""

_START = chr(257)
"""Stands before a text, so that its first bytes have a context; it is never predicted."""

_UNIFORM = 0.01
"""Share of the uniform distribution in the 5-gram: no byte has a probability of zero."""


def unigram(train: Sequence[str], texts: Sequence[str]) -> tuple[Likelihood, ...]:
    """Under the frequencies of bytes in all of `train`, add-one smoothed."""
    counts: Counter[str] = Counter()
    for text in train:
        counts.update(symbols(text))
    whole = counts.total() + _SYMBOLS
    nats = {chr(code): -math.log((counts[chr(code)] + 1) / whole) for code in range(_SYMBOLS)}
    return tuple(likelihood(text, math.fsum(nats[one] for one in symbols(text))) for text in texts)


def five_gram(
    train: Sequence[str], texts: Sequence[str], *, seed: int = 0
) -> tuple[Likelihood, ...]:
    """Under interpolated Kneser–Ney (Kneser & Ney 1995) of five bytes, learned from some of `train`."""
    # NLTK takes seconds to import, and most commands never weigh a text.
    from finetune.baselines.kneser_ney import KneserNeyModel, estimated_discount

    learned = chosen(train, _MOST_BYTES, seed=seed)
    discount = estimated_discount([gram for text in learned for gram in _grams(text, _ORDER)])
    grams = (gram for text in learned for n in range(1, _ORDER + 1) for gram in _grams(text, n))
    model = KneserNeyModel(_ORDER, discount, grams)

    def cost(gram: tuple[str, ...]) -> float:
        likely = model.unmasked_score(gram[-1], gram[:-1])
        return -math.log((1 - _UNIFORM) * likely + _UNIFORM / _SYMBOLS)

    return tuple(likelihood(text, math.fsum(map(cost, _grams(text, _ORDER)))) for text in texts)


def symbols(text: str) -> str:
    """A character for each byte, and one for the end."""
    return text.encode("utf-8").decode("latin-1") + _END


def likelihood(text: str, nats: float) -> Likelihood:
    """A token is a byte, or the end."""
    size = len(text.encode("utf-8"))
    return Likelihood(nats, size + 1, size)


def chosen(texts: Sequence[str], most: int, *, seed: int) -> list[str]:
    """Some of the texts: as many as begin within `most` bytes, the last one cut."""
    kept: list[str] = []
    for text in shuffled(texts, seed=seed):
        if most <= 0:
            break
        data = text.encode("utf-8")
        kept.append(data[:most].decode("utf-8", errors="ignore"))
        most -= len(data)
    return kept


def shuffled(texts: Sequence[str], *, seed: int) -> list[str]:
    """In an order that depends on which texts there are, and not on the order they come in."""
    order = sorted(texts)
    random.Random(seed).shuffle(order)
    return order


def _grams(text: str, size: int) -> Iterator[tuple[str, ...]]:
    """Those that end in a symbol of the text; the first ones begin before it."""
    padded = _START * (size - 1) + symbols(text)
    return zip(*(padded[start:] for start in range(size)), strict=False)
