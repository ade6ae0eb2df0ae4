"""How the subject was trained: what its passport, its weights and the run around it tell."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from core.adapters.configuration import CONFIGURATION
from core.adapters.passport import WEIGHTS, Passport
from finetune.evaluation.comparison import Evaluation
from finetune.report.results import Training

Line = dict[str, float]


def learning(adapter: Path | None) -> tuple[Line, ...]:
    """The lines of the log of the run that an adapter lies in; none where it lies elsewhere."""
    path = adapter.parent / "log.jsonl" if adapter else None
    if path is None or not path.is_file():
        return ()
    return tuple(json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())


def trained(
    found: Evaluation[Any], adapter: Path | None, passport: Passport | None, log: Sequence[Line]
) -> Training:
    """Of the bare backbone nothing but what the baselines had."""
    about: dict[str, Any] = {"baseline_rows": len(found.train), "same_rows": found.own}
    if passport:
        about |= dict(backbone=passport.backbone, sources=passport.data, seed=passport.seed)
        about["rows"] = found.seen.examples if found.seen else None
    if adapter:
        about |= _adapter(adapter) | _run(adapter.parent)
    if log:
        about |= _steps(log)
    return Training(**about)


def _adapter(folder: Path) -> dict[str, Any]:
    from safetensors import safe_open

    config = json.loads((folder / CONFIGURATION).read_text(encoding="utf-8"))
    modules = config.get("target_modules") or ()
    with safe_open(folder / WEIGHTS, framework="numpy") as file:
        sizes = [file.get_slice(name).get_shape() for name in file.keys()]  # noqa: SIM118
    return {
        "rank": config.get("r"),
        "modules": (modules,) if isinstance(modules, str) else tuple(sorted(modules)),
        "parameters": sum(_product(size) for size in sizes),
    }


def _product(size: Sequence[int]) -> int:
    whole = 1
    for one in size:
        whole *= one
    return whole


def _run(folder: Path) -> dict[str, Any]:
    path = folder / "config.yaml"
    if not path.is_file():
        return {}
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    # Paths say where on the machine the rows lay, which is nobody's business.
    return {"settings": {k: v for k, v in found.items() if k not in ("data", "start")}}


def _steps(log: Sequence[Line]) -> dict[str, Any]:
    seconds, before = 0.0, 0.0
    for line in log:
        if line.get("tokens_per_second"):
            seconds += (line["tokens"] - before) / line["tokens_per_second"]
            before = line["tokens"]
    last = log[-1]
    return {"steps": int(last["step"]), "tokens": int(last["tokens"]), "seconds": seconds}
