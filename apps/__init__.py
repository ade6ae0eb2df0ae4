"""The tasks: one file each, whose name is the task's name and which defines `task`.

The folder named by the environment variable QUINTET_APPS adds more. Importing loads no torch.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import importlib.util
import logging
import os
import sys
from pathlib import Path
from typing import Any

from core.errors import BadData, BadSetting, UnknownTask, nearest
from core.task import Task

log = logging.getLogger(__name__)
_HERE = Path(__file__).parent


def names() -> tuple[str, ...]:
    """The known tasks, in alphabetical order."""
    return tuple(sorted(_files()))


def load(name: str) -> Task[Any]:
    """The task of that name; `UnknownTask` names those there are."""
    files = _files()
    if name not in files:
        raise UnknownTask(
            f"Unknown task {name!r}; known: {', '.join(sorted(files))}.{nearest(name, files)}"
        )
    return _load(files[name])


def usable() -> dict[str, Task[Any]]:
    """Every task by its name; a broken file in QUINTET_APPS is named, and costs no other task."""
    found: dict[str, Task[Any]] = {}
    for name, path in sorted(_files().items()):
        try:
            found[name] = _load(path)
        except BadSetting as error:
            if path.parent == _HERE:
                raise
            log.warning("Left out: %s", error)
    return found


def samples(name: str, split: str) -> Path:
    """The bundled rows of a task: `samples/<name>/<split>.jsonl` beside its file."""
    task = load(name)
    folder = _files()[task.name].parent / "samples" / name
    path = folder / f"{split}.jsonl"
    if not path.is_file():
        splits = sorted(found.stem for found in folder.glob("*.jsonl"))
        raise BadData(
            f"No bundled rows {split!r} for {name!r}; bundled: {', '.join(splits) or 'none'}. "
            "Give your own with --data."
        )
    return path


def samples_if_any(name: str, split: str) -> Path | None:
    """The same, or None for a task that brings no rows."""
    try:
        return samples(name, split)
    except BadData:
        return None


def _files() -> dict[str, Path]:
    files: dict[str, Path] = {}
    for folder in _folders():
        for path in sorted(folder.glob("*.py")):
            if path.stem.startswith("_"):
                continue
            if path.stem in files:
                raise BadSetting(f"{path} and {files[path.stem]} have one name. Rename the first.")
            files[path.stem] = path
    return files


def _folders() -> list[Path]:
    added = os.environ.get("QUINTET_APPS", "")
    if not added:
        return [_HERE]
    if not Path(added).is_dir():
        raise BadSetting(f"QUINTET_APPS names {added!r}, which is no folder.")
    return [_HERE, Path(added).resolve()]


@functools.cache
def _load(path: Path) -> Task[Any]:
    own = path.parent == _HERE
    module = importlib.import_module(f"apps.{path.stem}") if own else _module(path)
    task = getattr(module, "task", None)
    if not isinstance(task, Task):
        raise BadSetting(f"{path} defines no `task`. Give it one: task = Task(...).")
    return dataclasses.replace(task, name=path.stem)


def _module(path: Path) -> Any:
    name = f"quintet_apps.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise BadSetting(f"{path} cannot be imported.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # pydantic looks up the names in annotations there
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise BadSetting(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    return module
