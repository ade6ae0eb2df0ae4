"""Which of the two languages a text is written in."""

from __future__ import annotations

import re

from core.task import Language

_HAN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]")
_LATIN = re.compile(r"[A-Za-z]+")


def language_of(text: str) -> Language:
    """'zh' where Han characters outnumber Latin words, else 'en'."""
    return "zh" if len(_HAN.findall(text)) > len(_LATIN.findall(text)) else "en"
