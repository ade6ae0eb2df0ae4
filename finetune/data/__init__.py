"""Any source → located rows: files of every kind, folders with splits, hub ids."""

from finetune.data.reading.layout import Layout, layout_of
from finetune.data.reading.rows import Located, Problem
from finetune.data.reading.sources import has_split, read_rows, renamed

__all__ = ["Layout", "Located", "Problem", "has_split", "layout_of", "read_rows", "renamed"]
