"""The models by name: 'task', 'task@version', the backbone's own name, and what was loaded by hand."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from core.adapters import registry
from core.adapters.passport import read_passport
from core.application import Application
from core.errors import BadSetting, MissingAdapter, nearest
from core.service import Service
from core.task import Task
from serving import bare
from serving.guard.refusals import Refused
from serving.openai_routes.schemas import Model


class Served:
    """What `quintet serve` answers as; `names` are the tasks it was started with."""

    def __init__(self, service: Service, names: Sequence[str]) -> None:
        self.service = service
        self.tasks: dict[str, Task[Any]] = {
            task.name: task for task in (service.task(name) for name in names)
        }
        self._since = int(time.time())
        self.asked = tuple(dict.fromkeys(names))
        """The models it was started with."""
        self._by_hand: dict[str, tuple[str, Path | None]] = {}
        """Name → its task, or 'task@version', and the folder it was loaded from."""
        self._lock = threading.Lock()
        self._continuing = bare.continuing(service.engine)
        self._chatting = bare.chatting(service.engine)

    @property
    def backbone(self) -> str:
        """The name under which the backbone answers without an adapter."""
        return self.service.engine.backbone.name

    @property
    def fingerprint(self) -> str:
        """What tells clients that the weights behind an answer are others."""
        return f"fp_{self.service.engine.backbone.fingerprint[:16]}"

    def application(self, model: str) -> Application[Any]:
        """The application of a task's model; raises `MissingAdapter` with the names there are."""
        with self._lock:
            name, folder = self._by_hand.get(model, (model, None))
        if name.partition("@")[0] not in self.tasks:
            known = self.names()
            raise MissingAdapter(
                f"No model {model!r}; served: {', '.join(known)}.{nearest(model, known)}"
            )
        return self.service.application(name, folder)

    def continuing(self, model: str) -> Application[Any]:
        """The same, or the backbone that continues what is typed."""
        return self._continuing if model == self.backbone else self.application(model)

    def chatting(self, model: str) -> Application[Any]:
        """The same, or the backbone that chats."""
        return self._chatting if model == self.backbone else self.application(model)

    def names(self) -> list[str]:
        """Every model that can be asked, the backbone last."""
        with self._lock:
            by_hand = list(self._by_hand)
        return [*dict.fromkeys([*self._own(), *by_hand]), self.backbone]

    def _own(self) -> Iterator[str]:
        for task in self.tasks:
            if self.service.served(task):
                yield task
            yield from (f"{task}@{number}" for number in registry.versions(task, self.backbone))

    def listed(self) -> list[Model]:
        """The models as OpenAI lists them."""
        return [self.described(name) for name in self.names()]

    def described(self, name: str) -> Model:
        """One of them."""
        if name == self.backbone:
            return Model(id=name, created=self._since, root=name)
        with self._lock:
            base = self._by_hand.get(name, (name, None))[0]
        root = base.partition("@")[0]
        return Model(id=name, created=self._since, root=root, parent=self.backbone)

    def load_by_hand(self, name: str, path: str) -> None:
        """Serve an installed adapter under a name; `path` is its folder under the installed ones."""
        folder = Path(path).resolve()
        if not folder.is_relative_to(registry.root().resolve()):
            raise Refused(
                403, "lora_path must lie among the installed adapters: quintet adapters install RUN"
            )
        if name in self.names():
            raise BadSetting(f"{name!r} is served already. Unload it first, or take another name.")
        task = read_passport(folder).task
        self.service.application(task, folder)
        with self._lock:
            self._by_hand[name] = (task, folder)

    def unload(self, name: str) -> bool:
        """Take an adapter out of memory; a name that was given by hand is forgotten with it.

        Whether the name is still served: that of a task loads its adapter again when asked.
        """
        with self._lock:
            loaded = self._by_hand.pop(name, (name, None))
            if loaded not in self._by_hand.values():
                self.service.unload(*loaded)
        return name in self.names()
