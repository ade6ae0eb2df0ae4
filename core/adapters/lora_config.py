"""The configuration of a LoRA adapter, from a person's keys or from a file of a stranger, checked."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import peft
from transformers.pytorch_utils import Conv1D

from core.adapters import ranks
from core.adapters.configuration import CONFIGURATION, NEUTRAL
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


_COMPUTED = frozenset(
    {
        *("r", "lora_alpha", "lora_dropout", "lora_bias", "bias", "use_rslora", "use_dora"),
        *("target_modules", "exclude_modules", "layers_to_transform", "layers_pattern"),
        *("rank_pattern", "alpha_pattern", "modules_to_save", "trainable_token_indices"),
        *("ensure_weight_tying", "fan_in_fan_out", "init_lora_weights", "layer_replication"),
    }
)
"""The keys of a file that are obeyed."""
_NOTHING: Mapping[str, Any] = {"r": 8, "lora_alpha": 8, "lora_dropout": 0.0, "bias": "none"}
"""What peft takes for a key that a file lacks."""
_MOST_BYTES = 2**18
_PATTERNS = ("target_modules", "exclude_modules", "layers_pattern")
_LONGEST = 200
_QUANTIFIERS = re.compile(r"(?<!\\)[*+{]")
_REPEATED_GROUP = re.compile(r"(?<!\\)\)[*+{]")


def lora_config(lora: Mapping[str, Any], model: nn.Module) -> peft.LoraConfig:
    """PEFT's configuration from its own keys; those not given come from `DEFAULTS`."""
    for key in lora:
        if key not in _KEYS:
            raise BadSetting(
                f"Unknown key {key!r} under lora:{nearest(key, _KEYS)} It takes the keys of "
                f"peft.LoraConfig, among them {', '.join(DEFAULTS)}."
            )
    values = {**DEFAULTS, **lora}
    _check_ranges({**_NOTHING, **values})
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
            raise BadSetting(f"lora: {key} is {repr(values.get(key))[:80]}; it must be {allowed}.")
    _check_patterns(values)


def _check_patterns(values: Mapping[str, Any]) -> None:
    """Names and patterns of peft's: the latter are regular expressions, which may take forever."""
    for key in ("rank_pattern", "alpha_pattern"):
        found = values.get(key) or {}
        kind = int if key == "rank_pattern" else int | float
        if not isinstance(found, Mapping) or not all(
            _number(value, kind) and value > 0 for value in found.values()
        ):
            raise BadSetting(f"lora: {key} must hold a number above 0 for each pattern of names.")
        for pattern in found:
            _check_pattern(key, pattern)
    for key in _PATTERNS:
        found = values.get(key)
        if isinstance(found, str):
            _check_pattern(key, found)
        elif not all(isinstance(one, str) for one in found or ()):
            raise BadSetting(f"lora: {key} must be names of modules, or one pattern.")


def _check_pattern(key: str, pattern: Any) -> None:
    """At most three repetitions and none of a group: never more than the cube of a name's length."""
    try:
        re.compile(pattern)
    except (re.error, TypeError, RecursionError, OverflowError) as error:
        raise BadSetting(f"lora: {key} {str(pattern)[:80]!r} is no pattern: {error}.") from error
    often = len(_QUANTIFIERS.findall(pattern)) > 3 or _REPEATED_GROUP.search(pattern)
    if often or len(pattern) > _LONGEST:
        raise BadSetting(
            f"lora: {key} {pattern[:80]!r} may take forever to match. List the names of the modules, "
            "or take a pattern with at most three of * and +, none of them after a bracket."
        )


def _number(value: Any, kind: Any = int | float) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool) and math.isfinite(value)


def read_config(folder: Path) -> peft.LoraConfig:
    """The configuration of an adapter's folder: data from a stranger, of which nothing is obeyed unseen.

    Raises `Mismatch` for another kind than LoRA, `Damaged` for what is no configuration, and
    `BadSetting` for keys that would change the backbone or that Quintet does not compute.
    """
    path = present(folder, CONFIGURATION)
    if path.stat().st_size > _MOST_BYTES:
        raise Damaged(f"{path} is larger than {_MOST_BYTES // 1024} KiB: no configuration.")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(values, dict) or values.pop("peft_type", None) != "LORA":
            raise Mismatch(f"{path} is not a LoRA adapter; no other kind is served.")
        kept = {key: values[key] for key in _COMPUTED if key in values}
        config = peft.LoraConfig(task_type="CAUSAL_LM", **kept)
    except (TypeError, ValueError, RecursionError) as error:
        raise Damaged(f"{path} cannot be read: {first_line(error)}") from error
    _check_ranges({**_NOTHING, **values, **kept})
    for key in values.keys() - _COMPUTED - NEUTRAL:
        if values[key] and key not in ("qalora_group_size",):
            raise BadSetting(
                f"{path}: {str(key)[:40]!r} is {str(values[key])[:40]!r}, which is not served."
            )
    return config
