"""What a causal language model does after its last layer: final norm and head, found by watching it.

No name is assumed: the modules outside the stack of layers whose output reaches the head are those
that the logit lens applies to every layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from core.errors import BadSetting


@dataclass(frozen=True)
class Tail:
    """Call it on hidden states (tokens, width) for their logits (tokens, vocabulary)."""

    modules: tuple[nn.Module, ...]
    """In the order in which they are applied, the head last."""
    finish: Callable[[Tensor], Tensor]
    """What the configuration asks to do with logits."""

    def __call__(self, states: Tensor) -> Tensor:
        for module in self.modules:
            states = module(states)
        return self.finish(states.float())


@dataclass
class _Seen:
    """Which modules gave which tensors, while the model ran."""

    made: list[tuple[str, nn.Module, Tensor, Tensor]] = field(default_factory=list)
    """Name, module, input, output; tensors are kept, so that no address is given twice."""
    head: Tensor | None = None


@contextmanager
def watched(model: nn.Module, backbone: Any) -> Iterator[Callable[[], Tail]]:
    """Run the model inside; afterwards what is given here tells the tail that was seen."""
    head = backbone.get_output_embeddings()
    if head is None:
        raise BadSetting("This model has no head that says next tokens.")
    seen, hooks = _Seen(), []

    def note(name: str) -> Callable[[nn.Module, tuple[Any, ...], Any], None]:
        def hook(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            if inputs and isinstance(inputs[0], Tensor) and isinstance(output, Tensor):
                seen.made.append((name, module, inputs[0], output))

        return hook

    def reached(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        seen.head = inputs[0]

    for name, module in model.named_modules():
        if module is not head and not _in_stack(name):
            hooks.append(module.register_forward_hook(note(name)))
    hooks.append(head.register_forward_pre_hook(reached))
    try:
        yield lambda: _tail(seen, head, backbone.config.get_text_config())
    finally:
        for hook in hooks:
            hook.remove()


def _in_stack(name: str) -> bool:
    """Whether a module is one of the layers, or within one: a part of its name is a number."""
    return any(part.isdecimal() for part in name.split("."))


def _tail(seen: _Seen, head: nn.Module, config: Any) -> Tail:
    """The modules that led to the head's input, back to the last layer."""
    found: list[nn.Module] = [head]
    wanted = seen.head
    for _, module, given, made in reversed(seen.made):
        if wanted is not None and _same(made, wanted) and not _same(given, made):
            found.insert(0, module)
            wanted = given
    return Tail(tuple(found), _finish(config))


def _same(one: Tensor, other: Tensor) -> bool:
    return one.data_ptr() == other.data_ptr() and one.shape == other.shape


def _finish(config: Any) -> Callable[[Tensor], Tensor]:
    """Gemma 2 caps logits, Granite divides them, Cohere multiplies them."""
    cap = getattr(config, "final_logit_softcapping", None)
    divisor = getattr(config, "logits_scaling", None) or 1.0
    factor = getattr(config, "logit_scale", None) or 1.0

    def finish(logits: Tensor) -> Tensor:
        logits = logits * (factor / divisor)
        return torch.tanh(logits / cap) * cap if cap else logits

    return finish
