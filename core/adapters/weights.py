"""The weights in an adapter's folder, checked before anything uses them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from core.adapters.passport import WEIGHTS
from core.errors import Damaged, MissingAdapter

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["WEIGHTS", "first_line", "idle", "present", "read_weights", "whole"]


def read_weights(folder: Path) -> dict[str, Tensor]:
    """The tensors of an adapter's folder; values that are not numbers are refused."""
    path = present(folder, WEIGHTS)
    try:
        weights = load_file(path)
    except (SafetensorError, OSError) as error:
        raise Damaged(
            f"{path} cannot be read: {first_line(error)}. Copy or train it again."
        ) from error
    for key, tensor in weights.items():
        if not bool(torch.isfinite(tensor).all()):
            raise Damaged(f"{path}: {key} holds values that are not numbers. Train it again.")
    return weights


def idle(weights: Mapping[str, Tensor]) -> bool:
    """Whether the adapter changes no logits: it is low-rank products, and every one is zero."""
    firsts = {key: one for key, one in weights.items() if ".lora_A." in key}
    seconds = {key.replace(".lora_A.", ".lora_B."): one for key, one in firsts.items()}
    if len(weights) != len(firsts) + sum(key in weights for key in seconds):
        return False
    return not any(bool(one.any() and weights[key].any()) for key, one in seconds.items())


def whole(value: Any) -> Any:
    """A tensor in shards gathered, which all processes must do together; anything else as it is."""
    return value.full_tensor() if hasattr(value, "full_tensor") else value


def present(folder: Path, name: str) -> Path:
    """The file of that name in an adapter's folder; `MissingAdapter` where there is none."""
    path = Path(folder) / name
    if not path.is_file():
        raise MissingAdapter(
            f"No adapter in {folder}: {name} is missing. Train one or give --adapter."
        )
    return path


def first_line(error: Exception) -> str:
    """An error of a library in one line."""
    return (str(error).splitlines() or [type(error).__name__])[0]
