"""Which of the adapters on one model its layers compute."""

from __future__ import annotations

import threading
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils import AuxiliaryTrainingWrapper

from core.adapters.fused import bare, frozen
from core.adapters.stacked import Products, Stacked, stackable
from core.adapters.turns import Turns

if TYPE_CHECKING:
    import peft


@contextmanager
def quiet() -> Iterator[None]:
    """Without three warnings of peft 0.21: of a property it reads, of a switch that is ours, of a head
    that an adapter replaces by its own."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        warnings.filterwarnings("ignore", "Adapter .* was active which is now deleted")
        warnings.filterwarnings("ignore", "Model has `tie_word_embeddings=True`")
        yield


class Routing:
    """The adapters on one model, and the one that answers; stacks on the same backbone share it."""

    def __init__(self) -> None:
        self.peft: peft.PeftModel | None = None
        self.active: str | None = None
        self.trainable: set[str] = set()
        self.made = 0
        self.layers: list[Any] = []
        self.forwards: dict[str, list[Any]] = {}
        """What each layer computes for a frozen adapter."""
        self.turns = Turns()
        self.lock = threading.Lock()
        """Around the names and counts of adapters."""
        self.held: Counter[str] = Counter()
        """Requests on their way, by adapter."""
        self.leaving: set[str] = set()
        """Adapters that go when their last request is done."""
        self.settings: Counter[str] = Counter()
        """How often the weights of each adapter were set."""
        self._stacked = Stacked()
        self._stackable: set[str] = set()

    def mark(self, key: str | None) -> tuple[str | None, int] | None:
        """What an adapter computes stays the same as long as its mark; None while it learns."""
        if key in self.trainable:
            return None
        return key, self.settings[key] if key else 0

    @property
    def marks(self) -> set[tuple[str | None, int]]:
        """Of all that is on the model now."""
        keys = (None, *(self.peft.peft_config if self.peft else ()))
        return {mark for key in keys if (mark := self.mark(key))}

    def group(self, key: str | None) -> str | None:
        """None for what may share a forward pass with others; else the adapter that may not."""
        return key if key not in self._stackable else None

    def settle(self, key: str) -> None:
        """Look at an adapter whose weights are set: may it share forward passes?"""
        self._stackable.discard(key)
        # Weights that learn change under a stack.
        if key not in self.trainable and stackable(self.peft, key):
            self._stackable.add(key)

    @contextmanager
    def rows(self, keys: Sequence[str | None], tokens: int) -> Iterator[None]:
        """Every row of the next forward pass has its own adapter; what was active comes back."""
        alone = next((key for key in keys if self.group(key)), None)
        before = self.active
        try:
            if before != alone:
                self.switch(alone)
            if alone is None and self.layers:
                with self._stacked.routed(self.layers, keys, tokens):
                    yield
            else:
                yield
        finally:
            if self.active != before:
                self.switch(before)

    def products(self, keys: Sequence[str | None], counts: Sequence[int]) -> Products | None:
        """What so many tokens of each row add to `layers`; None where the model itself must route them."""
        if any(map(self.group, keys)) or (self.peft is not None and not self.layers):
            return None
        return self._stacked.products(self.layers, keys, counts)

    def release(self, key: str) -> None:
        """One request less holds the adapter; it goes if it was the last one waited for."""
        with self.lock:
            self.held[key] -= 1
            gone = self.held[key] <= 0 and key in self.leaving
        if gone:
            self.leave(key)

    def leave(self, key: str) -> None:
        """Take an adapter off the model, now or when the last request that holds it is done."""
        with self.lock:
            if self.held[key] > 0:
                self.leaving.add(key)
                return
            self.leaving.discard(key)
            del self.held[key]
        with self.turns.change():
            self.detach(key)

    def detach(self, key: str) -> None:
        """Take an adapter off the model; after the last one it is as it was before the first."""
        self.trainable.discard(key)
        self._stackable.discard(key)
        self.active = None if self.active == key else self.active
        del self.settings[key]
        self._unroute()
        if self.peft is not None and self.peft.peft_config.keys() == {key}:
            self.peft.base_model.unload()  # type: ignore[operator]
            self.peft = None
        elif self.peft is not None:
            with quiet():
                self.peft.delete_adapter(key)
        self.refresh()

    def forget(self) -> None:
        """After a change of weights: what was laid out for them is out of date."""
        self.forwards.clear()
        self._stacked.forget()

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
        if key is None:
            for layer in self.layers:
                layer.forward = bare(layer)
            return
        if key not in self.forwards:
            self.forwards[key] = [frozen(layer, key) for layer in self.layers]
        for layer, forward in zip(self.layers, self.forwards[key], strict=True):
            if forward is not None:
                layer.forward = forward
            else:
                layer.enable_adapters(True)
                layer.set_adapter(key, inference_mode=True)

    def _unroute(self) -> None:
        for layer in self.layers:
            layer.__dict__.pop("forward", None)

    def refresh(self) -> None:
        """After a change of adapters: find the layers, and set all of them as they should be."""
        modules = list(self.peft.modules()) if self.peft else []
        wrapped = any(isinstance(module, AuxiliaryTrainingWrapper) for module in modules)
        self._unroute()
        self.forget()
        self.layers = []
        self.switch(self.active)
        if not wrapped:
            self.layers = [module for module in modules if isinstance(module, BaseTunerLayer)]
