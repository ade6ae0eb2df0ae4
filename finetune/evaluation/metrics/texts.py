"""The metrics of written texts: BLEU and chrF by sacreBLEU's own sums, variety, repetition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from core.language import Said
from core.task import Language
from finetune.evaluation.metrics.rows import Rows
from finetune.evaluation.metrics.spec import MetricSpec
from finetune.evaluation.metrics.sums import Matrix, Sums, averaged, share

if TYPE_CHECKING:
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

_LANGUAGES: Final[tuple[Language, ...]] = ("en", "zh")


def target_language(rows: Rows) -> Language:
    """The language that a part such as 'en_zh' ends with, else the one of the answers."""
    from core.metrics.texts import language_to_split

    for language in _LANGUAGES:
        if rows.part.rpartition("_")[2] == language:
            return language
    return language_to_split(rows.references)


def _translated(rows: Rows) -> Mapping[str, Any]:
    from core.metrics import Translation

    return _computed(Translation(target_language(rows)), rows)


def _completed(rows: Rows) -> Mapping[str, Any]:
    from core.metrics import Completion

    return _computed(Completion(), rows)


def _computed(metric: Any, rows: Rows) -> Mapping[str, Any]:
    references = [list(right) for right in rows.references]
    return dict(metric.compute(predictions=list(rows.texts), references=references))


def _bleu(rows: Rows) -> Sums:
    return _sacrebleu("bleu", target_language(rows), rows.texts, rows.references)


def _chrf(rows: Rows) -> Sums:
    return _sacrebleu("chrf", target_language(rows), rows.texts, rows.references)


def _bleu_of_prompts(rows: Rows) -> Sums | None:
    """Prompts without a reference have no part in it."""
    from core.metrics.texts import language_to_split

    known = [place for place, right in enumerate(rows.references) if right]
    if not known:
        return None
    right = [rows.references[place] for place in known]
    texts = [rows.texts[place] for place in known]
    counted = _sacrebleu("bleu", language_to_split(right), texts, right)
    return replace(counted, rows=placed(counted.rows, known, len(rows.texts)))


def placed(rows: Matrix, places: Sequence[int], whole: int) -> Matrix:
    """The same rows at their places among all; the others are zero."""
    full = np.zeros((whole, rows.shape[1]))
    full[list(places)] = rows
    return full


def _sacrebleu(
    name: Literal["bleu", "chrf"],
    language: Language,
    texts: Sequence[str],
    references: Sequence[Sequence[str]],
) -> Sums:
    """sacreBLEU's own sums, and its own score from them."""
    from core.metrics.texts import sacrebleu_metric, streams

    metric: BLEU | CHRF = sacrebleu_metric(name, language)
    sums = metric._extract_corpus_statistics(list(texts), streams(references))  # type: ignore[arg-type]

    def value(drawn: Matrix) -> Matrix:
        # Identical texts come out a rounding error above 100.
        scores = [metric._compute_score_from_stats(_whole(row)).score for row in drawn]
        return np.minimum(np.array(scores, dtype=np.float64), 100.0)

    rows = np.array(sums, dtype=np.float64)
    return Sums(rows=rows, value=value, measured=len(rows))


def _whole(row: Matrix) -> list[int]:
    return [round(value) for value in row]


def _repetition(rows: Rows) -> Sums:
    from core.metrics.texts import repetition

    return averaged([repetition(text) for text in rows.texts])


def _distinct(rows: Rows) -> Sums:
    """A column for each bigram: how often each text holds it."""
    from scipy import sparse

    from core.metrics.texts import grams

    columns: dict[tuple[str, ...], int] = {}
    cells = [
        (number, columns.setdefault(pair, len(columns)))
        for number, text in enumerate(rows.texts)
        for pair in grams(text, 2)
    ]
    places = np.array(cells, dtype=np.int64).reshape(-1, 2)
    shape = (len(rows.texts), max(len(columns), 1))
    counted = sparse.coo_array((np.ones(len(places)), (places[:, 0], places[:, 1])), shape)
    return Sums(
        rows=counted.tocsr(),
        value=lambda sums: share((sums > 0).sum(1).astype(np.float64), sums.sum(1)),
        measured=len(rows.texts),
        keys=columns,
    )


_BLEU: Final[dict[str, Any]] = dict(
    name="bleu",
    label=Said("BLEU", "BLEU"),
    meaning=Said(
        "How many runs of up to four words also stand in a reference, from 0 to 100.",
        "与参考文本相同的一至四元词组的程度，0 到 100。",
    ),
    scale="percent",
    bounds=(0.0, 100.0),
)
_OF_PROMPTS: Final[dict[str, Any]] = dict(module="completion", split="prompt", evaluated=_completed)

SPECS: Final = (
    MetricSpec(**_BLEU, module="translation", split="part", evaluated=_translated, sums=_bleu),
    MetricSpec(
        name="chrf",
        label=Said("chrF", "chrF"),
        meaning=Said(
            "How many runs of up to six characters are shared with a reference, from 0 to 100.",
            "与参考文本相同的一至六元字符串的程度，0 到 100。",
        ),
        module="translation",
        split="part",
        evaluated=_translated,
        sums=_chrf,
        scale="percent",
        bounds=(0.0, 100.0),
    ),
    MetricSpec(**_BLEU, **_OF_PROMPTS, sums=_bleu_of_prompts),
    MetricSpec(
        name="distinct_2",
        label=Said("Distinct-2", "二元多样性"),
        meaning=Said(
            "Different pairs of words among all pairs: how varied the texts are.",
            "不同词对占全部词对的比例：文本有多丰富。",
        ),
        sums=_distinct,
        bounds=(0.0, 1.0),
        counts_kinds=True,
        **_OF_PROMPTS,
    ),
    MetricSpec(
        name="repetition",
        label=Said("Repetition", "重复率"),
        meaning=Said(
            "The share of four-word runs that already stood in the same text.",
            "在同一文本中重复出现的四元词组比例。",
        ),
        sums=_repetition,
        higher_is_better=False,
        bounds=(0.0, 1.0),
        **_OF_PROMPTS,
    ),
)
