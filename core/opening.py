"""From the name of a backbone to an engine on it: the imports that takes, and the weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from core.backbone import catalogue
from core.imports import quick_imports

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
        from core import hardware
        from core.backbone import packed
        from core.service import Service

        found = _loaded(backbone, device, dtype)
        packed.pack(found.model)
        hardware.return_memory()
        return Service(found, tasks)


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


def silence_transformers() -> None:
    """It draws bars and gives advice that is not for our users."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
