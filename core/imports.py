"""torch and transformers for less than they take to import: what a process does not use stays away."""

from __future__ import annotations

import gc
import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any


@contextmanager
def quick_imports() -> Iterator[None]:
    """Imports at two thirds of their time: nothing of what they make can be collected anyway.

    torch and transformers load 3,000 modules; walking these again and again takes 1.5 s of 6.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@contextmanager
def imports_for_good() -> Iterator[None]:
    """As `quick_imports`, for a process of our own: what they made is not looked through later either.

    Without it the first collection after the imports, and those at the end, walk all of it: 0.8 s.
    """
    with quick_imports():
        yield
        gc.freeze()


@contextmanager
def without_detection() -> Iterator[None]:
    """transformers without scipy, which its losses for object detection take 0.4 s to import.

    For a process of our own: in one that also trains detectors they would miss it.
    """
    from transformers import utils

    given = utils.is_scipy_available
    utils.is_scipy_available = lambda: False
    try:
        import transformers.loss.loss_utils  # noqa: F401

        yield
    finally:
        utils.is_scipy_available = given


@contextmanager
def on_one_process() -> Iterator[None]:
    """transformers and peft as where torch has no `distributed`: without its sharded tensors.

    They ask once, when they are imported, so what is imported here must never shard a model.
    """
    import torch

    given = torch.distributed.is_available
    torch.distributed.is_available = lambda: False
    try:
        yield
    finally:
        torch.distributed.is_available = given


@contextmanager
def without_compiler() -> Iterator[None]:
    """transformers without `torch._dynamo`, 700 modules for a few decorators that guide a compiler.

    What is imported here must not be compiled: those decorators have left it as it was.
    """
    import torch

    if _COMPILER in sys.modules:
        yield
        return
    stand_in, masks = _NoCompiler(_COMPILER), ModuleType(_MASKS)
    masks.TransformGetItemToIndex = _transform_later  # type: ignore[attr-defined]
    sys.modules.update({_COMPILER: stand_in, _MASKS: masks})
    torch._dynamo = stand_in
    try:
        yield
    finally:
        _bring_back()


@contextmanager
def to_answer() -> Iterator[None]:
    """All of this, in a process that answers: it trains nothing, compiles nothing, shards nothing."""
    with imports_for_good(), on_one_process(), without_compiler(), without_detection():
        yield


_COMPILER = "torch._dynamo"
_MASKS = "torch._dynamo._trace_wrapped_higher_order_op"
"""The one part of it that `transformers.masking_utils` names as it is imported."""


class _NoCompiler(ModuleType):
    """`torch._dynamo` where nothing is compiled; what else is asked of it brings the real one."""

    def __getattr__(self, name: str) -> Any:
        if name in ("disable", "allow_in_graph", "assume_constant_result"):
            return _as_it_is
        if name.startswith("__") and name != "__path__":
            raise AttributeError(name)
        return getattr(_compiler(), name)


def _as_it_is(function: Callable[..., Any] | None = None, *_: Any, **__: Any) -> Any:
    return function or _as_it_is


def _transform_later(*arguments: Any) -> Any:
    _bring_back()
    return importlib.import_module(_MASKS).TransformGetItemToIndex(*arguments)


def _compiler() -> ModuleType:
    _bring_back()
    return importlib.import_module(_COMPILER)


def _bring_back() -> None:
    """Nothing stands in any more: whoever imports the compiler from now on gets it."""
    import torch

    if isinstance(sys.modules.get(_COMPILER), _NoCompiler):
        del sys.modules[_COMPILER], sys.modules[_MASKS], torch._dynamo
