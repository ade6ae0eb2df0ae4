"""Which of the two languages a text is written in, and what is said in both."""

from __future__ import annotations

import re
from typing import NamedTuple

from core.task import Language

_HAN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]")
_LATIN = re.compile(r"[A-Za-z]+")


class Said(NamedTuple):
    """The same in both languages; what stands in braces is filled in."""

    en: str
    zh: str

    def within(self, language: Language) -> str:
        """The one that a reader of this language is shown."""
        return self.zh if language == "zh" else self.en


def language_of(text: str) -> Language:
    """'zh' where Han characters outnumber Latin words, else 'en'."""
    return "zh" if len(_HAN.findall(text)) > len(_LATIN.findall(text)) else "en"
