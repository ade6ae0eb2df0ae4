"""LoRA on and off disk, and the stack of adapters on one backbone: the only door to peft.

PEFT routes through state of the module: adapters come, go and change places between the steps of
an engine, never within one (`Routing.turns`).
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
from core.adapters.weights import WEIGHTS, first_line, present, read_weights, whole
from core.backbone import packed
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
        self.routing = _ROUTINGS.setdefault(backbone, Routing())
        """Which adapter each row of the next forward pass gets; shared by all stacks on the backbone."""
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
        with self.routing.turns.change():
            config = lora_config(lora or {}, self._backbone.model)
            self._give(name, self._attach(name, config, trainable=True, seed=seed))

    def planned(self, lora: Mapping[str, Any]) -> int:
        """The weights that `create` would make; nothing is allocated."""
        model = self._backbone.model
        with self.routing.turns.change():  # its modules stay as they are meanwhile
            config = lora_config(lora, model)
            factors = sum(one.weights for one in ranks.adapted(config, model))
            return factors + ranks.copied(config, model)

    def load(self, name: str, folder: Path, *, trainable: bool = False) -> None:
        """The adapter in `folder`, checked; frozen unless `trainable`."""
        present(folder, WEIGHTS)
        config = read_config(folder)
        self._check(config, folder)
        weights = read_weights(folder)
        config.inference_mode = not trainable
        with self.routing.turns.change():
            key = self._attach(name, config, trainable=trainable, seed=0)
            try:
                self._fill(key, weights, folder)
            except Exception:
                self.routing.detach(key)
                raise
            self._give(name, key)

    def _check(self, config: peft.LoraConfig, folder: Path) -> None:
        try:
            with self.routing.turns.change():
                ranks.check(config, self._backbone.model)
        except BadSetting as error:
            raise Mismatch(
                f"The adapter in {folder} does not fit this backbone: {error}"
            ) from error

    def _fill(self, key: str, weights: Mapping[str, Tensor], folder: Path) -> None:
        expected = self._tensors(key)
        if missing := expected.keys() - weights.keys():
            raise Damaged(
                f"{folder / WEIGHTS} lacks {len(missing)} tensors, such as {min(missing)}."
            )
        if surplus := weights.keys() - expected.keys():
            raise Mismatch(f"{folder / WEIGHTS} holds {min(surplus)}, which this backbone has not.")
        for path, tensor in expected.items():
            if tensor.shape != weights[path].shape:
                raise Mismatch(
                    f"{folder / WEIGHTS}: {path} is {tuple(weights[path].shape)}, this backbone "
                    f"needs {tuple(tensor.shape)}. It was trained on another backbone."
                )
        self._set(key, weights)

    def _attach(self, name: str, config: peft.LoraConfig, *, trainable: bool, seed: int) -> str:
        """Attach under a key that no other stack on this backbone uses."""
        routing, device = self.routing, self._backbone.device
        if trainable and self._backbone.dtype == "int8":
            raise BadSetting("A backbone in int8 answers and cannot learn. Take --dtype fp32.")
        if trainable or config.modules_to_save or config.trainable_token_indices:
            packed.unpack(self._backbone.model)  # they learn through its weights, or copy them
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
        if trainable:
            routing.trainable.add(key)
        routing.peft.train(self._backbone.model.training)
        routing.refresh()
        return key

    def _give(self, name: str, key: str) -> None:
        """From now on `name` means `key`; rows on their way end with the adapter they began with."""
        self.routing.settle(key)
        with self.routing.lock:
            before, self._keys[name] = self._keys.get(name), key
        if before:
            self.routing.leave(before)

    def hold(self, name: str | None) -> str | None:
        """The key of an adapter that stays until `release`, even if it is deleted meanwhile."""
        if name is None:
            return None
        with self.routing.lock:
            key = self._key(name)
            self.routing.held[key] += 1
        return key

    def release(self, key: str | None) -> None:
        """The row that held it is done."""
        if key is not None:
            self.routing.release(key)

    def save(self, name: str, folder: Path, state: Mapping[str, Tensor] | None = None) -> None:
        """Stock PEFT files at the top of `folder`, appearing all at once; of `state`, or as it is."""
        model: Any = self.routing.peft
        config = dataclasses.replace(model.peft_config[self._key(name)])
        config.base_model_name_or_path = self._backbone.name
        config.inference_mode = True
        if isinstance(config.target_modules, set):
            config.target_modules = sorted(config.target_modules)
        with store.new_folder(folder) as temporary:
            config.save_pretrained(str(temporary))
            save_file(
                dict(state or self.state(name)), temporary / WEIGHTS, metadata={"format": "pt"}
            )

    def parameters(self, name: str) -> list[torch.nn.Parameter]:
        """The weights of this adapter alone."""
        key = self._key(name)
        with self.routing.turns.change():
            named = list(self.model.named_parameters())
        return [parameter for path, parameter in named if key in path.split(".")]

    def state(self, name: str) -> dict[str, Tensor]:
        """A copy of the weights on the CPU, under the names that the file has.

        Of a model in shards all processes must ask.
        """
        with self.routing.turns.change():
            tensors = self._tensors(self._key(name)).items()
        return {key: whole(one.detach()).cpu().clone().contiguous() for key, one in tensors}

    def restore(self, name: str, state: Mapping[str, Tensor]) -> None:
        """Put back what `state` gave."""
        with self.routing.turns.change():
            self._set(self._key(name), state)
            self.routing.settle(self._key(name))

    def _set(self, key: str, state: Mapping[str, Tensor]) -> None:
        with torch.no_grad():
            set_peft_model_state_dict(self.routing.peft, dict(state), adapter_name=key)
        self.routing.settings[key] += 1
        self.routing.forget()

    def delete(self, name: str) -> None:
        """Take the adapter off the backbone, once the rows are done that it answers now."""
        with self.routing.lock:
            key = self._key(name)
            del self._keys[name]
        self.routing.leave(key)

    @contextmanager
    def use(self, name: str | None) -> Iterator[nn.Module]:
        """The model with this adapter, or bare for None; what was active comes back at the end."""
        before = self.routing.active
        key = None if name is None else self._key(name)
        try:
            self._switch(key)
            yield self.model
        finally:
            self._switch(before)

    def _switch(self, key: str | None) -> None:
        if key != self.routing.active:
            with self.routing.turns.change():
                self.routing.switch(key)

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

    def _tensors(self, key: str) -> dict[str, Tensor]:
        tensors: dict[str, Tensor] = get_peft_model_state_dict(
            self.routing.peft, adapter_name=key, save_embedding_layers=False
        )
        return tensors
