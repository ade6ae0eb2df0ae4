"""`quintet doctor`: what this machine has, what is installed, what is missing."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
from collections.abc import Iterable
from typing import Any

from core import hardware, store
from core.adapters import registry
from core.backbone import catalogue
from core.backbone.loading import name_of
from core.errors import QuintetError

_LIBRARIES = (
    *("torch", "transformers", "peft", "accelerate", "datasets"),
    *("evaluate", "gradio", "tokenizers", "scikit-learn", "sacrebleu"),
)


def facts(tasks: Iterable[str]) -> dict[str, Any]:
    """Name → fact, in an order to read."""
    found = hardware.measure(hardware.pick_device())
    bf16 = "pays" if found.bf16_pays else "does not pay"
    return {
        "python": platform.python_version(),
        **{name: _version(name) for name in _LIBRARIES},
        "device": found.device,
        "threads": found.cores,
        "memory": f"{found.memory / 2**30:.1f} GiB",
        "matrix products, fp32": f"{found.flops_fp32 / 1e9:.0f} GFLOP/s",
        "matrix products, bf16": f"{found.flops_bf16 / 1e9:.0f} GFLOP/s ({bf16})",
        "home": str(store.home()),
        **{f"backbone {name}": _backbone(known) for name, known in catalogue.KNOWN.items()},
        "default backbone": catalogue.default(),
        **{f"adapter for {task}": _adapter(task) for task in tasks},
        "chromium, for the page tests": shutil.which("chromium") or "MISSING",
    }


def _version(library: str) -> str:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return f"MISSING: pip install {library}"


def _backbone(known: catalogue.Known) -> str:
    return str(known.folder) if known.present else f"not here: quintet backbone get {known.name}"


def _adapter(task: str) -> str:
    try:
        return str(registry.find(task, name_of(catalogue.resolve(None))))
    except QuintetError as error:
        return f"MISSING. {error}"
