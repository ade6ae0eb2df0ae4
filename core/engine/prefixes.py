"""The prefix cache: keys and values of texts that were read, for prompts that begin alike.

They are kept in blocks of tokens, each known by its adapter, its tokens and the block before it, as in
vLLM: texts that begin alike share blocks, and those that nobody read for longest go first.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

BLOCK = 16
"""Tokens of a block; what is left of a text is read anew."""
_SEEN = 1024
"""Beginnings of closed prompts that are remembered until they are seen again."""

Mark = tuple[str | None, int]
"""An adapter, and how often its weights were set. The backbone is that of the engine."""
_Place = tuple[Mark, int, tuple[int, ...]]
"""Of a block: its adapter, the number of the block before it, its tokens."""


@dataclass(frozen=True, eq=False)
class _Block:
    number: int
    parts: tuple[Tensor, ...]
    """Keys and values of each layer (heads, tokens, size)."""


class Prefixes:
    """Belongs to the engine's thread."""

    def __init__(self) -> None:
        self._blocks: OrderedDict[_Place, _Block] = OrderedDict()
        self._seen: OrderedDict[tuple[Mark, tuple[int, ...]], None] = OrderedDict()
        self._numbers = count(1)
        self._room = 0

    @property
    def tokens(self) -> int:
        """Whose keys and values are kept; any thread may ask."""
        return len(self._blocks) * BLOCK

    def match(self, mark: Mark, tokens: Sequence[int]) -> int:
        """So many of the first tokens are kept."""
        return len(self._chain(mark, tokens)) * BLOCK

    def read(self, mark: Mark, tokens: Sequence[int], number: int) -> list[Tensor]:
        """Keys and values of each layer (heads, number, size) of the first tokens, which `match`."""
        places = self._chain(mark, tokens)[: -(-number // BLOCK)]
        self._use(places)
        blocks = [self._blocks[place].parts for place in places]
        return [torch.cat(parts, 1)[:, :number] for parts in zip(*blocks, strict=True)]

    def store(
        self, mark: Mark, tokens: Sequence[int], values: Callable[[slice], list[Tensor]]
    ) -> None:
        """Keep the whole blocks of a text that was read, as far as there is room.

        `values` copies those of some of its tokens.
        """
        places: list[_Place] = []
        before = 0
        for start in range(0, min(len(tokens), self._room) - BLOCK + 1, BLOCK):
            place = (mark, before, tuple(tokens[start : start + BLOCK]))
            if place not in self._blocks:
                self._evict(self._room - BLOCK)
                parts = tuple(values(slice(start, start + BLOCK)))
                self._blocks[place] = _Block(next(self._numbers), parts)
            self._blocks.move_to_end(place)
            places.append(place)
            before = self._blocks[place].number
        self._use(places)

    def returns(self, mark: Mark, tokens: Sequence[int]) -> bool:
        """Whether a text that begins like this one was asked about before."""
        first = (mark, tuple(tokens[:BLOCK]))
        known = first in self._seen
        self._seen[first] = None
        self._seen.move_to_end(first)
        if len(self._seen) > _SEEN:
            self._seen.popitem(last=False)
        return known

    def shrink(self, room: int) -> None:
        """Keep at most so many tokens from now on."""
        self._room = room
        self._evict(room)

    def retain(self, marks: Container[Mark]) -> None:
        """Forget what other adapters have read."""
        for place in [place for place in self._blocks if place[0] not in marks]:
            del self._blocks[place]

    def _evict(self, room: int) -> None:
        while self._blocks and self.tokens > room:
            self._blocks.popitem(last=False)

    def _use(self, places: Sequence[_Place]) -> None:
        """The first block is kept longest: the others are found through it."""
        for place in reversed(places):
            self._blocks.move_to_end(place)

    def _chain(self, mark: Mark, tokens: Sequence[int]) -> list[_Place]:
        """The blocks that hold the first tokens."""
        found: list[_Place] = []
        before = 0
        for start in range(0, len(tokens) - BLOCK + 1, BLOCK):
            place = (mark, before, tuple(tokens[start : start + BLOCK]))
            if place not in self._blocks:
                break
            found.append(place)
            before = self._blocks[place].number
        return found
