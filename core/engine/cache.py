"""The keys and values of a batch whose rows come and go, as a cache of transformers.

All rows end in the same column, whatever their length: what is missing on the left is padding. So the
model's own masks, sliding windows included, hold for every row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers.cache_utils import (
    Cache,
    CacheLayerMixin,
    DummyLayer,
    DynamicCache,
    DynamicLayer,
    DynamicSlidingWindowLayer,
)

from core.errors import BadSetting

if TYPE_CHECKING:
    from transformers import PreTrainedModel

ROOM = 64
"""Columns that are allocated ahead: a batch is moved once in so many steps."""


def allocated(rows: int, columns: int) -> int:
    """Tokens that are kept room for, at most, when a batch grows to so many rows and columns."""
    return _rows(rows) * (columns + ROOM)


def _rows(rows: int) -> int:
    """A power of two, so that rows that join one by one seldom move the batch."""
    return 1 << (rows - 1).bit_length()


class _Window:
    """The part of the tensors in use: some rows, and the columns from `start` to `end`."""

    def __init__(self) -> None:
        self.rows = slice(0, 0)
        self.start = self.end = 0

    @property
    def length(self) -> int:
        return self.end - self.start


class _Layer(CacheLayerMixin):
    """Keys and values (rows, heads, columns, size), with unused rows and columns around the batch."""

    is_sliding = False

    def __init__(self, window: _Window) -> None:
        super().__init__()
        self._window = window
        self.parts: list[Tensor] = []
        """Keys and values; empty before the first pass."""

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        columns = self._window.end + key_states.shape[2] + ROOM
        self.allocate((key_states[0], value_states[0]), len(key_states), columns)

    def allocate(self, like: Sequence[Tensor], rows: int, columns: int) -> None:
        """Zeros, of the heads and sizes of one row's keys and values (heads, tokens, size)."""
        self.parts = [one.new_zeros(rows, one.shape[0], columns, one.shape[2]) for one in like]
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Write behind `end`; it counts once the whole pass has succeeded (`RowCache.advance`)."""
        if not self.parts:
            self.lazy_initialization(key_states, value_states)
        window, (keys, values) = self._window, self.parts
        after = window.end + key_states.shape[2]
        keys[window.rows, :, window.end : after] = key_states
        values[window.rows, :, window.end : after] = value_states
        seen = (window.rows, slice(None), slice(window.start, after))
        return keys[seen], values[seen]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self._window.length + query_length, 0

    def get_seq_length(self) -> int:
        return self._window.length

    def get_max_length(self) -> int:
        return -1


class _SlidingLayer(_Layer):
    """Kept whole: the model's mask hides what lies before the window."""

    is_sliding = True


_KINDS: dict[type, type[_Layer]] = {
    DynamicLayer: _Layer,
    DynamicSlidingWindowLayer: _SlidingLayer,
}


