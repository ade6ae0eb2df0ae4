"""LoRA on and off disk, and the stack of adapters on one backbone: the only door to peft.

PEFT routes through state of the module, so whoever calls the model holds a lock around `use`.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import peft
import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils import (
    AuxiliaryTrainingWrapper,
    get_peft_model_state_dict,
    set_peft_model_state_dict,
)
from safetensors.torch import save_file
from transformers.pytorch_utils import Conv1D

from core import store
from core.adapters import ranks
from core.adapters.fused import frozen, fused
from core.adapters.weights import WEIGHTS, first_line, present, read_weights
from core.errors import BadSetting, Damaged, Mismatch, MissingAdapter, nearest

if TYPE_CHECKING:
    from torch import Tensor, nn

    from core.backbone import Backbone

CONFIGURATION = "adapter_config.json"
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
_STATE = "quintet_adapters"


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


@contextmanager
def _quiet() -> Iterator[None]:
    """Without two warnings of peft 0.21: of a property it reads, of a switch that is ours."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        warnings.filterwarnings("ignore", "Adapter .* was active which is now deleted")
        yield


class _Attached:
    """What hangs on one model; stacks on the same backbone share it."""

    def __init__(self) -> None:
        self.peft: peft.PeftModel | None = None
        self.active: str | None = None
        self.trainable: set[str] = set()
        self.made = 0
        self.layers: list[Any] = []
        self.forwards: dict[str, list[Any]] = {}
        """What each layer computes for a frozen adapter."""

    def switch(self, key: str | None) -> None:
        """Make `key` the adapter of every forward pass; None is the bare backbone."""
        before, self.active = self.active, key
        if self.peft is None:
            return
        if self.layers and not {before, key} & self.trainable:
            self._route(key)
            return
        self._unroute()
        tuner: Any = self.peft.base_model
        if key is None:
            tuner.disable_adapter_layers()
            return
        tuner.enable_adapter_layers()
        self.peft.set_adapter(key, inference_mode=key not in self.trainable)

    def _route(self, key: str | None) -> None:
        """The same between frozen adapters, without walking the model: 5 ms less a token."""
        self._unroute()
        for layer in self.layers:
            layer._disable_adapters = key is None
            layer._active_adapter = [] if key is None else [key]
        if key is None:
            return
        if key not in self.forwards:
            self.forwards[key] = [frozen(layer, key) for layer in self.layers]
        for layer, forward in zip(self.layers, self.forwards[key], strict=True):
            if forward is not None:
                layer.forward = forward

    def _unroute(self) -> None:
        for layer in self.layers:
            layer.__dict__.pop("forward", None)

    def refresh(self) -> None:
        """After a change of adapters: find the layers, and set all of them as they should be."""
        modules = list(self.peft.modules()) if self.peft else []
        wrapped = any(isinstance(module, AuxiliaryTrainingWrapper) for module in modules)
        self._unroute()
        self.forwards.clear()
        self.layers = []
        self.switch(self.active)
        if not wrapped:
            self.layers = [module for module in modules if isinstance(module, BaseTunerLayer)]


