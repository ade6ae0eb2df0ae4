"""Encoded rows → batches of similar length under a token budget, the loss on the answer only."""

from __future__ import annotations

import inspect
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from core.engine.prompting import Encoded
from core.errors import BadSetting

_JITTER = 0.15
"""Lengths are sorted with this much noise, so that an epoch groups rows anew."""


@dataclass(frozen=True)
class Batch:
    """Padded on the right, where causal attention does not look."""

    ids: Tensor
    """(rows, longest)"""
    kept: Tensor
    """(rows, longest), true where the next token is learned."""
    targets: Tensor
    """(true places of `kept`,)"""
    tokens: int
    """Read, without padding."""
    lengths: Tensor
    """(rows,), without padding."""


def share(batch: Batch, rank: int, world: int) -> Batch:
    """Every `world`th row, from `rank` on; where there is none, one row that teaches nothing."""
    mine = torch.arange(len(batch.ids)) % world == rank
    if not mine.any():
        nothing = torch.zeros_like(batch.kept[:1])
        return Batch(batch.ids[:1], nothing, batch.targets[:0], 0, batch.lengths[:1])
    lengths = batch.lengths[mine]
    longest = int(lengths.max())
    places = mine.repeat_interleave(batch.kept.sum(1))
    ids, kept = batch.ids[mine, :longest], batch.kept[mine, :longest]
    return Batch(ids, kept, batch.targets[places], int(lengths.sum()), lengths)


@dataclass(frozen=True)
class Shape:
    """Of one batch: what memory it takes follows from these."""

    rows: int
    longest: int
    learned: int
    """Places whose next token is learned."""


@dataclass
class Plan:
    """Which rows each step reads: a function of the step and the seed alone."""

    rows: Sequence[Encoded]
    padding: int
    max_tokens: int
    max_rows: int
    seed: int
    _batches: list[list[int]] = field(default_factory=list)
    _epochs: int = 0

    def __post_init__(self) -> None:
        """A longer row would make a batch of its own, however much memory that takes."""
        longest = max((len(row.input_ids) for row in self.rows), default=0)
        if longest > self.max_tokens:
            raise BadSetting(
                f"A row of {longest} tokens does not fit into a batch of max_batch_tokens = "
                f"{self.max_tokens}. Raise that, or set --max-length {self.max_tokens} or less."
            )

    @property
    def per_epoch(self) -> int:
        """Batches of the first pass over the rows; later passes differ by very few."""
        return len(self._epoch(0))

    def shapes(self) -> list[Shape]:
        """Of all batches of the first pass."""
        return [self._shape([self.rows[place] for place in batch]) for batch in self._epoch(0)]

    @staticmethod
    def _shape(rows: Sequence[Encoded]) -> Shape:
        lengths = [len(row.input_ids) for row in rows]
        learned = sum(lengths) - sum(row.answer_start for row in rows)
        return Shape(len(rows), max(lengths), learned)

    def at(self, number: int) -> Batch:
        """The batch of that number."""
        while number >= len(self._batches):
            self._batches += self._epoch(self._epochs)
            self._epochs += 1
        return collate([self.rows[place] for place in self._batches[number]], self.padding)

    def _epoch(self, epoch: int) -> list[list[int]]:
        chance = random.Random(f"{self.seed}-{epoch}")
        noise = [chance.uniform(1 - _JITTER, 1 + _JITTER) for _ in self.rows]
        lengths = [len(row.input_ids) for row in self.rows]
        order = sorted(range(len(lengths)), key=lambda place: lengths[place] * noise[place])
        batches: list[list[int]] = []
        longest = 0
        for place in order:
            longest = max(longest, lengths[place])
            full = not batches or len(batches[-1]) >= self.max_rows
            if full or longest * (len(batches[-1]) + 1) > self.max_tokens:
                batches.append([])
                longest = lengths[place]
            batches[-1].append(place)
        chance.shuffle(batches)
        return batches


def collate(rows: Sequence[Encoded], padding: int) -> Batch:
    """Right-padded ids and where their next token is learned."""
    longest = max(len(row.input_ids) for row in rows)
    ids = torch.full((len(rows), longest), padding)
    kept = torch.zeros((len(rows), longest), dtype=torch.bool)
    for number, row in enumerate(rows):
        ids[number, : len(row.input_ids)] = torch.tensor(row.input_ids)
        kept[number, row.answer_start - 1 : len(row.input_ids) - 1] = True
    targets = ids.roll(-1, 1)[kept]
    lengths = torch.tensor([len(row.input_ids) for row in rows])
    return Batch(ids, kept, targets, int(lengths.sum()), lengths)


def answer_loss(model: nn.Module, batch: Batch) -> tuple[Tensor, int, int]:
    """Summed nats of the answers; logits are computed at their places only."""
    device = next(model.parameters()).device
    ids, kept, targets = (x.to(device) for x in (batch.ids, batch.kept, batch.targets))
    if _keeps_logits(model):
        # A boolean mask: integers would be read as positions.
        logits = model(input_ids=ids, use_cache=False, logits_to_keep=kept).logits
        logits = logits.reshape(-1, logits.shape[-1])
    else:
        logits = model(input_ids=ids, use_cache=False).logits[kept]
    loss = functional.cross_entropy(logits.float(), targets, reduction="sum")
    return loss, len(targets), batch.tokens


def _keeps_logits(model: nn.Module) -> bool:
    inner = getattr(model, "module", model)  # DistributedDataParallel
    return "logits_to_keep" in inspect.signature(inner.forward).parameters
