"""The products of a few tokens with a weight on a CPU: by `core.kernels`, once these are loaded.

They are for whoever writes tokens one by one, or has read many. A prompt by itself would wait longer for
kernels than for itself.
"""

from __future__ import annotations

import ctypes
import logging
import sys
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

FEW = 24
"""Tokens for which kernels are quicker than torch's products."""
_LEFT = 64
"""Tokens for which a weight in bf16 is quicker as the left factor, which oneDNN takes as it lies."""
_KERNELS = "core.kernels.layers"
BLOCK = 64
"""Outputs of a block that kernels read."""


def product(x: Tensor, weight: Tensor) -> Tensor:
    """y (tokens, out) from x (tokens, in) and a weight (out, in), as it lies."""
    if x.dtype == weight.dtype and readable(weight) and (kernels := kernels_for(len(x))):
        return by_kernel(x, kernels.as_it_lies(weight), len(weight))
    if weight.dtype == torch.bfloat16 and weight.device.type == "cpu" and len(x) <= _LEFT:
        return torch.mm(weight, x.t()).t().contiguous()
    return nn.functional.linear(x, weight)


def add_product(y: Tensor, x: Tensor, weight: Tensor) -> None:
    """Onto y (tokens, out), in its place."""
    whole = y.dtype == x.dtype == weight.dtype == torch.float32
    if whole and readable(weight) and (kernels := kernels_for(len(x))):
        kernels.add(y, x.contiguous(), kernels.as_it_lies(weight))
    else:
        y.addmm_(x, weight.t())


def by_kernel(x: Tensor, layer: Any, out: int) -> Tensor:
    """y (tokens, out) like x (tokens, in), which is in fp32 or bf16, and a layer for kernels."""
    from core.kernels import layers

    y = torch.zeros(len(x), out)
    layers.add(y, x.float().contiguous(), layer)
    return y.to(x.dtype)


def readable(weight: Tensor) -> bool:
    """Whether kernels can read a weight as it lies."""
    known = weight.dtype in (torch.float32, torch.bfloat16)
    return known and weight.device.type == "cpu" and weight.is_contiguous()


def kernels_for(tokens: int) -> Any | None:
    """For so many tokens, where kernels are loaded."""
    return sys.modules[_KERNELS] if tokens <= FEW and loaded() else None


def loaded() -> bool:
    """Whether kernels were worth loading so far, and can be had."""
    return _KERNELS in sys.modules and compiles()


@cache
def compiles() -> bool:
    """Whether kernels can be had: numba is here, and compiles one."""
    if find_spec("numba") is None:
        return False
    try:
        from core.kernels import layers

        layers.add(torch.zeros(1, 1), torch.ones(1, 1), layers.as_it_lies(torch.ones(1, 1)))
    except Exception as error:  # a numba that does not go with this Python, numpy or processor
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        logging.getLogger(__name__).warning("Kernels cannot be compiled here: %s", reason)
        return False
    return True


def blocks(packed: Tensor, out: int, width: int) -> Any | None:
    """A weight (out, width) that oneDNN packed, for `core.kernels.halves`; None where it lies otherwise."""
    return _memory(packed).reshape(-1, width // 2, BLOCK) if _in_blocks(out, width) else None


@cache
def _in_blocks(out: int, width: int) -> bool:
    """Whether kernels can read what oneDNN makes of such a weight here, tried with one."""
    known = all(hasattr(torch.ops.mkldnn, name) for name in ("data_ptr", "_nbytes"))
    if not (known and multiplies_halves()) or out % BLOCK or width % 2:
        return False
    numbers = torch.arange(out * width).to(torch.int16).view(out, width)
    found = _memory(torch.ops.mkldnn._reorder_linear_weight(numbers.view(torch.bfloat16)))
    expected = numbers.view(-1, BLOCK, width // 2, 2).transpose(1, 2).flatten()
    return np.array_equal(found, expected.numpy().view(np.uint32))


def multiplies_halves() -> bool:
    """Whether kernels can multiply bf16 itself here."""
    return compiles() and bool(_registers().MULTIPLIES_HALVES)


def multiplies_whole() -> bool:
    """Whether kernels can multiply int8 here, four numbers at once."""
    return compiles() and bool(_registers().MULTIPLIES_WHOLE)


def read_prompts() -> bool:
    """Whether kernels that are loaded are quicker for the attention of prompts here."""
    return loaded() and bool(_registers().WIDE)


def _registers() -> Any:
    from core.kernels import registers

    return registers


def _memory(packed: Tensor) -> Any:
    """What oneDNN holds, two numbers in one (uint32), for as long as anybody looks at it."""
    numbers = torch.ops.mkldnn._nbytes(packed) // 4
    held: Any = (ctypes.c_uint32 * numbers).from_address(torch.ops.mkldnn.data_ptr(packed))
    held.owner = packed
    return np.frombuffer(held, np.uint32)
