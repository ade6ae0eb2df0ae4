"""Every heading and sentence of a report, in English and Chinese side by side."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from core.language import Said
from core.task import Language
from finetune.report.words import evidence, figures, provenance, scores, summary, training

LANGUAGES: Final[tuple[Language, ...]] = ("en", "zh")
_FILES: Final = (summary, scores, figures, evidence, training, provenance)
WORDS: Final[Mapping[str, Said]] = MappingProxyType(
    {key: said for file in _FILES for key, said in file.WORDS.items()}
)


def say(key: str, language: Language, **values: object) -> str:
    """The word or sentence, with its braces filled; values are never read as a template."""
    return WORDS[key].within(language).format(**values)
