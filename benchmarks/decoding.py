"""One token of one row and of eight, and the first token after a prompt, beside their floors:
`python -m benchmarks.decoding smollm2 --dtypes fp32,int8 --adapter qa`.

The floor of a token is the time that reading the weights takes, that of a prompt its arithmetic in fp32 at
the speed of one large product. Seconds of the processor on one thread, the least of several turns in which the
dtypes alternate: on a machine that does other work besides, those of the clock say nothing.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from core import backbone as backbones
from core.adapters import registry
from core.backbone import catalogue, frozen, packed
from core.engine.cache import RowCache
from core.engine.engine import Engine

_PROMPT = 50
_BYTES = 2**28
"""Of the matrix that bandwidth is measured with."""
_ROWS = (1, 8)
_STEPS = 4
"""One after another, as a text is written."""


class Decoding:
    """Rows that have read a prompt, and write."""

    def __init__(self, folder: str, dtype: Any, adapter: str) -> None:
        backbone = backbones.load(folder, dtype=dtype)
        packed.pack(backbone.model)
        self.engine = Engine(backbone)
        self._key: str | None = None
        self._adapter = adapter or None
        if adapter:
            found = registry.find(adapter, self.engine.backbone.name)
            self.engine.adapters.load(adapter, found)
            self._key = self.engine.adapters.hold(adapter)
        self._forward = self.engine._scheduler._forward
        self._caches = {rows: self._read(rows) for rows in _ROWS}

    @property
    def bytes(self) -> int:
        """That a token reads: embeddings only where they are the head too."""
        model: Any = self.engine.backbone.model
        embeddings = model.get_input_embeddings().weight
        tied = model.get_output_embeddings().weight is embeddings
        read = [one for one in model.parameters() if tied or one is not embeddings]
        each = 1 if self.engine.backbone.dtype == "int8" else 2
        whole = sum(one.in_features * one.out_features for one in frozen.layers(model))
        return each * whole + sum(one.numel() * one.element_size() for one in read)

    def step(self, rows: int) -> None:
        """One token of each row."""
        cache = self._caches[rows]
        with self._forward.step():
            self._forward([[0]] * rows, [self._key] * rows, [1] * rows, cache)
            cache.advance([1] * rows)

    @property
    def flops(self) -> int:
        """Of reading a prompt for its first token: all places through the blocks, one through the head."""
        model: Any = self.engine.backbone.model
        whole = sum(one.numel() for one in model.parameters() if one.ndim == 2)
        whole += sum(one.in_features * one.out_features for one in frozen.layers(model))
        head = model.get_output_embeddings().weight.numel()
        tied = model.get_input_embeddings().weight is model.get_output_embeddings().weight
        return 2 * (_PROMPT * (whole - head * (1 if tied else 2)) + head)

    def first(self, turn: int) -> None:
        """The whole way of a request for one token, on an idle engine; no prompt begins as another did."""
        self.engine.write(self._adapter, [[100 + turn, *range(10, 9 + _PROMPT)]], max_new_tokens=1)

    def _read(self, rows: int) -> RowCache:
        cache = RowCache(self.engine.backbone.model)
        cache.begin(rows)
        with self._forward.step():
            prompts = [list(range(10, 10 + _PROMPT))] * rows
            self._forward(prompts, [self._key] * rows, [1] * rows, cache)
        cache.advance([_PROMPT] * rows)
        return cache


def measure(
    folder: str, dtypes: list[str], adapter: str, turns: int
) -> dict[tuple[str, str], float]:
    """Seconds by dtype and what was done."""
    systems = {dtype: Decoding(folder, dtype, adapter) for dtype in dtypes}
    matrix, vector = torch.ones(_BYTES // 4 // 4096, 4096), torch.ones(4096)
    square = torch.ones(1024, 1024)
    least: dict[tuple[str, str], float] = defaultdict(lambda: float("inf"))

    def note(dtype: str, name: str, seconds: float) -> None:
        least[dtype, name] = min(least[dtype, name], seconds)

    for turn in range(turns):
        reading = _seconds(lambda: matrix @ vector) / _BYTES
        multiplying = _seconds(lambda: square @ square) / (2 * 1024**3)
        for dtype, system in systems.items():
            note(dtype, "floor of a step", reading * system.bytes)
            for rows in _ROWS:
                for _ in range(_STEPS):
                    note(dtype, f"step, {rows} rows", _seconds(partial(system.step, rows)))
            note(dtype, "floor of a prompt", multiplying * system.flops)
            note(dtype, "first token", _seconds(partial(system.first, turn)))
    return dict(least)


def _seconds(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("backbone")
    parser.add_argument("--dtypes", default="fp32,int8")
    parser.add_argument("--adapter", default="", help="A shipped one, such as qa.")
    parser.add_argument("--turns", type=int, default=20)
    known = parser.parse_args()
    torch.set_num_threads(1)
    found = measure(
        catalogue.resolve(known.backbone), known.dtypes.split(","), known.adapter, known.turns
    )
    for (dtype, name), seconds in found.items():
        print(f"{dtype:5} {name:18} {seconds * 1e3:7.1f} ms")