class RowCache:
    """One batch: transformers writes into `cache`; rows join, leave and are counted here."""

    def __init__(self, model: PreTrainedModel) -> None:
        self.lengths: list[int] = []
        """Tokens of each row."""
        self._window = _Window()
        self.cache = Cache(layers=[self._like(one) for one in _layers(model)])

    def _like(self, layer: Any) -> Any:
        return layer if isinstance(layer, DummyLayer) else _KINDS[type(layer)](self._window)

    @property
    def columns(self) -> int:
        """Of the longest row."""
        return self._window.length

    @property
    def first(self) -> int:
        """Where the rows begin in the `parts` of a layer (rows, heads, columns, size)."""
        return self._window.rows.start

    @property
    def end(self) -> int:
        """The column there behind the last token of every row."""
        return self._window.end

    @property
    def bytes(self) -> int:
        """What is allocated."""
        return sum(part.numel() * part.element_size() for part in self._parts())

    def begin(self, rows: int) -> None:
        """Empty rows, all of which the first pass will fill."""
        self.lengths = [0] * rows
        self._window.rows = slice(0, rows)

    def fill(self, held: Sequence[Sequence[Tensor]], tokens: int) -> None:
        """Begin with rows that hold something: keys and values of each layer (heads, held, size).

        A row without any is empty. So many `tokens` of each will follow.
        """
        self.begin(len(held))
        self.lengths = [row[0].shape[1] if row else 0 for row in held]
        width = max(self.lengths)
        like = next(row for row in held if row)
        for place, layer in enumerate(self._layers()):
            pair = like[2 * place : 2 * place + 2]
            layer.allocate(pair, len(held), width + tokens + ROOM)
            for row, length in enumerate(self.lengths):
                for part, kept in zip(layer.parts, held[row][2 * place :], strict=False):
                    part[row, :, width - length : width] = kept
        self._window.end = width

    def values(self, row: int, tokens: slice) -> list[Tensor]:
        """A copy of a row's keys and values of each layer (heads, tokens, size)."""
        start = self._window.end - self.lengths[row]
        columns = slice(start + tokens.start, start + tokens.stop)
        return [part[row, :, columns].clone() for part in self._parts()]

    def prepare(self, tokens: int) -> None:
        """Make room for so many more columns."""
        parts = self._parts()
        if parts and self._window.end + tokens > parts[0].shape[2]:
            self._move(_rows(len(self.lengths)), 0, max(tokens, ROOM))

    def advance(self, counts: list[int]) -> None:
        """A pass has succeeded that wrote so many tokens of each row, padding before them."""
        self._window.end += max(counts)
        self.lengths = [one + more for one, more in zip(self.lengths, counts, strict=True)]
        self._narrow()

    def join(self, other: RowCache) -> None:
        """Take the rows of another batch behind one's own; the other one is used up."""
        if not self.lengths:
            self.lengths, self._window, self.cache = other.lengths, other._window, other.cache
            return
        here, there = len(self.lengths), len(other.lengths)
        width = max(self.columns, other.columns)
        if here + there > len(self._parts()[0]) or width > self._window.end:
            self._move(_rows(here + there), width - self.columns, ROOM)
        end, new = self._window.end, slice(here, here + there)
        before, place = self._window.start, end - other.columns
        for mine, theirs in zip(self._parts(), other._parts(), strict=True):
            # Padding is multiplied with zero, so it must hold numbers.
            mine[:here, :, place:before] = 0
            mine[new, :, before:place] = 0
            mine[new, :, place:end] = theirs[:there, :, other._window.start : other._window.end]
        self.lengths += other.lengths
        self._window.rows = slice(0, here + there)
        self._window.start = min(before, place)

    def drop(self, place: int) -> None:
        """Forget a row; the last one moves to its place."""
        last = len(self.lengths) - 1
        if place != last:
            columns = slice(self._window.start, self._window.end)
            for part in self._parts():
                part[place, :, columns] = part[last, :, columns]
        self.lengths[place] = self.lengths[last]
        self.lengths.pop()
        self._window.rows = slice(0, last)
        self._narrow()

    @contextmanager
    def only(self, place: int) -> Iterator[None]:
        """Within the block a pass sees this row alone."""
        window, lengths = self._window, self.lengths
        rows, start = window.rows, window.start
        window.rows = slice(place, place + 1)
        window.start, self.lengths = window.end - lengths[place], [lengths[place]]
        try:
            yield
        finally:
            window.rows, window.start, self.lengths = rows, start, lengths

    def _layers(self) -> list[_Layer]:
        return [one for one in self.cache.layers if isinstance(one, _Layer)]

    def _parts(self) -> list[Tensor]:
        return [part for layer in self._layers() for part in layer.parts]

    def _narrow(self) -> None:
        self._window.start = self._window.end - max(self.lengths, default=0)

    def _move(self, rows: int, left: int, right: int) -> None:
        """New tensors with so many rows, and so many columns free on both sides."""
        window = self._window
        width, used = window.length, slice(window.start, window.end)
        layers: list[Any] = list(self.cache.layers)
        for layer in layers:
            for place, old in enumerate(getattr(layer, "parts", ())):
                new = old.new_zeros(rows, old.shape[1], left + width + right, old.shape[3])
                new[: len(self.lengths), :, left : left + width] = old[: len(self.lengths), :, used]
                layer.parts[place] = new
        window.start, window.end = left, left + width


def _layers(model: PreTrainedModel) -> list[Any]:
    layers = DynamicCache(config=model.config).layers
    for layer in layers:
        if type(layer) not in _KINDS and not isinstance(layer, DummyLayer):
            raise BadSetting(
                f"{type(model).__name__} remembers through {type(layer).__name__}; only models "
                "whose layers keep keys and values can write. Take another backbone."
            )
    return list(layers)


def remembers(model: PreTrainedModel) -> bool:
    """Whether all its layers that remember keep keys and values."""
    try:
        return bool(_layers(model))
    except BadSetting:
        return False


def token_bytes(model: PreTrainedModel) -> int:
    """Bytes of the keys and values of one token."""
    config: Any = model.config.get_text_config(decoder=True)
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    kept = sum(not isinstance(layer, DummyLayer) for layer in _layers(model))
    return int(2 * kept * heads * size * torch.finfo(model.dtype).bits // 8)
