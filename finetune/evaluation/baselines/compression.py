"""What texts cost when they are compressed by xz, which knows the training texts already."""

from __future__ import annotations

import lzma
import math
from collections.abc import Sequence

from core.application import Likelihood
from finetune.evaluation.baselines.ngrams import chosen, likelihood, shuffled

_MOST_BYTES = 16_000_000
"""Of training text, read twice at some two million bytes a second; the dictionary holds 64 million."""
_END = b"\0"
_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9}]


def xz(train: Sequence[str], texts: Sequence[str], *, seed: int = 0) -> tuple[Likelihood, ...]:
    """What `texts` add to the compressed size of `train`; each has its share, by its bytes.

    A text has an end symbol, a byte. A compressor learns as it goes on, so it finds in the texts
    what stood in other ones before; they come in an order that does not depend on theirs.
    """
    known = _joined(chosen(train, _MOST_BYTES, seed=seed))
    scored = _joined(shuffled(texts, seed=seed))
    added = max(_size(known + scored) - _size(known), 1)
    nats = added * 8 * math.log(2) / max(len(scored), 1)
    return tuple(likelihood(text, nats * (len(text.encode("utf-8")) + 1)) for text in texts)


def _joined(texts: Sequence[str]) -> bytes:
    return b"".join(text.encode("utf-8") + _END for text in texts)


def _size(data: bytes) -> int:
    """Without the container of an .xz file, whose size is a multiple of four bytes."""
    return len(lzma.compress(data, format=lzma.FORMAT_RAW, filters=_FILTERS))
