"""Written answers: BLEU and chrF by sacrebleu, and how much a text repeats itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from core.errors import BadData
from core.language import language_of
from core.metrics.base import TEXT, TEXTS, LocalMetric
from core.task import Language

# Under sacrebleu's default, identical Chinese sentences are one word each, and score 0.
_TOKENIZERS: dict[Language, str] = {"en": "13a", "zh": "zh"}


class Translation(LocalMetric):
    """Corpus BLEU and chrF, in percent, into the language `target`."""

    columns: ClassVar = {"predictions": TEXT, "references": TEXTS}

    def __init__(self, target: Language) -> None:
        self.target = target
        super().__init__()

    def values(self, predictions: list[str], references: list[list[str]]) -> dict[str, Any]:
        """All references of a row count, as sacrebleu counts them."""
        bleu, chrf = (sacrebleu_metric(name, self.target) for name in ("bleu", "chrf"))
        return {
            "bleu": _corpus_score(bleu, predictions, references),
            "chrf": _corpus_score(chrf, predictions, references),
            "signatures": {"bleu": str(bleu.get_signature()), "chrf": str(chrf.get_signature())},
        }


class Completion(LocalMetric):
    """BLEU against all completions of a prompt, and the variety of the texts.

    A row is one prompt. Rows without references count for the variety alone; where no row has
    any, there is no `bleu`.
    """

    columns: ClassVar = {"predictions": TEXT, "references": TEXTS}

    def values(self, predictions: list[str], references: list[list[str]]) -> dict[str, Any]:
        """`bleu` in percent; `distinct_2` and `repetition` are fractions."""
        values: dict[str, Any] = {
            "distinct_2": distinct(predictions),
            "repetition": math.fsum(map(repetition, predictions)) / len(predictions),
        }
        known = [place for place, texts in enumerate(references) if texts]
        if known:
            right = [references[place] for place in known]
            bleu = sacrebleu_metric("bleu", language_to_split(right))
            values["bleu"] = _corpus_score(bleu, [predictions[place] for place in known], right)
            values["signatures"] = {"bleu": str(bleu.get_signature())}
        return values


def sacrebleu_metric(name: Literal["bleu", "chrf"], target: Language) -> BLEU | CHRF:
    """sacrebleu's metric with the tokenizer of the language."""
    # Unforced, it complains of references that end in a separate full stop; ours are what they are.
    return BLEU(tokenize=_TOKENIZERS[target], force=True) if name == "bleu" else CHRF()


def streams(references: Sequence[Sequence[str]]) -> list[list[str | None]]:
    """As sacrebleu wants them: one list for each place among the references of a row."""
    widest = max(map(len, references))
    return [
        [row[place] if place < len(row) else None for row in references] for place in range(widest)
    ]


def language_to_split(references: Sequence[Sequence[str]]) -> Language:
    """'zh' as soon as one text is Chinese: that tokenizer splits English words just as well."""
    texts = (text for row in references for text in row)
    return "zh" if any(language_of(text) == "zh" for text in texts) else "en"


def distinct(texts: Sequence[str], size: int = 2) -> float:
    """Distinct n-grams over n-grams of all texts (after Li et al. 2016, arXiv:1510.03055).

    It falls as texts are added: compare it on the same inputs only.
    """
    found = [gram for text in texts for gram in grams(text, size)]
    return len(set(found)) / len(found) if found else 0.0


def repetition(text: str, size: int = 4) -> float:
    """The share of n-grams that stood in the text before; 0 where it is shorter than one."""
    found = grams(text, size)
    return 1 - len(set(found)) / len(found) if found else 0.0


def _units(text: str) -> list[str]:
    """Words, or the characters of a Chinese text."""
    words = text.split()
    return list("".join(words)) if language_of(text) == "zh" else words


def grams(text: str, size: int) -> list[tuple[str, ...]]:
    """Runs of `size` words, or of characters where the text is Chinese."""
    units = _units(text)
    return list(zip(*(units[start:] for start in range(size)), strict=False))


def _corpus_score(
    metric: BLEU | CHRF, predictions: list[str], references: list[list[str]]
) -> float:
    """Percent; rows may have different numbers of references, but each has one at least."""
    if not all(references):
        raise BadData("A row has no reference to score against. Give each at least one answer.")
    score = metric.corpus_score(predictions, streams(references))  # type: ignore[arg-type]
    # Identical texts come out a rounding error above 100.
    return min(float(score.score), 100.0)
