"""A model in shards (torch's FSDP 2, through accelerate): each process holds a part of every weight.

    ACCELERATE_USE_FSDP=true FSDP_VERSION=2 torchrun --nproc_per_node 2 -m quintet finetune spam …

A pass gathers one layer after another, so all processes must make it together, and a weight is read
in one piece only where all of them ask for it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from core.adapters.weights import whole
from core.errors import BadSetting

if TYPE_CHECKING:
    import torch
    from accelerate import Accelerator
    from accelerate.utils import FullyShardedDataParallelPlugin
    from torch import nn


def asked() -> bool:
    """Whether a launcher wants the model in shards."""
    return _launched("FSDP")


def check() -> None:
    """Raise `BadSetting` for what a launcher may ask and this loop cannot do."""
    for name in ("DEEPSPEED", "MEGATRON_LM"):
        if _launched(name):
            raise BadSetting(
                f"{name} takes its steps by itself, where a bad one could not be skipped. Begin with "
                "torchrun; with ACCELERATE_USE_FSDP=true FSDP_VERSION=2 before it, the backbone is cut "
                "into shards."
            )
    if asked() and os.environ.get("FSDP_VERSION", "1") != "2":
        raise BadSetting("FSDP 1 flattens the weights of an adapter. Set FSDP_VERSION=2.")
    # Each process reads the whole backbone once, to tell which one it is.
    os.environ["FSDP_CPU_RAM_EFFICIENT_LOADING"] = "false"


def _launched(name: str) -> bool:
    return os.environ.get(f"ACCELERATE_USE_{name}", "").lower() in ("true", "1")


def accelerator(place: str, *, several: bool) -> Accelerator:
    """Its `prepare` puts a model in shards where `asked`."""
    from accelerate import Accelerator
    from accelerate.state import PartialState
    from accelerate.utils import DistributedType

    plugin = _plugin() if several and asked() else None
    # What is mixed differs from run to run in one process, and accelerate keeps its first answer:
    # so the loop mixes by itself. A single process stays on the device that was asked for.
    made = Accelerator(
        cpu=place == "cpu", mixed_precision="no", device_placement=several, fsdp_plugin=plugin
    )
    if plugin and made.distributed_type == DistributedType.MULTI_CPU:
        # accelerate 1.15 obeys the wish on accelerators only; torch shards over gloo as well.
        # Whoever asks for its state again gets the type of the partial one.
        made.state.distributed_type, made.state.fsdp_plugin = DistributedType.FSDP, plugin
        PartialState._shared_state["distributed_type"] = DistributedType.FSDP
    return made


def prepare(
    made: Accelerator, model: nn.Module, optimizers: Sequence[torch.optim.Optimizer]
) -> Sequence[Any]:
    """What the accelerator makes of model and optimizers, in shards where it was told so."""
    if made.is_fsdp2:
        check_learned(model)
    found: Sequence[Any] = made.prepare(model, *optimizers)
    if made.is_fsdp2:
        empty_pass(model)  # what it allocates in inference mode could not be learned with
    return found


def check_learned(model: Any) -> None:
    """Raise `BadSetting` where more learns than matrices of the layers: embeddings and head share shards."""
    blocks = [m for m in model.modules() if type(m).__name__ in (model._no_split_modules or ())]
    inside = {id(weight) for block in blocks for weight in block.parameters()}
    for name, weight in model.named_parameters():
        if weight.requires_grad and id(weight) not in inside:
            raise BadSetting(
                f"In shards only the layers learn, and {name} is in none. "
                "Take it out of lora, or begin without ACCELERATE_USE_FSDP."
            )


def _plugin() -> FullyShardedDataParallelPlugin:
    from accelerate.utils import FullyShardedDataParallelPlugin

    policy = os.environ.get("FSDP_AUTO_WRAP_POLICY", "TRANSFORMER_BASED_WRAP")
    return FullyShardedDataParallelPlugin(fsdp_version=2, auto_wrap_policy=policy)


def sharded(model: nn.Module | None) -> bool:
    """Whether a pass of `model` needs all processes."""
    if not asked() or model is None:
        return False
    from torch.distributed.fsdp import FSDPModule

    return isinstance(model, FSDPModule)


def told(model: nn.Module) -> str:
    """How much of a model in shards this process holds."""
    parameters = list(model.parameters())
    own = sum(p.to_local().numel() if hasattr(p, "to_local") else p.numel() for p in parameters)
    return (
        f"in shards: this process holds {own:,} of {sum(p.numel() for p in parameters):,} weights"
    )


def empty_pass(model: Any) -> None:
    """Take part in a pass that another process makes."""
    import torch

    with torch.no_grad():
        model(input_ids=torch.zeros(1, 1, dtype=torch.long, device=model.device), use_cache=False)


def memory(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Its `state_dict` in whole tensors; all processes must ask."""
    found = optimizer.state_dict()
    state = {
        number: {name: whole(value) for name, value in one.items()}
        for number, one in found["state"].items()
    }
    return {**found, "state": state}


def remember(optimizer: torch.optim.Optimizer, found: dict[str, Any]) -> None:
    """Set it back to a `memory`, whose tensors are cut as its weights are."""
    optimizer.load_state_dict(found)
    if not asked():
        return
    from torch.distributed.tensor import DTensor, distribute_tensor

    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if isinstance(parameter, DTensor) and getattr(value, "shape", None) == parameter.shape:
                state[name] = distribute_tensor(
                    value, parameter.device_mesh, parameter.placements, src_data_rank=None
                )
