"""The configuration of a LoRA adapter, from a person's keys or from a file of a stranger, checked."""

from __future__ import annotations

import dataclasses
import inspect
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import peft
from transformers.pytorch_utils import Conv1D

from core.adapters import ranks
from core.adapters.configuration import CONFIGURATION
from core.adapters.weights import first_line, present
from core.errors import BadSetting, Damaged, Mismatch, nearest

if TYPE_CHECKING:
    from torch import nn

DEFAULTS: Mapping[str, Any] = {
    "r": 8,
    "lora_alpha": 16,
    "lora_dropout": 0.0,
    "target_modules": "all-linear",
    "bias": "none",
}
_KEYS = {field.name for field in dataclasses.fields(peft.LoraConfig)} - {
    *("task_type", "peft_type", "peft_version", "auto_mapping", "base_model_name_or_path"),
    *("revision", "inference_mode", "fan_in_fan_out", "runtime_config", "layer_replication"),
    "alora_invocation_tokens",
}


def lora_config(lora: Mapping[str, Any], model: nn.Module) -> peft.LoraConfig:
    """PEFT's configuration from its own keys; those not given come from `DEFAULTS`."""
    for key in lora:
        if key not in _KEYS:
            raise BadSetting(
                f"Unknown key {key!r} under lora:{nearest(key, _KEYS)} It takes the keys of "
                f"peft.LoraConfig, among them {', '.join(DEFAULTS)}."
            )
    values = {**DEFAULTS, **lora}
    _check_ranges(values)
    conv1d = any(isinstance(module, Conv1D) for module in model.modules())
    try:
        config = peft.LoraConfig(task_type="CAUSAL_LM", fan_in_fan_out=conv1d, **values)
    except (TypeError, ValueError) as error:
        raise BadSetting(f"lora: {first_line(error)}") from error
    ranks.check(config, model)
    return config


def _check_ranges(values: Mapping[str, Any]) -> None:
    shared = "others would change the backbone that all adapters share"
    r, alpha, dropout = (values[key] for key in ("r", "lora_alpha", "lora_dropout"))
    for key, allowed, good in (
        ("r", "a whole number above 0", _number(r, int) and r > 0),
        ("lora_alpha", "a number above 0", _number(alpha) and alpha > 0),
        ("lora_dropout", "a number in [0, 1)", _number(dropout) and 0 <= dropout < 1),
        ("bias", f"'none': {shared}", values["bias"] == "none"),
        ("layer_replication", f"null: {shared}", values.get("layer_replication") is None),
        (
            "init_lora_weights",
            f"true, false, 'gaussian' or 'orthogonal': {shared}",
            values.get("init_lora_weights", True) in (True, False, "gaussian", "orthogonal"),
        ),
    ):
        if not good:
            raise BadSetting(f"lora: {key} is {values.get(key)!r}; it must be {allowed}.")


def _number(value: Any, kind: Any = int | float) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool) and math.isfinite(value)


def read_config(folder: Path) -> peft.LoraConfig:
    """The configuration of an adapter's folder; keys of a newer peft are left out."""
    path = present(folder, CONFIGURATION)
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(values, dict) or values.pop("peft_type", None) != "LORA":
            raise Mismatch(f"{path} is not a LoRA adapter; no other kind is served.")
        known = inspect.signature(peft.LoraConfig).parameters
        config = peft.LoraConfig(**{key: value for key, value in values.items() if key in known})
    except (TypeError, ValueError) as error:
        raise Damaged(f"{path} cannot be read: {first_line(error)}") from error
    _check_ranges(vars(config))
    return config
