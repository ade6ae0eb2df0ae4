"""From the name of a backbone to an engine on it: the imports that takes, and the weights."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from core.backbone import catalogue

if TYPE_CHECKING:
    from core.backbone import Backbone, Dtype
    from core.engine.engine import Engine
    from core.service import Service
    from core.task import Task


def open_engine(
    backbone: str | None = None, *, device: str = "auto", dtype: Dtype = "auto"
) -> Engine:
    """The engine on a backbone: a known name, a folder, a `.gguf` file or a hub id."""
    with quick_imports():
        from core.engine.engine import Engine

        return Engine(_loaded(backbone, device, dtype))


def open_service(
    tasks: Mapping[str, Task[Any]],
    backbone: str | None = None,
    *,
    device: str = "auto",
    dtype: Dtype = "auto",
) -> Service:
    """All these tasks on one engine."""
    with quick_imports():
        from core.service import Service

        return Service(_loaded(backbone, device, dtype), tasks)


def open_tokenizer(backbone: str | None = None) -> tuple[Any, int]:
    """The tokenizer of a backbone and its context length; no weights are read."""
    source = catalogue.resolve(backbone)
    with quick_imports():
        from core.backbone.loading import load_tokenizer

        silence_transformers()
        return load_tokenizer(source)


def _loaded(backbone: str | None, device: str, dtype: Dtype) -> Backbone:
    from core.backbone import load
    from core.hardware import pick_device

    source = catalogue.resolve(backbone)
    silence_transformers()
    return load(source, device=pick_device(device), dtype=dtype)


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


def silence_transformers() -> None:
    """It draws bars and gives advice that is not for our users."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
