"""LoRA on and off disk, and the stack of adapters on one backbone: the only door to peft.

PEFT routes through state of the module, so whoever calls the model holds a lock around `use`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import peft
import torch
from peft.utils import get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import save_file

from core import store
from core.adapters import ranks
from core.adapters.fused import fused
from core.adapters.lora_config import lora_config, read_config
from core.adapters.routing import Routing, quiet
from core.adapters.weights import WEIGHTS, first_line, present, read_weights
from core.errors import BadSetting, Damaged, Mismatch, MissingAdapter

if TYPE_CHECKING:
    from torch import Tensor, nn

    from core.backbone import Backbone

_ROUTINGS: WeakKeyDictionary[Backbone, Routing] = WeakKeyDictionary()
"""Of every backbone that has adapters."""


class AdapterStack:
    """Several adapters resident on one backbone, at most one of them active."""

    def __init__(self, backbone: Backbone) -> None:
        self._backbone = backbone
        self._routing = _ROUTINGS.setdefault(backbone, Routing())
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
        present(folder, WEIGHTS)
        config = read_config(folder)
        try:
            ranks.check(config, self._backbone.model)
        except BadSetting as error:
            raise Mismatch(
                f"The adapter in {folder} does not fit this backbone: {error}"
            ) from error
        weights = read_weights(folder)
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
        routing, device = self._routing, self._backbone.device
        routing.made += 1
        # PEFT warns of short names, torch forbids dots in them.
        key = f"task-{name.replace('.', '_')}-{routing.made}"
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), quiet():
            torch.manual_seed(seed)
            try:
                if routing.peft is None:
                    routing.peft = peft.PeftModelForCausalLM(self._backbone.model, config, key)
                else:
                    routing.peft.add_adapter(key, config)
            except (TypeError, ValueError) as error:
                raise BadSetting(f"lora: {first_line(error)}") from error
        self._keys[name] = key
        if trainable:
            routing.trainable.add(key)
        routing.peft.train(self._backbone.model.training)
        routing.refresh()

    def save(self, name: str, folder: Path) -> None:
        """Stock PEFT files at the top of `folder`, appearing all at once."""
        model: Any = self._routing.peft
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
            set_peft_model_state_dict(self._routing.peft, dict(state), adapter_name=self._key(name))
        self._routing.forwards.pop(self._key(name), None)

    def delete(self, name: str) -> None:
        """Take the adapter off the backbone."""
        key = self._key(name)
        self._routing.remove(key)
        del self._keys[name]

    @contextmanager
    def use(self, name: str | None) -> Iterator[nn.Module]:
        """The model with this adapter, or bare for None; what was active comes back at the end."""
        before = self._routing.active
        key = None if name is None else self._key(name)
        try:
            if key != before:
                self._routing.switch(key)
            yield self.model
        finally:
            if self._routing.active != before:
                self._routing.switch(before)

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
            self._routing.peft, adapter_name=self._key(name), save_embedding_layers=False
        )
        return tensors
