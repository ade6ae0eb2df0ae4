"""Grouping: which rows read their prompts in one pass, and which write in one batch."""

from __future__ import annotations

from collections.abc import Sequence

from core.engine.cache import allocated
from core.engine.row import Row

_WASTE = 1.5
"""Tokens of a pass, padding included, for each token that is read."""
_LONG = 1024
"""Rows that may come to hold more tokens are batched among themselves: others need no padding."""
_WORTH = 32
"""Tokens in common with a row that is read now for which another waits; a pass costs about as many."""

Group = tuple[str | None, bool]
"""Rows that write in one batch: an adapter that must be alone or None, and whether they are long."""


def group_of(row: Row) -> Group:
    """The batch that a row writes in."""
    return row.group, row.reserve > _LONG


def reserved(rows: Sequence[Row]) -> int:
    """Tokens of keys and values that a batch may come to take."""
    return allocated(len(rows), max(row.reserve for row in rows)) if rows else 0


class Together:
    """Rows that one pass will read; those of similar length waste little padding."""

    def __init__(self, chunk: int, most: int) -> None:
        self.rows: list[Row] = []
        self._chunk, self._most = chunk, most
        self._unread = self._longest = self._total = 0

    def takes(self, row: Row, unread: int) -> bool:
        """Whether a row with so many tokens to read fits in; the first one always does."""
        if not self.rows:
            return True
        number, longest = len(self.rows) + 1, max(self._longest, len(row.tokens))
        padded = number * max(self._unread, unread)
        return (
            padded <= min(self._chunk, _WASTE * (self._total + unread))
            and number * longest <= self._most
            and self._alike(row)
            and not any(_worth_waiting(row, unread, one) for one in self.rows)
        )

    def add(self, row: Row, unread: int) -> None:
        """A row that is taken."""
        self.rows.append(row)
        self._unread = max(self._unread, unread)
        self._longest = max(self._longest, len(row.tokens))
        self._total += unread

    def _alike(self, row: Row) -> bool:
        """Whether a pass may hold the row too, and all who write then join one batch."""
        writing = [one for one in self.rows if one.writes]
        alike = not writing or not row.writes or group_of(writing[0]) == group_of(row)
        return self.rows[0].group == row.group and alike


def _worth_waiting(row: Row, unread: int, other: Row) -> bool:
    """Whether much of what a row has to read will be in the prefix cache once `other` has read it."""
    if row.key != other.key or not other.writes:
        return False
    read = len(row.tokens) - unread
    end = min(len(row.tokens), len(other.tokens), read + _WORTH)
    return end == read + _WORTH and row.tokens[:end] == other.tokens[:end]
