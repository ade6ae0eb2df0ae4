"""Batches: rows whose prompts are being read, and rows that write."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from core.engine.cache import RowCache
from core.engine.row import Row, check, logprob, next_tokens

if TYPE_CHECKING:
    from torch import Tensor

    from core.engine.forward import Forward
    from core.engine.prefixes import Prefixes


class Outbox:
    """What handles will be told once the step is over."""

    def __init__(self) -> None:
        self.sent: list[tuple[Row, dict[str, Any]]] = []

    def say(self, row: Row, **changes: Any) -> None:
        """For `Handle.update`."""
        self.sent.append((row, changes))


class Prefill:
    """Rows whose prompts are read together, so many tokens of each in a pass."""

    def __init__(
        self, rows: Sequence[Row], forward: Forward, width: int, prefixes: Prefixes
    ) -> None:
        # Rows of one adapter stand together, so that each adapter is multiplied with its own alone.
        self.rows = sorted(rows, key=lambda row: row.key or "")
        self._forward = forward
        self._width = width
        self._prefixes = prefixes
        self._read = 0
        matched = [look_up(row, forward, prefixes) for row in self.rows]
        lengths = [len(row.tokens) for row in self.rows]
        self._unread = max(map(int.__sub__, lengths, matched))
        # As many new tokens of each row as of the one with most: it costs nothing more.
        for row, length in zip(self.rows, lengths, strict=True):
            row.read = max(0, length - self._unread)
        self.cache = self._cache()

    def _cache(self) -> RowCache | None:
        """None where one pass over the whole of all rows is enough, and nothing is kept of it."""
        kept = any(row.writes or row.mark for row in self.rows)
        if not kept and self._unread <= self._width:
            return None
        cache = RowCache(self._forward.backbone.model)
        held = [
            self._prefixes.read(row.mark, row.tokens, row.read) if row.mark and row.read else []
            for row in self.rows
        ]
        if any(held):
            cache.fill(held, min(self._width, self._unread))
        else:
            cache.begin(len(self.rows))
        return cache

    @property
    def done(self) -> bool:
        """Whether all of every prompt was read."""
        return self._read >= self._unread

    def advance(self) -> list[Tensor]:
        """Read on; the logits (places, vocabulary) of each row that were reached."""
        start, end = self._read, self._read + self._width
        unread = [row.tokens[row.read :] for row in self.rows]
        tokens = [part[start:end] for part in unread]
        firsts = [len(part) - row.wanted for part, row in zip(unread, self.rows, strict=True)]
        wanted = [
            max(0, min(end, len(part)) - max(start, first))
            for part, first in zip(unread, firsts, strict=True)
        ]
        logits = self._forward(tokens, [row.key for row in self.rows], wanted, self.cache)
        if self.cache is not None:
            self.cache.advance([len(part) for part in tokens])
        self._read = end
        parts = list(torch.split(logits, wanted))
        for row, part, first in zip(self.rows, parts, firsts, strict=True):
            if row.request.targets and len(part):
                check(part)
                row.weigh(part, max(start, first) - first)
        if self.done:
            self._store()
        return parts

    def _store(self) -> None:
        for place, row in enumerate(self.rows):
            if self.cache is not None:
                keep(row, self.cache, place, self._forward, self._prefixes)


def look_up(row: Row, forward: Forward, prefixes: Prefixes) -> int:
    """Tokens of a row that need not be read; the last ones are, for their logits."""
    row.mark = forward.mark(row.key)
    if row.mark is None:
        return 0
    unlooked = row.tokens[: len(row.tokens) - row.wanted]
    found = prefixes.match(row.mark, unlooked)
    if not found and not row.writes and not prefixes.returns(row.mark, row.tokens):
        row.mark = None  # a closed prompt of a kind that never came before
    return found


def keep(row: Row, cache: RowCache, place: int, forward: Forward, prefixes: Prefixes) -> None:
    """What a row holds goes to the prefix cache."""
    if row.mark is not None and row.mark == forward.mark(row.key):
        tokens = row.text[: cache.lengths[place]]
        prefixes.store(row.mark, tokens, lambda some: cache.values(place, some))


class Batch:
    """Rows that write, one token a step each."""

    def __init__(self, forward: Forward, ends: frozenset[int], prefixes: Prefixes) -> None:
        self.rows: list[Row] = []
        self.cache = RowCache(forward.backbone.model)
        self._forward = forward
        self._ends = ends
        self._prefixes = prefixes

    def join(self, rows: Sequence[Row], cache: RowCache) -> None:
        """Rows that have written their first token."""
        self.rows += rows
        self.cache.join(cache)

    def step(self, outbox: Outbox) -> None:
        """One more token of every row; those that end leave."""
        rows, logits = list(self.rows), self._logits(outbox)
        alive = [place for place, one in enumerate(logits) if one is not None]
        self.cache.advance([1] * len(rows))
        kept = torch.stack([one for one in logits if one is not None]) if alive else None
        going = set()
        if kept is not None:
            some = write([rows[place] for place in alive], kept, self._forward, self._ends, outbox)
            going = {id(row) for row in some}
        for place in alive:
            if id(rows[place]) not in going:  # what follows may begin with it, as in a chat
                keep(rows[place], self.cache, place, self._forward, self._prefixes)
        self._leave_all_but(going)

    def leave(self, row: Row) -> None:
        """Take a row out."""
        place = self.rows.index(row)
        self.rows[place] = self.rows[-1]
        self.rows.pop()
        self.cache.drop(place)

    def _leave_all_but(self, going: set[int]) -> None:
        for row in [row for row in self.rows if id(row) not in going]:
            self.leave(row)

    def _logits(self, outbox: Outbox) -> list[Tensor | None]:
        """Of every row (vocabulary,); None for a row whose pass failed even by itself."""
        tokens, keys = [row.ids[-1:] for row in self.rows], [row.key for row in self.rows]
        try:
            return list(self._forward(tokens, keys, [1] * len(keys), self.cache))
        except Exception as error:
            if len(keys) == 1:
                outbox.say(self.rows[0], error=error)
                return [None]
        found: list[Tensor | None] = []
        for place, row in enumerate(self.rows):
            try:
                with self.cache.only(place):
                    found.append(self._forward([tokens[place]], [row.key], [1], self.cache)[0])
            except Exception as error:
                outbox.say(row, error=error)
                found.append(None)
        return found


def write(
    rows: Sequence[Row], logits: Tensor, forward: Forward, ends: frozenset[int], outbox: Outbox
) -> list[Row]:
    """Each row takes its next token from logits (rows, vocabulary); those that go on."""
    tokenizer = forward.backbone.tokenizer
    going = []
    for place, (row, token) in enumerate(zip(rows, next_tokens(rows, logits), strict=True)):
        if isinstance(token, Exception):
            outbox.say(row, error=token)
            continue
        finish = row.take(token, ends, tokenizer)
        changes: dict[str, Any] = {"computed": len(row.ids) + (token in ends), "cached": row.read}
        if token not in ends:
            changes["token"] = token
            if row.request.logprobs is not None:
                changes["logprob"] = logprob(logits[place], token, row.request.logprobs)
        if finish:
            changes["finish"] = finish
        else:
            going.append(row)
        outbox.say(row, **changes)
    return going
