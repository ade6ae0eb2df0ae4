"""The metrics of a language model: what the right answers cost it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from core.language import Said
from finetune.evaluation.metrics.rows import Rows
from finetune.evaluation.metrics.spec import MetricSpec
from finetune.evaluation.metrics.sums import Matrix, Sums, share

_MOST_NATS = 700.0
"""e^700 is near the largest float: a model this far off is not told from one further off."""


def _evaluated(rows: Rows) -> Mapping[str, Any]:
    from core.metrics import LanguageModel

    columns = {
        name: [getattr(one, name) for one in rows.likelihoods]
        for name in ("nats", "tokens", "bytes")
    }
    return dict(LanguageModel().compute(**columns))


def _costs(rows: Rows) -> Matrix:
    """(rows, 3): nats, tokens, bytes."""
    return np.array([(one.nats, one.tokens, one.bytes) for one in rows.likelihoods], float)


def _bits(sums: Matrix) -> Matrix:
    return share(sums[:, 0], sums[:, 2]) / math.log(2)


def _perplexity(sums: Matrix) -> Matrix:
    return np.exp(np.minimum(share(sums[:, 0], sums[:, 1]), _MOST_NATS))


_SHARED: Final[dict[str, Any]] = dict(
    module="language_model", needs="likelihoods", evaluated=_evaluated, higher_is_better=False
)

SPECS: Final = (
    MetricSpec(
        name="perplexity",
        label=Said("Perplexity", "困惑度"),
        meaning=Said(
            "Among how many equally likely tokens the model hesitates; for one tokenizer only.",
            "模型在多少个等可能的词元之间犹豫；仅在分词器相同时可比。",
        ),
        sums=lambda rows: Sums(
            rows=rows.once(_costs), value=_perplexity, measured=len(rows.likelihoods)
        ),
        scale="count",
        of_one_tokenizer=True,
        **_SHARED,
    ),
    MetricSpec(
        name="bits_per_byte",
        label=Said("Bits per byte", "每字节比特数"),
        meaning=Said(
            "Bits needed to encode a byte of the right text; comparable across tokenizers.",
            "编码正确文本每字节所需的比特数；不同分词器之间可比。",
        ),
        sums=lambda rows: Sums(rows=rows.once(_costs), value=_bits, measured=len(rows.likelihoods)),
        scale="bits",
        chance=lambda labels: 8.0,
        **_SHARED,
    ),
)
