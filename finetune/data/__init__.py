"""Any source → located rows: files of every kind, folders with splits, hub ids."""

from finetune.data.formats import READERS, Located, Problem
from finetune.data.sources import has_split, read_rows

__all__ = ["READERS", "Located", "Problem", "has_split", "read_rows"]
