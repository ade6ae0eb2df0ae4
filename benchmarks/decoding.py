"""One token of one row and of eight, beside the time that reading the weights takes:
`python -m benchmarks.decoding smollm2 --dtypes fp32,int8 --adapter qa`.

Seconds of this thread, the least of several turns in which the dtypes alternate: on a machine that does other work
besides, those of the clock say nothing.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch

from core import backbone as backbones
from core.adapters import registry
from core.backbone import catalogue, int8
from core.engine.cache import RowCache
from core.engine.engine import Engine

_PROMPT = 50
_BYTES = 2**28
"""Of the matrix that bandwidth is measured with."""
_ROWS = (1, 8)


class Decoding:
    """Rows that have read a prompt, and write."""

    def __init__(self, folder: str, dtype: Any, adapter: str) -> None:
        self.engine = Engine(backbones.load(folder, dtype=dtype))
        self._key: str | None = None
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
        whole = sum(one.in_features * one.out_features for one in int8.layers(model))
        return whole + sum(one.numel() * one.element_size() for one in read)

    def step(self, rows: int) -> None:
        """One token of each row."""
        cache = self._caches[rows]
        with self._forward.step():
            self._forward([[0]] * rows, [self._key] * rows, [1] * rows, cache)
            cache.advance([1] * rows)

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
) -> dict[tuple[str, int], float]:
    """Seconds of a step by dtype and rows, the floor as 0 rows."""
    systems = {dtype: Decoding(folder, dtype, adapter) for dtype in dtypes}
    matrix, vector = torch.ones(_BYTES // 4 // 4096, 4096), torch.ones(4096)
    least: dict[tuple[str, int], float] = defaultdict(lambda: float("inf"))
    for _ in range(turns):
        reading = _seconds(lambda: matrix @ vector) / _BYTES
        for dtype, system in systems.items():
            least[dtype, 0] = min(least[dtype, 0], reading * system.bytes)
            for rows in _ROWS:
                spent = _seconds(lambda system=system, rows=rows: system.step(rows))  # type: ignore[misc]
                least[dtype, rows] = min(least[dtype, rows], spent)
    return dict(least)


def _seconds(call: Callable[[], object]) -> float:
    start = time.thread_time()
    call()
    return time.thread_time() - start


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
    for (dtype, rows), seconds in found.items():
        print(f"{dtype:5} {f'{rows} rows' if rows else 'floor':8} {seconds * 1e3:7.1f} ms")
