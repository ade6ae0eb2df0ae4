"""The metrics of short answers, as SQuAD counts English and CMRC 2018 counts Chinese."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from core.language import Said
from finetune.evaluation.metrics.rows import Rows
from finetune.evaluation.metrics.spec import MetricSpec
from finetune.evaluation.metrics.sums import Sums, averaged


def _evaluated(rows: Rows) -> Mapping[str, Any]:
    from core.metrics import Squad

    references = [list(right) for right in rows.references]
    return dict(Squad().compute(predictions=list(rows.texts), references=references))


def _exact_match(rows: Rows) -> Sums:
    from core.metrics.answers import exact_match

    return _best(rows, exact_match)


def _f1(rows: Rows) -> Sums:
    from core.metrics.answers import f1

    return _best(rows, f1)


def _best(rows: Rows, measure: Callable[[str, str], float]) -> Sums:
    from core.metrics.answers import best

    pairs = zip(rows.texts, rows.references, strict=True)
    return averaged([best(measure, text, right) for text, right in pairs], 100.0)


_SHARED: Final[dict[str, Any]] = dict(
    module="squad", split="part", evaluated=_evaluated, scale="percent", bounds=(0.0, 100.0)
)

SPECS: Final = (
    MetricSpec(
        name="exact_match",
        label=Said("Exact match", "完全匹配率"),
        meaning=Said(
            "The share of answers that equal a right one, in percent.",
            "与某个正确答案完全一致的回答所占百分比。",
        ),
        sums=_exact_match,
        proportion=True,
        **_SHARED,
    ),
    MetricSpec(
        name="f1",
        label=Said("Answer F1", "答案 F1"),
        meaning=Said(
            "Overlap of the words, in Chinese the characters, with the best right answer, in percent.",
            "与最接近的正确答案在词（中文为字）上的重合程度，百分比。",
        ),
        sums=_f1,
        **_SHARED,
    ),
)
