"""The matrices that a LoRA configuration adapts, known before anything is allocated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from peft import LoraConfig
from peft.tuners.tuners_utils import check_target_module_exists
from peft.utils.other import get_pattern_key
from torch import nn
from transformers.pytorch_utils import Conv1D

from core.errors import BadSetting, nearest


@dataclass(frozen=True)
class Adapted:
    """One matrix of the backbone and the rank of what is added to it."""

    name: str
    rank: int
    rows: int
    columns: int

    @property
    def weights(self) -> int:
        """Of its two factors."""
        return self.rank * (self.rows + self.columns)

    @property
    def most(self) -> int:
        """A product of higher rank than this says nothing more."""
        return min(self.rows, self.columns)


def adapted(config: LoraConfig, model: Any) -> list[Adapted]:
    """Every matrix that peft will adapt, by its own rules."""
    return [
        Adapted(name, _rank(config, name), *module.weight.shape)
        for name, module in _matrices(model)
        if _wanted(config, name, module, _bare(model.get_output_embeddings()))
    ]


def copied(config: LoraConfig, model: nn.Module) -> int:
    """The weights of the modules that peft will train whole, as copies (`modules_to_save`)."""
    names = tuple(config.modules_to_save or ())
    found = {
        name: _bare(module) for name, module in _named(model) if names and name.endswith(names)
    }
    return sum(weight.numel() for module in found.values() for weight in module.parameters())


def check(config: LoraConfig, model: Any) -> None:
    """Raises `BadSetting` for names that no module has, and for a rank above that of every matrix."""
    found = adapted(config, model)
    _check_names(config, model, found)
    limit = max((one.most for one in found), default=0)
    highest = max((one.rank for one in found), default=0)
    if highest > limit:
        raise BadSetting(
            f"lora: r is {highest}; the matrices it adapts have rank {limit} at most: it must be a "
            f"whole number from 1 to {limit}, and 8 to 64 is usual."
        )


def _check_names(config: LoraConfig, model: nn.Module, found: list[Adapted]) -> None:
    """peft passes over names that are nowhere, as long as one of them is somewhere."""
    there = [name for name, _ in _named(model)]
    for key in ("target_modules", "modules_to_save"):
        given = getattr(config, key)
        for one in () if isinstance(given, str) else sorted(given or ()):
            if not any(name == one or name.endswith(f".{one}") for name in there):
                known = {name.rpartition(".")[2] for name, _ in _matrices(model)}
                raise BadSetting(
                    f"lora: {key} names {one!r}, which this backbone has not; its matrices are "
                    f"{', '.join(sorted(known))}.{nearest(one, known)}"
                )
    for key in ("rank_pattern", "alpha_pattern"):
        for pattern in getattr(config, key) or {}:
            if not any(get_pattern_key([pattern], one.name) == pattern for one in found):
                raise BadSetting(f"lora: {key} names {pattern!r}, which fits no adapted matrix.")


def _matrices(model: nn.Module) -> Iterator[tuple[str, Any]]:
    """Under the names they have without adapters."""
    for name, module in _named(model):
        base = _bare(module)
        if isinstance(base, nn.Linear | Conv1D | nn.Embedding):
            yield name, base


def _named(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The modules of the backbone, nothing of what peft put into it."""
    inner = (".base_layer", ".lora_", ".original_module", ".modules_to_save")
    for name, module in model.named_modules():
        if not any(one in name for one in inner):
            yield name, module


def _bare(module: Any) -> Any:
    """What peft wraps, where it does."""
    if hasattr(module, "original_module"):
        return module.original_module
    return module.get_base_layer() if hasattr(module, "get_base_layer") else module


def _wanted(config: LoraConfig, name: str, module: nn.Module, head: nn.Module | None) -> bool:
    if config.target_modules == "all-linear":
        return module is not head and not isinstance(module, nn.Embedding)
    return bool(check_target_module_exists(config, name))


def _rank(config: LoraConfig, name: str) -> int:
    pattern = config.rank_pattern or {}
    return int(pattern.get(get_pattern_key(list(pattern), name), config.r))
