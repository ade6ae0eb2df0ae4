"""Several processes on one run (`torchrun`): one of them writes and reports, all agree on what it found."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar, cast

from core import hardware
from finetune.training import shards

if TYPE_CHECKING:
    from torch import nn

T = TypeVar("T")
_PASS, _DONE, _FAILED = "pass", "done", "failed"
"""What the first process tells the others."""
_PATIENCE = timedelta(hours=12)
"""How long the others wait while one validates or scores."""


def several() -> bool:
    """Whether this is one of several processes that a launcher started."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def first() -> bool:
    """Whether this process is the one that writes and reports; alone, it is."""
    return int(os.environ.get("RANK", "0")) == 0


def start(device: str) -> None:
    """Meet the other processes, and take the first one's measure of the machine for all.

    Raises `BadSetting` for what a launcher may ask and the loop cannot do.
    """
    shards.check()
    if not several():
        return
    from accelerate import PartialState

    place = hardware.pick_device(device)
    PartialState(cpu=place == "cpu", timeout=_PATIENCE)
    hardware.remember(place, by_first(lambda: hardware.measure(place)))


def by_first(work: Callable[[], T], model: nn.Module | None = None) -> T:
    """What the first process makes of `work`, for all; the others wait, and end where it fails.

    Where `model` is in shards, they take part in every pass of it that `work` makes.
    """
    if not several():
        return work()
    if not first():
        return cast(T, _follow(model))
    try:
        with _announced(model):
            made = work()
    except BaseException:
        _broadcast(_FAILED)
        raise
    _broadcast((_DONE, made))
    return made


def _follow(model: nn.Module | None) -> Any:
    while (told := _broadcast(None)) == _PASS:
        shards.empty_pass(model)
    if told == _FAILED:
        raise SystemExit(2)
    return told[1]


@contextmanager
def _announced(model: nn.Module | None) -> Iterator[None]:
    """Within the block the other processes hear of each pass before its first layer is gathered."""
    if model is None or not shards.sharded(model):
        yield
        return
    hook = model.register_forward_pre_hook(lambda *_: _announce(), prepend=True)
    try:
        yield
    finally:
        hook.remove()


def _announce() -> None:
    _broadcast(_PASS)


def _broadcast(told: Any) -> Any:
    from accelerate.utils import broadcast_object_list

    (heard,) = broadcast_object_list([told])
    return heard
