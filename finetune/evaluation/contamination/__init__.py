"""Texts that were seen before: exact and near duplicates, and texts that stand in long documents."""

from finetune.evaluation.contamination.duplicates import (
    Found,
    find,
    find_contained,
    leaked,
    texts_of,
)
from finetune.evaluation.contamination.training_rows import (
    TrainingRows,
    read_rows_of,
    rows_of,
    write_rows,
)

__all__ = [
    "Found", "TrainingRows", "find", "find_contained", "leaked",
    "read_rows_of", "rows_of", "texts_of", "write_rows",
]  # fmt: skip
