"""One process, one backbone, every task: applications opened by the name of their adapter."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.adapters import registry
from core.adapters.passport import Passport, read_passport
from core.application import Application
from core.errors import Damaged, MissingAdapter, UnknownTask, nearest
from core.task import Task

if TYPE_CHECKING:
    from core.backbone import Backbone
    from core.engine.engine import Engine


class Service:
    """Applications on one engine; an adapter is loaded when it is first asked for, and kept.

    One that is installed later takes the place of the one before it: rows that run end with the old one.
    """

    def __init__(self, backbone: Backbone, tasks: Mapping[str, Task[Any]]) -> None:
        from core.engine.engine import Engine

        self.tasks = dict(tasks)
        self.engine: Engine = Engine(backbone)
        self._passports: dict[str, Passport] = {}
        self._versions: dict[str, tuple[int, ...]] = {}
        """The versions that were installed when an adapter was loaded."""
        self._offered: dict[str, Path] = {}
        self._lock = threading.Lock()

    def application(self, name: str, folder: Path | None = None) -> Application[Any]:
        """The application of 'task' or 'task@version', or of the adapter in `folder`.

        What is served is looked up at every call: a version that was installed, promoted or rolled back
        meanwhile answers from then on.

        Raises `MissingAdapter` where there is none, and `Mismatch` where backbone, tokenizer or
        prompt are not those it was trained with.
        """
        task = self.task(name)
        key = f"{name}={folder.resolve()}" if folder else name
        there = tuple(registry.standing(task.name, self.engine.backbone.name))
        with self._lock:
            if key not in self._passports or (not folder and self._versions[key] != there):
                self._passports[key] = self._load(key, task, folder or self.find(name))
                self._versions[key] = there
            point = self._passports[key].operating_point
        return Application(task, self.engine, key, operating_point=point)

    def unload(self, name: str, folder: Path | None = None) -> None:
        """Take an adapter out of memory once its rows are done; asked for again, it is loaded again."""
        only = f"{name}={folder.resolve()}" if folder else None
        with self._lock:
            keys = [only] if only else [k for k in self._passports if k.partition("=")[0] == name]
            loaded = [key for key in keys if key in self._passports]
            for key in loaded:
                del self._passports[key]
                self.engine.adapters.delete(key)
        if not loaded:
            raise MissingAdapter(f"No adapter {name!r} is loaded.")

    def bare(self, name: str) -> Application[Any]:
        """The backbone without an adapter, asked in the task's words."""
        return Application(self.task(name), self.engine, None)

    def passport(self, name: str, folder: Path | None = None) -> Passport:
        """What the adapter behind `application(name, folder)` was made from, and its score."""
        adapter = self.application(name, folder).adapter
        return self._passports[str(adapter)]

    def offer(self, name: str, folder: Path) -> None:
        """Give the adapter in a folder, such as that of a run, a name: 'task@word'."""
        self._offered[name] = folder

    def find(self, name: str) -> Path:
        """Folder of the adapter served under 'task' or 'task@version' on this backbone."""
        if name in self._offered:
            return self._offered[name]
        backbone = self.engine.backbone
        return registry.find(name, backbone.name, backbone.fingerprint)

    def served(self, task: str) -> bool:
        """Whether an adapter for the task is installed or shipped for this backbone."""
        return registry.served(task, self.engine.backbone.name)

    def task(self, name: str) -> Task[Any]:
        """The task of 'task' or 'task@version'."""
        wanted = name.partition("@")[0]
        if wanted not in self.tasks:
            known = ", ".join(self.tasks)
            raise UnknownTask(
                f"Unknown task {wanted!r}; known: {known}.{nearest(wanted, self.tasks)}"
            )
        return self.tasks[wanted]

    def _load(self, key: str, task: Task[Any], folder: Path) -> Passport:
        from core.adapters.weights import idle, read_weights

        passport = read_passport(folder)
        if passport.task != task.name:
            raise MissingAdapter(
                f"{folder} is an adapter for {passport.task!r}, not {task.name!r}."
            )
        passport.check(
            fingerprint=self.engine.backbone.fingerprint,
            tokenizer_hash=self.engine.backbone.tokenizer_hash,
            prompt_hash=task.prompt_hash,
            folder=folder,
        )
        passport.check_files(folder)
        if idle(read_weights(folder)):
            raise Damaged(
                f"The adapter in {folder} changes no answer: its weights are zero. Train it first."
            )
        self.engine.adapters.load(key, folder)
        return passport
