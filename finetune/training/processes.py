"""Several processes on one run (`torchrun`): one of them writes and reports, all agree on what it found."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from core import hardware
from core.errors import BadSetting

T = TypeVar("T")
_PATIENCE = timedelta(hours=12)
"""How long the others wait while one validates or scores."""
_SHARDED = ("FSDP", "DEEPSPEED", "MEGATRON_LM")
"""As accelerate's launcher names them to the processes that it starts."""


def several() -> bool:
    """Whether this is one of several processes that a launcher started."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def first() -> bool:
    """Whether this process is the one that writes and reports; alone, it is."""
    return int(os.environ.get("RANK", "0")) == 0


def start(device: str) -> None:
    """Meet the other processes, and take the first one's measure of the machine for all.

    Raises `BadSetting` where a launcher asks for a model in shards.
    """
    _refuse_shards()
    if not several():
        return
    from accelerate import PartialState

    place = hardware.pick_device(device)
    PartialState(cpu=place == "cpu", timeout=_PATIENCE)
    hardware.remember(place, by_first(lambda: hardware.measure(place)))


def _refuse_shards() -> None:
    """One process validates and writes for all, so it must have the whole model."""
    for name in _SHARDED:
        if os.environ.get(f"ACCELERATE_USE_{name}", "").lower() in ("true", "1"):
            raise BadSetting(
                f"{name} cuts the model into shards, and one process of ours validates and saves the "
                "whole of it. Begin with torchrun, or accelerate launch --multi_gpu: every process "
                "then holds the backbone."
            )


def by_first(work: Callable[[], T]) -> T:
    """What the first process makes of `work`, for all; the others wait, and end where it fails."""
    if not several():
        return work()
    if not first():
        (done, found), *_ = _broadcast([None])
        if not done:
            raise SystemExit(2)
        return found
    try:
        made = work()
    except BaseException:
        _broadcast([(False, None)])
        raise
    _broadcast([(True, made)])
    return made


def _broadcast(values: list[Any]) -> list[Any]:
    from accelerate.utils import broadcast_object_list

    return list(broadcast_object_list(values))
