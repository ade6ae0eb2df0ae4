"""How kernels are compiled, and with how many threads they run."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable, Set
from pathlib import Path
from typing import Any

import numba
import torch
from numba.core import event

_INEXACT: Set[str] = {"reassoc", "contract"}
"""Sums in any order, and products added unrounded; infinities and NaN stay what they are."""

_SOURCES = hashlib.sha256(
    b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
).hexdigest()
"""Of all kernels. Numba looks for changes in the file of a function alone, not in what it calls."""


class _FirstTime(event.Listener):
    """Says that something is compiled, once a process."""

    told = False

    def on_start(self, event: Any) -> None:
        if not self.told:
            self.told = True
            text = "Compiling kernels for this processor, for up to half a minute, the first time only."
            logging.getLogger(__name__).warning(text)

    def on_end(self, event: Any) -> None:
        pass


_FIRST_TIME = _FirstTime()


def compiled(
    function: Callable[..., Any], *, parallel: bool = False, inexact: Set[str] = _INEXACT
) -> Any:
    """For this processor at the first call, and kept for the next process where a folder may be written."""
    options: Any = {"fastmath": set(inexact), "nogil": True, "parallel": parallel}
    options["error_model"] = "numpy"  # a division that may raise is none of many at once
    try:
        made: Any = numba.njit(cache=True, **options)(function)
        made._cache._cache_file._source_stamp = _SOURCES
    except (RuntimeError, AttributeError):  # numba finds no such folder, or keeps things otherwise
        made = numba.njit(**options)(function)
    return made


def ordered(function: Callable[..., Any]) -> Any:
    """`compiled`, where no number that is none need come out as such: comparisons are then of many at once."""
    return compiled(function, inexact=_INEXACT | {"nnan", "nsz"})


def shared(function: Callable[..., Any]) -> Any:
    """`compiled`, its `prange` done by several threads."""
    return compiled(function, parallel=True)


def for_this_processor() -> bool:
    """Whether kernels may use all its instructions: nobody told numba of another."""
    config: Any = numba.config
    return not config.CPU_NAME and not config.CPU_FEATURES and bool(config.ENABLE_AVX)


class Threads:
    """As many as torch has, for kernels that share their work; one kernel at a time.

    Numba's pool may be torch's own OpenMP, which it tells another number of threads when it starts.
    """

    def __init__(self) -> None:
        self._alone = threading.Lock()
        before = torch.get_num_threads()
        numba.set_num_threads(1)
        torch.set_num_threads(before)

    def __enter__(self) -> int:
        self._alone.acquire()
        most: int = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
        number = min(torch.get_num_threads(), most)
        numba.set_num_threads(number)
        return number

    def __exit__(self, *error: object) -> None:
        self._alone.release()


event.register("numba:compile", _FIRST_TIME)
THREADS = Threads()
