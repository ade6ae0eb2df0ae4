"""Short answers: exact match and F1, as SQuAD counts English and CMRC 2018 counts Chinese."""

from __future__ import annotations

import math
import re
import string
from collections import Counter
from collections.abc import Callable, Sequence
from difflib import SequenceMatcher
from typing import Any, ClassVar

from core.errors import BadData
from core.language import language_of
from core.metrics.base import TEXT, TEXTS, LocalMetric

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_HAN = r"[\u3400-\u9fff\uf900-\ufaff]"
_SEGMENT = re.compile(rf"{_HAN}|(?:(?!{_HAN})\S)+")
# Signs that carry a meaning in an answer (3.5, 50%, $3, C#, @name) stay.
_CHINESE_PUNCTUATION = re.compile(
    r"(?<!\d)\.|\.(?!\d)|[-:_*^/\\~`+=,;!?'\"()\[\]{}<>|，。：；？！“”‘’《》〈〉…·、「」『』【】（）－—～]"
)


class Squad(LocalMetric):
    """Exact match and F1, in percent; the best over the right answers of a question."""

    columns: ClassVar = {"predictions": TEXT, "references": TEXTS}

    def values(self, predictions: list[str], references: list[list[str]]) -> dict[str, Any]:
        """Each right answer is compared by the rules of the language it is written in."""
        if not all(references):
            raise BadData("A question has no right answer. Give each at least one.")
        rows = list(zip(predictions, references, strict=True))
        return {
            "exact_match": _percent([best(exact_match, *row) for row in rows]),
            "f1": _percent([best(f1, *row) for row in rows]),
        }


def best(measure: Callable[[str, str], float], prediction: str, references: Sequence[str]) -> float:
    """The highest value over the right answers."""
    return max(measure(prediction, reference) for reference in references)


def exact_match(prediction: str, reference: str) -> float:
    """1 where both have the same segments, else 0."""
    segments = _segmenter(reference)
    return float(segments(prediction) == segments(reference))


def f1(prediction: str, reference: str) -> float:
    """Overlap of the segments, from 0 to 1; answers without any agree with each other only."""
    segments = _segmenter(reference)
    given, right = segments(prediction), segments(reference)
    if not given or not right:
        return float(given == right)
    shared = _run(given, right) if segments is chinese_segments else _bag(given, right)
    return 2 * shared / (len(given) + len(right))


def english_segments(text: str) -> list[str]:
    """Words in lower case without punctuation and articles (SQuAD v1.1, evaluate-v1.1.py)."""
    return _ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split()


def chinese_segments(text: str) -> list[str]:
    """Chinese characters singly, other words whole (CMRC 2018, mixed segmentation)."""
    return _SEGMENT.findall(_CHINESE_PUNCTUATION.sub("", text.lower()))


def _segmenter(reference: str) -> Callable[[str], list[str]]:
    return chinese_segments if language_of(reference) == "zh" else english_segments


def _bag(given: list[str], right: list[str]) -> int:
    """How many words both have, in any order."""
    return sum((Counter(given) & Counter(right)).values())


def _run(given: list[str], right: list[str]) -> int:
    """The length of the longest unbroken run that both have; CMRC 2018 counts no more."""
    matcher = SequenceMatcher(None, given, right, autojunk=False)
    return matcher.find_longest_match().size


def _percent(values: list[float]) -> float:
    return 100 * math.fsum(values) / len(values)