class AdapterStack:
    """Several adapters resident on one backbone, at most one of them active."""

    def __init__(self, backbone: Backbone) -> None:
        self._backbone = backbone
        if not hasattr(backbone.model, _STATE):
            setattr(backbone.model, _STATE, _Attached())
        self._attached: _Attached = getattr(backbone.model, _STATE)
        self._keys: dict[str, str] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The resident adapters, in the order they came."""
        return tuple(self._keys)

    @property
    def model(self) -> nn.Module:
        """What to call forward on; the adapter of the innermost `use` answers."""
        return self._backbone.model  # PEFT puts its layers into it

    def create(self, name: str, lora: Mapping[str, Any] | None = None, *, seed: int) -> None:
        """A new, trainable adapter; the global random state stays as it was."""
        self._add(name, lora_config(lora or {}, self._backbone.model), trainable=True, seed=seed)

    def planned(self, lora: Mapping[str, Any]) -> int:
        """The weights that `create` would make; nothing is allocated."""
        model = self._backbone.model
        return sum(one.weights for one in ranks.adapted(lora_config(lora, model), model))

    def load(self, name: str, folder: Path, *, trainable: bool = False) -> None:
        """The adapter in `folder`, checked; frozen unless `trainable`."""
        weights, config = read_weights(folder), read_config(folder)
        config.inference_mode = not trainable
        self._add(name, config, trainable=trainable, seed=0)
        try:
            self._fill(name, weights, folder)
        except Exception:
            self.delete(name)
            raise

    def _fill(self, name: str, weights: Mapping[str, Tensor], folder: Path) -> None:
        expected = self._tensors(name)
        if missing := expected.keys() - weights.keys():
            raise Damaged(
                f"{folder / WEIGHTS} lacks {len(missing)} tensors, such as {min(missing)}."
            )
        if surplus := weights.keys() - expected.keys():
            raise Mismatch(f"{folder / WEIGHTS} holds {min(surplus)}, which this backbone has not.")
        for key, tensor in expected.items():
            if tensor.shape != weights[key].shape:
                raise Mismatch(
                    f"{folder / WEIGHTS}: {key} is {tuple(weights[key].shape)}, this backbone needs "
                    f"{tuple(tensor.shape)}. It was trained on another backbone."
                )
        self.restore(name, weights)

    def _add(self, name: str, config: peft.LoraConfig, *, trainable: bool, seed: int) -> None:
        """Attach under a key that no other stack on this backbone uses."""
        if name in self._keys:
            self.delete(name)
        attached, device = self._attached, self._backbone.device
        attached.made += 1
        # PEFT warns of short names, torch forbids dots in them.
        key = f"task-{name.replace('.', '_')}-{attached.made}"
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), _quiet():
            torch.manual_seed(seed)
            try:
                if attached.peft is None:
                    attached.peft = peft.PeftModelForCausalLM(self._backbone.model, config, key)
                else:
                    attached.peft.add_adapter(key, config)
            except (TypeError, ValueError) as error:
                raise BadSetting(f"lora: {first_line(error)}") from error
        self._keys[name] = key
        if trainable:
            attached.trainable.add(key)
        attached.peft.train(self._backbone.model.training)
        attached.refresh()

    def save(self, name: str, folder: Path) -> None:
        """Stock PEFT files at the top of `folder`, appearing all at once."""
        model: Any = self._attached.peft
        config = dataclasses.replace(model.peft_config[self._key(name)])
        config.base_model_name_or_path = self._backbone.name
        config.inference_mode = True
        if isinstance(config.target_modules, set):
            config.target_modules = sorted(config.target_modules)
        with store.new_folder(folder) as temporary:
            config.save_pretrained(str(temporary))
            save_file(self.state(name), temporary / WEIGHTS, metadata={"format": "pt"})

    def parameters(self, name: str) -> list[torch.nn.Parameter]:
        """The weights of this adapter alone."""
        key = self._key(name)
        return [
            parameter for path, parameter in self.model.named_parameters() if key in path.split(".")
        ]

    def state(self, name: str) -> dict[str, Tensor]:
        """A copy of the weights on the CPU, under the names that the file has."""
        tensors = self._tensors(name).items()
        return {key: tensor.detach().cpu().clone().contiguous() for key, tensor in tensors}

    def restore(self, name: str, state: Mapping[str, Tensor]) -> None:
        """Put back what `state` gave."""
        with torch.no_grad():
            set_peft_model_state_dict(
                self._attached.peft, dict(state), adapter_name=self._key(name)
            )
        self._attached.forwards.pop(self._key(name), None)

    def delete(self, name: str) -> None:
        """Take the adapter off the backbone."""
        key = self._key(name)
        attached = self._attached
        attached.trainable.discard(key)
        if attached.peft is not None:
            with _quiet():
                attached.peft.delete_adapter(key)
        del self._keys[name]
        attached.active = None if attached.active == key else attached.active
        attached.refresh()

    @contextmanager
    def use(self, name: str | None) -> Iterator[nn.Module]:
        """The model with this adapter, or bare for None; what was active comes back at the end."""
        before = self._attached.active
        key = None if name is None else self._key(name)
        try:
            if key != before:
                self._attached.switch(key)
            yield self.model
        finally:
            if self._attached.active != before:
                self._attached.switch(before)

    @contextmanager
    def training(self, name: str) -> Iterator[nn.Module]:
        """As `use`, with layers that train faster; within it no other adapter may be used."""
        with self.use(name) as model, fused(model, self._key(name)):
            yield model

    def _key(self, name: str) -> str:
        if name not in self._keys:
            loaded = ", ".join(self._keys) or "none"
            raise MissingAdapter(f"No adapter {name!r} is loaded; loaded: {loaded}.")
        return self._keys[name]

    def _tensors(self, name: str) -> dict[str, Tensor]:
        tensors: dict[str, Tensor] = get_peft_model_state_dict(
            self._attached.peft, adapter_name=self._key(name), save_embedding_layers=False
        )
        return tensors


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
