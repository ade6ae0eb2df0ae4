"""What of `adapter_config.json` changes an answer, as one hash. Loads neither peft nor torch."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from core.errors import Damaged, MissingAdapter

CONFIGURATION = "adapter_config.json"
NEUTRAL = frozenset(
    {
        *("auto_mapping", "base_model_name_or_path", "revision", "peft_version", "inference_mode"),
        *("task_type", "lora_dropout", "init_lora_weights", "loftq_config", "eva_config"),
        *("corda_config", "lora_ga_config", "runtime_config", "megatron_config", "megatron_core"),
    }
)
"""Keys that say where an adapter comes from, how it was begun or how it learns."""


def configuration_hash(folder: Path) -> str:
    """16 hex digits; a key that stands at null, false or empty counts as one that is not there."""
    path = Path(folder) / CONFIGURATION
    if not path.is_file():
        raise MissingAdapter(f"No adapter in {folder}: {CONFIGURATION} is missing.")
    try:
        values = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise Damaged(f"{path} is no JSON: {error}. Copy or train it again.") from error
    if not isinstance(values, dict):
        raise Damaged(f"{path} holds no keys. Copy or train it again.")
    return hashlib.sha256(json.dumps(_telling(values)).encode()).hexdigest()[:16]


def _telling(values: dict[str, Any]) -> list[tuple[str, Any]]:
    """Sorted by key; the patterns keep their order, for the first that fits is the one that counts."""
    kept = {key: value for key, value in values.items() if key not in NEUTRAL and value}
    if not kept.get("use_qalora"):
        kept.pop("qalora_group_size", None)
    if kept.get("bias") == "none":
        del kept["bias"]
    return [(key, _ordered(key, kept[key])) for key in sorted(kept)]


def _ordered(key: str, value: Any) -> Any:
    if isinstance(value, dict):
        return list(value.items())
    unordered = isinstance(value, list) and all(isinstance(one, str) for one in value)
    return sorted(value) if unordered else value
