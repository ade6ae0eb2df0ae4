"""Texts that were seen before: exact and near duplicates, and texts that stand in long documents."""

from finetune.leaks.finding import Found, find, find_contained, leaked, texts_of

__all__ = ["Found", "find", "find_contained", "leaked", "texts_of"]
