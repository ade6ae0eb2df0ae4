"""The scheduler: which rows read their prompts next, and which write together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from core.engine.batch import Batch, Outbox, Prefill, write
from core.engine.cache import ROOM, token_bytes
from core.engine.grouping import Group, Together, group_of, reserved
from core.engine.prefixes import Prefixes
from core.engine.row import Row, check

if TYPE_CHECKING:
    from torch import Tensor

    from core.engine.forward import Forward

_GPU_CHUNK = 8192
"""Tokens of prompts that are read at once on a GPU, where fewer are mostly the start of kernels."""
_LOOKED_AT = 64
"""Waiting rows among which those are looked for that fit into one pass."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What an engine takes on at once."""

    rows: int = 32
    """Rows that write."""
    queue: int = 256
    """Rows that wait; the next one is refused."""
    cache_tokens: int = 8192
    """Tokens whose keys and values are kept while rows write: so many for rows of ordinary length, and
    again, or one context if that is more, for long ones. What ordinary rows leave of it holds prompts
    that were read (`Prefixes`)."""
    prefix_cache: bool = True
    """Whether prompts that begin alike are read once."""
    prefill_tokens: int | None = None
    """Tokens of prompts that are read between two tokens of those who write; by the size of the
    backbone where it is None."""


class Scheduler:
    """Belongs to the engine's thread. `step` does a bounded piece of work."""

    def __init__(self, forward: Forward, ends: frozenset[int], limits: Limits) -> None:
        self._forward, self._ends, self.limits = forward, ends, limits
        size = forward.backbone.size
        quick = forward.backbone.device.type != "cpu"
        usual = _GPU_CHUNK if quick else min(4096, max(512, int(5e10 / size)))
        self.chunk = limits.prefill_tokens or usual
        self.prefixes = Prefixes()
        self.waiting: list[Row] = []
        self._batches: dict[Group, Batch] = {}
        self._long: Prefill | None = None
        self._reading: list[Row] = []
        self._turn = False

    @property
    def rows(self) -> Iterator[Row]:
        """All that are known here."""
        yield from self.waiting
        yield from self._reading
        yield from self._long.rows if self._long else ()
        for batch in list(self._batches.values()):
            yield from batch.rows

    @property
    def writing(self) -> int:
        """Rows that write now; any thread may ask."""
        return sum(len(batch.rows) for batch in list(self._batches.values()))

    @property
    def cache_tokens(self) -> int:
        """The most tokens whose keys and values are ever kept: of batches, and of prompts being read."""
        context, limits = self._forward.backbone.context, self.limits
        reading = max(self.chunk, context) + limits.rows * ROOM
        return limits.cache_tokens + max(limits.cache_tokens, context + ROOM) + reading

    @property
    def cache_bytes(self) -> int:
        """Allocated for keys and values, those of the prefix cache included."""
        caches = [batch.cache for batch in list(self._batches.values())]
        kept = self.prefixes.tokens
        one = token_bytes(self._forward.backbone.model) if kept else 0
        return sum(cache.bytes for cache in caches) + kept * one

    def step(self, outbox: Outbox) -> None:
        """Read a piece of the prompts that wait, then write one token of every row that writes."""
        with self._forward.step():
            self.prefixes.retain(self._forward.routing.marks)
            self._drop_cancelled(outbox)
            for group, batch in list(self._batches.items()):
                if batch.rows:
                    batch.step(outbox)
                if not batch.rows:  # with it go its keys and values
                    del self._batches[group]
            prefill = self._next_prefill()
            self._leave_room(prefill)
            if prefill:
                self._reading = prefill.rows
                self._read(prefill, outbox)
                self._reading = []

    def clear(self) -> list[Row]:
        """Forget all rows; the caller tells them."""
        rows = list(self.rows)
        self.waiting, self._reading, self._long = [], [], None
        self._batches.clear()
        return rows

    def _drop_cancelled(self, outbox: Outbox) -> None:
        for row in [row for row in self.rows if row.handle.cancelled]:
            outbox.say(row, finish="cancelled")
            if row in self.waiting:
                self.waiting.remove(row)
            elif self._long and row in self._long.rows:
                self._long = None
            else:
                self._batch(row).leave(row)

    def _batch(self, row: Row) -> Batch:
        group = group_of(row)
        if group not in self._batches:
            self._batches[group] = Batch(self._forward, self._ends, self.prefixes)
        return self._batches[group]

    def _read(self, prefill: Prefill, outbox: Outbox) -> None:
        try:
            parts = prefill.advance()
        except Exception as error:
            self._give_up(prefill, error, outbox)
            return
        if not prefill.done:
            return
        if prefill is self._long:
            self._long = None
        self._answer(prefill, parts, outbox)

    def _give_up(self, prefill: Prefill, error: Exception, outbox: Outbox) -> None:
        """A row that failed alone has failed; rows that failed together are tried one by one."""
        if prefill is self._long:
            self._long = None
        if len(prefill.rows) == 1:
            outbox.say(prefill.rows[0], error=error)
            return
        for row in prefill.rows:
            row.nats = 0.0
            self._read(self._prefill([row]), outbox)

    def _answer(self, prefill: Prefill, parts: list[Tensor], outbox: Outbox) -> None:
        """Closed answers are complete; the others take their first token and join a batch."""
        firsts = []
        for row, part in zip(prefill.rows, parts, strict=True):
            if row.writes:
                firsts.append((row, part[-1]))
                continue
            try:
                outbox.say(row, finish="stop", cached=row.read, **_closed(row, part))
            except Exception as error:
                outbox.say(row, error=error)
        if not firsts or prefill.cache is None:
            return
        rows, logits = [row for row, _ in firsts], torch.stack([one for _, one in firsts])
        for row in rows:
            row.begin(self._forward.backbone.device)
        going = write(rows, logits, self._forward, self._ends, outbox)
        rows = list(prefill.rows)
        for place in reversed(range(len(rows))):
            if not any(rows[place] is row for row in going):
                rows[place] = rows[-1]
                rows.pop()
                prefill.cache.drop(place)
        if rows:
            self._batch(rows[0]).join(rows, prefill.cache)

    def _next_prefill(self) -> Prefill | None:
        """A group of short prompts or a piece of a long one, in turns."""
        if self._long is None:
            self._long = self._start_long()
        self._turn = not self._turn
        if self._long and self._turn:
            return self._long
        rows = self._group()
        return self._prefill(rows) if rows else self._long

    def _start_long(self) -> Prefill | None:
        for row in self.waiting:
            if self._unread(row) > self.chunk and self._fits(row, []):
                self.waiting.remove(row)
                return self._prefill([row])
        return None

    def _prefill(self, rows: Sequence[Row]) -> Prefill:
        return Prefill(rows, self._forward, self.chunk, self.prefixes)

    def _unread(self, row: Row) -> int:
        """Tokens of its prompt that the prefix cache does not hold."""
        mark, most = self._forward.mark(row.key), len(row.tokens) - row.wanted
        return len(row.tokens) - (self.prefixes.match(mark, row.tokens[:most]) if mark else 0)

    def _group(self) -> list[Row]:
        """The rows that have waited longest and fit into one pass."""
        chosen = Together(self.chunk, max(self.chunk, self._forward.backbone.context))
        full: set[Group] = set()
        for row in self.waiting[:_LOOKED_AT]:
            unread = self._unread(row)
            if unread > self.chunk or not chosen.takes(row, unread):
                continue
            if row.writes and (group_of(row) in full or not self._fits(row, chosen.rows)):
                full.add(group_of(row))  # who came later does not overtake it
                continue
            chosen.add(row, unread)
        taken = {id(row) for row in chosen.rows}
        self.waiting = [row for row in self.waiting if id(row) not in taken]
        return chosen.rows

    def _fits(self, row: Row, chosen: Iterable[Row]) -> bool:
        """Whether the row and its keys and values have a place beside those that write."""
        if not row.writes:
            return True
        coming = [one for one in (*chosen, *(self._long.rows if self._long else ())) if one.writes]
        if self.writing + len(coming) >= self.limits.rows:
            return False
        alike = self._alike((row, *coming), long=group_of(row)[1])
        return alike == [[row]] or sum(map(reserved, alike)) <= self.limits.cache_tokens

    def _alike(self, coming: Iterable[Row], *, long: bool) -> list[list[Row]]:
        """Who will write together once these rows have come, of the ordinary batches or the long ones."""
        mates = {one: list(batch.rows) for one, batch in self._batches.items()}
        for one in coming:
            mates.setdefault(group_of(one), []).append(one)
        return [rows for group, rows in mates.items() if group[1] == long and rows]

    def _leave_room(self, prefill: Prefill | None) -> None:
        """The prefix cache has what ordinary rows do not need."""
        coming = [row for row in (prefill.rows if prefill else ()) if row.writes]
        taken = sum(map(reserved, self._alike(coming, long=False)))
        most = self.limits.cache_tokens if self.limits.prefix_cache else 0
        self.prefixes.shrink(max(0, most - taken))


def _closed(row: Row, logits: Tensor) -> dict[str, Any]:
    if row.request.targets:
        return {"nats": row.nats, "computed": len(row.request.targets)}
    check(logits)
    return {"probabilities": row.rank(logits[-1]), "computed": 1}
