"""Several adapters in one forward pass: their low-rank factors side by side, and who uses which.

For a batch x (rows, tokens, in) a layer computes `W x + Bᵢ (Aᵢ x)` with row i's own adapter. With one
token a row, all adapters are multiplied at once and each row keeps its own part: three operations a
layer, however many adapters. With many tokens a row, rows of one adapter stand together and each
adapter is multiplied with its own rows: no arithmetic is wasted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate, groupby
from typing import Any

import torch
from peft.tuners.lora import Linear
from torch import Tensor, nn

from core.adapters.factors import Factors
from core.adapters.fused import bare
from core.backbone import few_tokens
from core.backbone.frozen import FrozenLinear

_SPACE = 8
"""Adapters that stay stacked, so that the next batch need not stack them anew."""


def stackable(model: Any, key: str) -> bool:
    """Plain LoRA on linear layers within the blocks; others are computed by peft's own layers."""
    config, head = model.peft_config[key], model.get_output_embeddings()
    if config.modules_to_save or config.trainable_token_indices:
        return False
    owners = [layer for layer in model.modules() if _has(layer, key)]
    return all(isinstance(one, Linear) and one is not head and _plain(one, key) for one in owners)


def _has(layer: nn.Module, key: str) -> bool:
    names = getattr(layer, "adapter_layer_names", ())
    parts = (getattr(layer, name, None) for name in names)
    return any(isinstance(part, nn.Module | dict) and key in part for part in parts)  # type: ignore[operator]


def _plain(layer: Linear, key: str) -> bool:
    first: Any = layer.lora_A[key]
    second: Any = layer.lora_B[key]
    return (
        not layer.merged
        and key not in layer.lora_variant
        and second.bias is None
        and bool(torch.isfinite(second.weight).all())
        and bool(torch.isfinite(first.weight).all())
    )


class Stack:
    """The factors of some adapters for every layer that one of them adapts."""

    def __init__(self, layers: Sequence[Any], keys: Sequence[str]) -> None:
        self.keys = tuple(keys)
        owners = [layer for layer in layers if isinstance(layer, Linear)]
        self.places: dict[str, slice] = {}
        start = 0
        for key in keys:
            width = max((layer.r[key] for layer in owners if key in layer.lora_A), default=0)
            self.places[key] = slice(start, start + width)
            start += width
        self._ranks = start
        self.factors = [self._laid_out(layer) for layer in layers]

    def _laid_out(self, layer: Any) -> Factors | None:
        mine = [key for key in self.keys if isinstance(layer, Linear) and key in layer.lora_A]
        if not mine:
            return None
        dtype, device = beside(layer.get_base_layer())
        options: Any = {"dtype": dtype, "device": device}
        first = torch.zeros(self._ranks, layer.in_features, **options)
        second = torch.zeros(self._ranks, layer.out_features, **options)
        for key in mine:
            start, rank = self.places[key].start, layer.r[key]
            first[start : start + rank] = layer.lora_A[key].weight
            scaled: Any = layer.lora_B[key].weight.t() * layer.scaling[key]
            second[start : start + rank] = scaled
        return Factors(first, second)

    def alone(self, key: str) -> list[Factors | None]:
        """The factors of one adapter."""
        ranks = self.places[key]
        return [one and Factors(one.first[ranks], one.second[ranks]) for one in self.factors]

    def blocked(self, rows: Sequence[str | None], device: torch.device) -> Tensor:
        """Of every row (rows, ranks): the ranks that are not its own."""
        found = torch.ones(len(rows), self._ranks, dtype=torch.bool)
        for place, key in enumerate(rows):
            if key is not None:
                found[place, self.places[key]] = False
        return found.to(device)


def beside(base: Any) -> tuple[torch.dtype, torch.device]:
    """In what factors beside a layer are multiplied, and where."""
    if isinstance(base, FrozenLinear):
        return base.beside, torch.device("cpu")
    return base.weight.dtype, base.weight.device


class Products:
    """What the adapters of some rows add to the layers: nothing, for rows without any."""

    starts: Sequence[int] = ()
    """Where the tokens of each row begin among all, and where those of the last one end."""
    factors: Sequence[Factors | None] = ()
    """By the places of layers; of all adapters, side by side."""

    def spans(self, rows: int) -> list[tuple[int, int]]:
        """First and last rank of each row's own adapter among the factors."""
        return [(0, 0)] * rows

    def add(self, place: int, y: Tensor, x: Tensor) -> None:
        """Of the layer at a place: onto y (tokens of all rows, out), from x (tokens of all rows, in)."""


class _Same(Products):
    """All rows have one adapter."""

    def __init__(self, stack: Stack, key: str, *, single: bool) -> None:
        factors = stack.alone(key)
        self.factors = _quick(factors) if single else factors
        ranks = stack.places[key]
        self._ranks = ranks.stop - ranks.start

    def add(self, place: int, y: Tensor, x: Tensor) -> None:
        factors = self.factors[place]
        if factors and not factors.add_runs(y, x, torch.tensor([[0, len(x), 0, self._ranks]])):
            factors.add(y, x)


