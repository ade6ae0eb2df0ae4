"""Checkpoints that appear whole or not at all, and from which a run goes on bit by bit."""

from __future__ import annotations

import json
import pickle
import random
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from core import store
from core.adapters.weights import first_line
from core.errors import Busy, Damaged, Mismatch
from finetune.data.training_data import LOCK
from finetune.training import shards

_FILES = ("weights.safetensors", "optimizer.pt", "state.json")
_UNREADABLE = (
    SafetensorError, ValueError, RuntimeError, EOFError, KeyError, TypeError, pickle.UnpicklingError
)  # fmt: skip
T = TypeVar("T")


@dataclass
class State:
    """Where the run stands: everything but weights and optimizers."""

    step: int = 0
    best: float | None = None
    best_step: int = 0
    evaluations_since_best: int = 0
    skipped: int = 0
    tokens: int = 0
    seconds: float = 0.0
    """Of the steps alone."""
    elapsed: float = 0.0
    """Validation and saving included."""
    finished: bool = False
    metrics: dict[str, float] = field(default_factory=dict)
    guard: dict[str, Any] = field(default_factory=dict)


def save(
    folder: Path,
    state: State,
    weights: Mapping[str, Tensor],
    optimizers: Sequence[Mapping[str, Any]],
    identity: Mapping[str, Any],
    *,
    keep: int,
) -> None:
    """Write `folder/checkpoint-N`, then remove all but the newest `keep`."""
    memory = {"optimizers": list(optimizers), "random": random_state()}
    with store.new_folder(folder / f"checkpoint-{state.step}") as new:
        try:
            save_file(
                {k: v.detach().cpu().contiguous() for k, v in weights.items()}, new / _FILES[0]
            )
            torch.save(memory, new / _FILES[1])
        except (SafetensorError, RuntimeError) as error:  # how both say that a disk is full
            raise OSError(f"Cannot write {new.parent}: {first_line(error)}") from error
        about = {"state": vars(state), "identity": dict(identity), "hashes": _hashes(new)}
        store.write_json(new / _FILES[2], about)
    for old in checkpoints(folder)[:-keep]:
        shutil.rmtree(old)


def checkpoints(folder: Path) -> list[Path]:
    """Complete checkpoints, oldest first."""
    found = [
        path
        for path in folder.glob("checkpoint-*")
        if path.name.removeprefix("checkpoint-").isdigit()
    ]
    return sorted(found, key=lambda path: int(path.name.removeprefix("checkpoint-")))


def load(
    path: Path, optimizers: Sequence[torch.optim.Optimizer], identity: Mapping[str, Any]
) -> tuple[State, dict[str, Tensor]]:
    """State and weights; optimizers and random generators are set back to that moment.

    Raises `Damaged` for a missing or broken file, `Mismatch` where a key of the run changed.
    """
    for name in _FILES:
        if not (path / name).is_file():
            raise Damaged(
                f"{path} is incomplete: {name} is missing. "
                f"Remove the folder to go on from the checkpoint before it."
            )
    state, then, hashes = _read(path / _FILES[2], _about)
    _check_hashes(path, hashes)
    weights = _read(path / _FILES[0], load_file)
    memory = _read(path / _FILES[1], _on_cpu)
    _check(then, identity, path)
    for optimizer, found in zip(optimizers, memory["optimizers"], strict=True):
        shards.remember(optimizer, found)
    restore_random_state(memory["random"])
    return state, weights


def _hashes(folder: Path) -> dict[str, str]:
    return {name: store.file_hash(folder / name) for name in _FILES[:2]}


def _check_hashes(path: Path, hashes: Mapping[str, str]) -> None:
    for name, found in _hashes(path).items():
        if hashes.get(name, found) != found:
            raise Damaged(
                f"{path / name} is not what was written: it was altered or cut. "
                f"Remove {path} to go on from the checkpoint before it."
            )


def _on_cpu(path: Path) -> Any:
    """Whatever machine it was written on; an optimizer takes its state to where its weights are."""
    return torch.load(path, weights_only=True, map_location="cpu")


def cut_log(path: Path, step: int) -> None:
    """Drop what was logged after `step`, and a last line that was torn: those steps come again."""
    lines = (
        path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    )
    kept = [line for line in lines if (found := _step_of(line)) is not None and found <= step]
    if len(kept) < len(lines):
        store.write_text(path, "".join(f"{line}\n" for line in kept))


def _step_of(line: str) -> int | None:
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return None


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """One run, one writer: raises `Busy` where another process holds the folder's lock.

    What a process that was killed left half written is removed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise Busy(
            f"Another process trains in {folder}. Wait for it, or give another --output."
        ) from error
    try:
        store.sweep(folder, older=0)
        yield
    finally:
        lock.release()


def _read(path: Path, reader: Callable[[Path], T]) -> T:
    try:
        return reader(path)
    except _UNREADABLE as error:
        raise Damaged(
            f"{path} is damaged ({type(error).__name__}). "
            f"Remove {path.parent} to go on from the checkpoint before it."
        ) from error


def _about(path: Path) -> tuple[State, dict[str, Any], dict[str, str]]:
    stored = json.loads(path.read_text(encoding="utf-8"))
    return State(**stored["state"]), stored["identity"], dict(stored.get("hashes", {}))


def _check(stored: Mapping[str, Any], here: Mapping[str, Any], path: Path) -> None:
    then, now = _flat(stored), _flat(json.loads(json.dumps(here)))
    differs = sorted(key for key in {**then, **now} if then.get(key) != now.get(key))
    if differs:
        said = "; ".join(f"{key}: {then.get(key)} then, {now.get(key)} now" for key in differs)
        raise Mismatch(f"Cannot resume from {path}: {said}. Use the old values, or begin anew.")


def _flat(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Keys of the settings beside the others, so that only what differs is named.

    The others win: `data` is the hash of what was read, not the name of the file.
    """
    settings = identity.get("settings", {})
    return {**settings, **{k: v for k, v in identity.items() if k != "settings"}}


def random_state() -> dict[str, Any]:
    """Of python, numpy and torch, in types that `torch.load(weights_only=True)` reads."""
    version, words, gauss = random.getstate()
    kind, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    return {
        "python": [version, list(words), gauss],
        "numpy": [kind, [int(k) for k in keys], int(position), int(has_gauss), float(cached)],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore_random_state(found: Mapping[str, Any]) -> None:
    """Set the generators back to what `random_state` saw."""
    version, words, gauss = found["python"]
    random.setstate((version, tuple(words), gauss))
    kind, keys, position, has_gauss, cached = found["numpy"]
    np.random.set_state((kind, np.array(keys, dtype=np.uint32), position, has_gauss, cached))
    torch.set_rng_state(found["torch"])
    if found["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(found["cuda"][: torch.cuda.device_count()])
