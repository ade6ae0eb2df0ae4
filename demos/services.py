"""The backbones that can answer here, each with its service; loaded when first asked for."""

from __future__ import annotations

import threading

from core.backbone import catalogue, load
from core.errors import MissingBackbone
from core.service import Service


class Services:
    """The service that the pages were opened with, and those of other installed backbones."""

    def __init__(self, first: Service) -> None:
        self.first = first
        self._open = {first.engine.backbone.name: first}
        self._lock = threading.Lock()

    @property
    def names(self) -> tuple[str, ...]:
        """The backbones that may be chosen; the first one is open already."""
        known = (known.name for known in catalogue.KNOWN.values() if known.present)
        return tuple(dict.fromkeys([self.first.engine.backbone.name, *known]))

    def of(self, name: str | None) -> Service:
        """The service on that backbone; it is loaded where it is asked for the first time."""
        if not name:
            return self.first
        with self._lock:
            if name not in self._open:
                if name not in self.names:
                    raise MissingBackbone(
                        f"No backbone {name!r} here; known: {', '.join(self.names)}."
                    )
                self._open[name] = self._loaded(name)
            return self._open[name]

    def is_open(self, name: str) -> bool:
        """Whether it answers at once."""
        return name in self._open

    def _loaded(self, name: str) -> Service:
        source = catalogue.resolve(catalogue.get(name).name)
        device = str(self.first.engine.backbone.device)
        return Service(load(source, device=device, dtype="auto"), self.first.tasks)
