"""What texts cost under the frequencies of their bytes, and under those of runs of bytes.

A text is its UTF-8 bytes and an end symbol. The texts are weighed by themselves, without the inputs
that they answer.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence

import numpy as np

from core.application import Likelihood
from finetune.evaluation.baselines.kneser_ney import Codes, KneserNey, codes

_ORDER = 5
_MOST_BYTES = 32_000_000
"""That are learned from by the 5-gram: what two gigabytes of memory count."""

_SYMBOLS = 257
_END = chr(256)
"""Stands for end-of-text, which a model has to predict as well."""

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
    """Under interpolated Kneser–Ney of five bytes, learned from all of `train` that fits."""
    if not texts:
        return ()
    model = KneserNey([_numbers(text) for text in chosen(train, _MOST_BYTES, seed=seed)], _ORDER)
    asked = [_numbers(text) for text in texts]
    likely = model.scores(codes(asked, _ORDER))
    nats = -np.log((1 - _UNIFORM) * likely + _UNIFORM / _SYMBOLS)
    ends = np.cumsum([len(one) for one in asked])[:-1]
    costs = (math.fsum(part.tolist()) for part in np.split(nats, ends))
    return tuple(likelihood(text, cost) for text, cost in zip(texts, costs, strict=True))


def _numbers(text: str) -> Codes:
    """The bytes, and one for the end."""
    return np.append(np.frombuffer(text.encode("utf-8"), dtype=np.uint8), 256).astype(np.int64)


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
