"""One process, one backbone, every task: applications opened by the name of their adapter."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.adapters import registry
from core.adapters.passport import Passport, read_passport
from core.application import Application
from core.errors import MissingAdapter, UnknownTask, nearest
from core.task import Task

if TYPE_CHECKING:
    from core.backbone import Backbone
    from core.engine.engine import Engine


class Service:
    """Applications on one engine; an adapter is loaded when it is first asked for, and kept."""

    def __init__(self, backbone: Backbone, tasks: Mapping[str, Task[Any]]) -> None:
        from core.engine.engine import Engine

        self.tasks = dict(tasks)
        self.engine: Engine = Engine(backbone)
        self._passports: dict[str, Passport] = {}
        self._lock = threading.Lock()

    def application(self, name: str, folder: Path | None = None) -> Application[Any]:
        """The application of 'task' or 'task@version', or of the adapter in `folder`.

        What is served is looked up at every call: a version that was installed, promoted or rolled back
        meanwhile answers from then on.

        Raises `MissingAdapter` where there is none, and `Mismatch` where backbone, tokenizer or
        prompt are not those it was trained with.
        """
        task = self.task(name)
        chosen = folder or self.find(name)
        key = f"{name}={chosen.resolve()}"
        with self._lock:
            if key not in self._passports:
                self._passports[key] = self._load(key, task, chosen)
        point = self._passports[key].operating_point
        return Application(task, self.engine, key, operating_point=point)

    def bare(self, name: str) -> Application[Any]:
        """The backbone without an adapter, asked in the task's words."""
        return Application(self.task(name), self.engine, None)

    def passport(self, name: str, folder: Path | None = None) -> Passport:
        """What the adapter behind `application(name, folder)` was made from, and its score."""
        adapter = self.application(name, folder).adapter
        return self._passports[str(adapter)]

    def find(self, name: str) -> Path:
        """Folder of the adapter served under 'task' or 'task@version' on this backbone."""
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
        self.engine.adapters.load(key, folder)
        return passport
