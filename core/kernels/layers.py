"""The linear layers of a model, or those that read the same one after another, as kernels read them.

A layer is (weight, scales, most). The weight (out, in) is in fp32, in bf16 as the bits (uint16) of each number, in
int8, with `scales` and `most` as `whole.add_whole` takes them, which are else empty and 0; or it is a tuple of
weights in blocks, in bf16 those of `halves`, in int8 of `whole.add_whole_blocks` with what it wants around them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numba import types
from numba.extending import overload
from torch import Tensor

from core.kernels.compiling import THREADS, compiled
from core.kernels.halves import add_blocks, add_rows, in_rows
from core.kernels.products import add_plain
from core.kernels.registers import MULTIPLIES_HALVES
from core.kernels.whole import add_whole, add_whole_blocks

AT_MOST = 3
"""Layers that read the same: queries, keys and values."""
_NONE = np.empty(0, np.float32)


def _add(y: Any, x: Any, weight: Any, scales: Any, most: Any, threads: Any) -> None:
    """By the kind of the weight."""


@overload(_add)
def _add_kind(y: Any, x: Any, weight: Any, scales: Any, most: Any, threads: Any) -> Any:
    def plain(y: Any, x: Any, weight: Any, scales: Any, most: Any, threads: Any) -> None:
        add_plain(y, x, weight, threads)

    def halves(y: Any, x: Any, weight: Any, scales: Any, most: Any, threads: Any) -> None:
        if len(x) > 1 and in_rows(weight):
            add_rows(y, x, weight, threads)
        else:  # one token waits for the memory, however it is multiplied
            add_plain(y, x, weight, threads)

    def blocks(y: Any, x: Any, weight: Any, scales: Any, most: Any, threads: Any) -> None:
        add_blocks(y, x, weight, threads)

    def whole_blocks(y: Any, x: Any, weight: Any, scales: Any, most: Any, threads: Any) -> None:
        add_whole_blocks(y, x, weight, scales, threads)

    if isinstance(weight, types.UniTuple):
        return whole_blocks if weight.dtype.dtype == types.int32 else blocks
    if weight.dtype == types.int8:
        return add_whole.py_func
    return halves if weight.dtype == types.uint16 and MULTIPLIES_HALVES else plain


@compiled
def onto(y: Any, x: Any, layer: Any, threads: Any) -> None:
    """Onto y (tokens, out) the product of x (tokens, in), both fp32, and a layer."""
    weight, scales, most = layer
    _add(y, x, weight, scales, most, threads)


def add(y: Tensor, x: Tensor, layer: Any) -> None:
    """The same of tensors, which are contiguous."""
    with THREADS as threads:
        onto(y.numpy(), x.numpy(), layer, threads)


def array(numbers: Tensor) -> Any:
    """Where they lie: in fp32, or the bits of bf16."""
    return (numbers.view(torch.uint16) if numbers.dtype == torch.bfloat16 else numbers).numpy()


def tensor(numbers: Any) -> Tensor:
    """And back."""
    found = torch.from_numpy(numbers)
    return found.view(torch.bfloat16) if numbers.dtype == np.uint16 else found


def as_it_lies(weight: Tensor) -> tuple[Any, Any, np.float32]:
    """A layer of a weight (out, in) in fp32 or bf16."""
    return array(weight.detach()), _NONE, np.float32(0)


def _three(blocks: Sequence[Any]) -> tuple[Any, ...]:
    """As many as read the same at most, so that one kernel is compiled for any number."""
    return *blocks, *[blocks[0][:0]] * (AT_MOST - len(blocks))


def in_blocks(weights: Sequence[Any]) -> tuple[Any, Any, np.float32]:
    """A layer of weights in blocks (out / 64, in / 2, 64)."""
    return _three(weights), _NONE, np.float32(0)


def in_whole_blocks(parts: Sequence[tuple[Tensor, Tensor, Tensor]]) -> tuple[Any, Any, np.float32]:
    """A layer of weights in blocks (out / 64, in / 4, 64), each with its scales and what zeros come to."""
    blocks, *around = zip(*parts, strict=True)
    scales, zeros = (torch.cat(one).numpy() for one in around)
    return _three([one.numpy() for one in blocks]), (scales, zeros), np.float32(0)
