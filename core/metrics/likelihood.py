"""How surprised a language model is by the right answers."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from core.errors import BadData
from core.metrics.base import COUNT, REAL, LocalMetric

# e^700 is near the largest float: a model this far off is not told from one further off.
_MOST_NATS = 700.0


class LanguageModel(LocalMetric):
    """Perplexity per token, and bits per byte of UTF-8, which compares across tokenizers."""

    columns: ClassVar = {"nats": REAL, "tokens": COUNT, "bytes": COUNT}

    def values(self, nats: list[float], tokens: list[int], bytes: list[int]) -> dict[str, Any]:
        """`nats` are negative log-likelihoods, one sum a row."""
        if not sum(tokens) or not sum(bytes):
            raise BadData("Nothing to score: every answer is empty. Give at least one with a text.")
        total = math.fsum(nats)
        return {
            "perplexity": math.exp(min(total / sum(tokens), _MOST_NATS)),
            "bits_per_byte": total / math.log(2) / sum(bytes),
        }