class _Runs(Products):
    """Rows of one adapter after another, each multiplied with its own factors."""

    def __init__(self, stack: Stack, rows: Sequence[str | None]) -> None:
        self.factors = stack.factors
        self._runs: list[tuple[int, int, slice, list[Factors | None]]] = []
        start = 0
        for key, same in groupby(rows):
            end = start + len(list(same))
            if key is not None:
                self._runs.append((start, end, stack.places[key], stack.alone(key)))
            start = end

    def add(self, place: int, y: Tensor, x: Tensor) -> None:
        starts = self.starts
        if x.shape[0] != starts[-1]:
            raise RuntimeError("A layer of this model mixes the tokens of different rows.")
        if (together := self.factors[place]) is None:
            return
        runs = [
            (starts[start], starts[end], ranks.start, ranks.stop)
            for start, end, ranks, _ in self._runs
        ]
        if together.add_runs(y, x, torch.tensor(runs)):
            return
        for (left, right, *_), (*_, own) in zip(runs, self._runs, strict=True):
            if factors := own[place]:
                factors.add(y[left:right], x[left:right])


class _Masked(Products):
    """One token a row: every row times all factors, without those of other adapters."""

    def __init__(self, stack: Stack, rows: Sequence[str | None], device: torch.device) -> None:
        self.factors = _quick(stack.factors)
        self._blocked = stack.blocked(rows, device)

    def add(self, place: int, y: Tensor, x: Tensor) -> None:
        if factors := self.factors[place]:
            factors.add(y, x, self._blocked)


class _Own(Products):
    """One token a row: a kernel multiplies each with the factors of its own adapter alone."""

    def __init__(self, stack: Stack, rows: Sequence[str | None]) -> None:
        self.factors = stack.factors
        ranks = [stack.places[key] if key is not None else slice(0, 0) for key in rows]
        self._spans = [(one.start, one.stop) for one in ranks]
        self._own = torch.tensor(self._spans)

    def spans(self, rows: int) -> list[tuple[int, int]]:
        return self._spans

    def add(self, place: int, y: Tensor, x: Tensor) -> None:
        if factors := self.factors[place]:
            factors.add_own(y, x, self._own)


def _quick(factors: Sequence[Factors | None]) -> list[Factors | None]:
    return [one and one.quick for one in factors]


class Stacked:
    """The stack of the adapters that are asked for now, and the layers of a model that use it."""

    def __init__(self) -> None:
        self._stack: Stack | None = None
        self._last: tuple[tuple[str | None, ...], bool, Products] | None = None
        self._forwards: tuple[Products, list[Any]] | None = None

    def forget(self) -> None:
        """After a change of adapters."""
        self._stack = self._last = self._forwards = None

    @contextmanager
    def routed(
        self, layers: Sequence[Any], rows: Sequence[str | None], tokens: int
    ) -> Iterator[None]:
        """Within the block each row, of so many tokens, is computed with its adapter or without.

        What the layers computed before comes back at the end.
        """
        products = self.products(layers, rows, [tokens] * len(rows))
        if self._forwards is None or self._forwards[0] is not products:
            made = [_forward(layer, place, products) for place, layer in enumerate(layers)]
            self._forwards = products, made
        before = [layer.__dict__.get("forward") for layer in layers]
        try:
            for layer, one in zip(layers, self._forwards[1], strict=True):
                layer.__dict__["forward"] = one
            yield
        finally:
            for layer, forward in zip(layers, before, strict=True):
                if forward is None:
                    layer.__dict__.pop("forward", None)
                else:
                    layer.__dict__["forward"] = forward

    def products(
        self, layers: Sequence[Any], rows: Sequence[str | None], counts: Sequence[int]
    ) -> Products:
        """What these rows add, of so many tokens each."""
        products = self._known(layers, tuple(rows), single=max(counts) == 1)
        products.starts = [0, *accumulate(counts)]
        return products

    def _known(
        self, layers: Sequence[Any], asked: tuple[str | None, ...], *, single: bool
    ) -> Products:
        if self._last and self._last[:2] == (asked, single):
            return self._last[2]
        wanted = {key for key in asked if key is not None}
        if wanted and not (self._stack and wanted <= set(self._stack.keys)):
            self._stack = Stack(layers, self._members(wanted))
        self._last = (asked, single, self._made(layers, asked, wanted, single))
        return self._last[2]

    def _made(
        self, layers: Sequence[Any], rows: tuple[str | None, ...], wanted: set[str], single: bool
    ) -> Products:
        if not wanted or self._stack is None:
            return Products()
        _, device = beside(layers[0].get_base_layer())
        if single and device.type == "cpu" and few_tokens.compiles():
            return _Own(self._stack, rows)
        if len({*rows}) == 1:
            return _Same(self._stack, next(iter(wanted)), single=single)
        if single:
            return _Masked(self._stack, rows, device)
        return _Runs(self._stack, rows)

    def _members(self, wanted: set[str]) -> list[str]:
        """Those wanted, and as many of those stacked now as there is space for."""
        kept = [key for key in (self._stack.keys if self._stack else ()) if key not in wanted]
        return [*sorted(wanted), *kept[: max(0, _SPACE - len(wanted))]]


def _forward(layer: Any, place: int, products: Products) -> Any:
    if type(products) is Products:
        return bare(layer)
    base = layer.get_base_layer()

    def forward(x: Tensor, *rest: Any, **options: Any) -> Tensor:
        y: Tensor = base(x, *rest, **options)
        products.add(place, y.view(-1, y.shape[-1]), x.reshape(-1, x.shape[-1]))
        return y

    return forward
