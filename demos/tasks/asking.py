"""One request as a page makes it: who answers, what is asked, how to write; and who may answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Generic

from core.adapters import registry
from core.application import Application, Pending, Prediction
from core.engine.sampling import Sampling
from core.engine.sequences import Written
from core.errors import MissingAdapter
from core.service import Service
from core.task import In, Text
from demos import words
from demos.said import Said, same
from demos.tasks.fields import Turns
from demos.tasks.newest import Turn

BARE = "bare"
"""The value that stands for the backbone without an adapter."""
SERVED = "served"
"""The value that stands for the adapter that a page is named after."""
SHIPPED = "shipped"
"""The name of the adapter that came with Quintet."""
_NAMED = {SHIPPED: words.SHIPPED, BARE: words.BARE}
ALTERNATIVES = 5
"""Tokens that are shown beside the one that was written."""


@dataclass(frozen=True, kw_only=True)
class Writing:
    """How a free answer is written; `None` is the standard of the task."""

    sampling: Sampling | None = None
    max_new_tokens: int | None = None
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Asked(Generic[In]):
    """One request to one application."""

    application: Application[In]
    input: In
    writing: Writing
    turn: Turn
    turns: Turns
    said: str
    """The first field: what a chat shows as the words of the user."""
    told: Callable[[Prediction], None] | None = None
    """Called with the whole answer."""

    def submit(self) -> Pending:
        """The answer on its way; it is cancelled when a newer request begins."""
        free = isinstance(self.application.task.answer, Text)
        pending = self.application.submit(
            self.input,
            self.writing.sampling,
            max_new_tokens=self.writing.max_new_tokens,
            stop=self.writing.stop,
            logprobs=ALTERNATIVES if free else None,
        )
        self.turn.watch(pending)
        return pending

    def steps(self, pending: Pending) -> Iterator[tuple[Written, Prediction]]:
        """The answer after every token, until it ends or nobody wants it any more."""
        for written in pending.handle:
            if self.turn.stale:
                return
            found = pending.read(written)
            if written.finish is not None and self.told is not None:
                self.told(found)
            yield written, found


@dataclass(frozen=True)
class System:
    """Who answers: an adapter by its name, or the bare backbone."""

    value: str
    name: str
    """'shipped', 'spam@2' or 'bare', as feedback keeps it."""

    @property
    def said(self) -> Said:
        """What a person reads."""
        return _NAMED.get(self.name, same(self.name))

    def application(self, service: Service, page: str) -> Application[Any]:
        """What it answers with on the page of 'task' or 'task@version'."""
        task = page.partition("@")[0]
        if self.value == BARE:
            return service.bare(task)
        return service.application(page if self.value == SERVED else self.value)


def systems(service: Service, page: str) -> list[System]:
    """All that can answer on a page, the one that it is named after first."""
    task, _, version = page.partition("@")
    installed = list(registry.versions(task, service.engine.backbone.name))
    standing = list(registry.standing(task, service.engine.backbone.name))
    served = version or (str(max(standing)) if standing else "")
    first = System(SERVED, f"{task}@{served}" if served else SHIPPED)
    more = [
        System(f"{task}@{number}", f"{task}@{number}")
        for number in reversed(installed)
        if str(number) != served
    ]
    has_adapter = bool(version) or service.served(task)
    return [*([first] if has_adapter else []), *more, System(BARE, BARE)]


def chosen(service: Service, page: str, value: str) -> System:
    """The system of that value; of one that this backbone lacks, the first."""
    known = systems(service, page)
    return next((one for one in known if one.value == value), known[0])


def named(service: Service, page: str, value: str) -> System:
    """The system of that value; `MissingAdapter` where this backbone lacks it."""
    known = systems(service, page)
    found = next((one for one in known if value in (one.value, one.name)), None)
    if found is None and value != SERVED:
        raise MissingAdapter(
            f"No adapter {value!r} on {service.engine.backbone.name}; "
            f"known: {', '.join(one.name for one in known)}."
        )
    return found or System(SERVED, SERVED)


def without(asked: Asked[Any], **changes: Any) -> Asked[Any]:
    """The same request about another input."""
    return replace(asked, input=asked.input.model_copy(update=changes))
