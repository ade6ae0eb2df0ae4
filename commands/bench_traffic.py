"""What `quintet bench serve` asks: bundled inputs of the tasks that a backbone has adapters for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from commands.options import bundled, open_service
from core.errors import BadSetting

if TYPE_CHECKING:
    from pathlib import Path

    from core.engine.sequences import Request
    from core.service import Service

_TURNS = 4
"""Questions on one passage, or turns of one conversation."""


def build(
    kind: str, folder: str, rows: int, length: int
) -> tuple[dict[str, Path], list[list[Request]]]:
    """The adapters of a backbone, and the traffic of a kind; free answers have at most `length` tokens."""
    if kind not in KINDS:
        raise BadSetting(f"Unknown traffic {kind!r}; known: {', '.join(KINDS)}.")
    service = open_service(folder, "cpu", "fp32")
    adapters = {name: service.find(name) for name in service.tasks if service.served(name)}
    return adapters, KINDS[kind](service, list(adapters), rows, length)


def bodies(folder: str, rows: int, length: int) -> list[tuple[str, dict[str, Any]]]:
    """The same for the HTTP service: routes and bodies."""
    service = open_service(folder, "cpu", "fp32")
    return [
        (f"/v1/tasks/{name}", {"inputs": [one.model_dump(mode="json")], "max_tokens": length})
        for name in service.tasks
        if service.served(name)
        for one in islice(_inputs(service, name, rows), rows)
    ]


def _mixed(service: Service, names: list[str], rows: int, length: int) -> list[list[Request]]:
    """All tasks by turns, all there at once."""
    requests = []
    for name in names:
        application = service.application(name)
        most = None if application.closed else length
        asked = islice(_inputs(service, name, rows), rows)
        requests.append([application.request(one, max_new_tokens=most) for one in asked])
    return [[request for turn in zip(*requests, strict=False) for request in turn]]


def _labels(service: Service, names: list[str], rows: int, length: int) -> list[list[Request]]:
    """Closed answers only."""
    closed = [name for name in names if service.application(name).closed]
    return _mixed(service, closed, rows, length)


def _passages(service: Service, names: list[str], rows: int, length: int) -> list[list[Request]]:
    """Several questions on each of some passages, one after another."""
    qa = service.application("qa")
    asked = [one for one in _inputs(service, "qa", 8 * rows + _TURNS) if one.passage]
    return [
        [
            qa.request(
                one.model_copy(update={"question": asked[(place + turn) % len(asked)].question}),
                max_new_tokens=length,
            )
            for place, one in enumerate(asked[:rows])
        ]
        for turn in range(_TURNS)
    ]


def _chats(service: Service, names: list[str], rows: int, length: int) -> list[list[Request]]:
    """Conversations; what was answered before is part of the next prompt."""
    from apps.qa import Turn

    qa = service.application("qa")
    questions = [one.question for one in _inputs(service, "qa", 8 * rows * _TURNS)]
    histories: list[tuple[Turn, ...]] = [()] * rows
    traffic = []
    for turn in range(_TURNS):
        asked = [
            qa.input(question=questions[(place * _TURNS + turn) % len(questions)], history=history)
            for place, history in enumerate(histories)
        ]
        traffic.append([qa.request(one, max_new_tokens=length) for one in asked])
        answers = [one.text for one in qa.predict(asked, max_new_tokens=length)]
        histories = [
            (
                *history,
                Turn(role="user", content=one.question),
                Turn(role="assistant", content=answer),
            )
            for history, one, answer in zip(histories, asked, answers, strict=True)
        ]
    return traffic


def _inputs(service: Service, name: str, most: int) -> Iterator[Any]:
    from finetune.data.examples import read_examples

    found = read_examples(service.task(name), [bundled(name, "test")], limit=most)
    return (example.input for example in found.examples)


_Builder = Callable[["Service", list[str], int, int], list[list["Request"]]]
KINDS: Mapping[str, _Builder] = {
    "mixed": _mixed,
    "labels": _labels,
    "passages": _passages,
    "chats": _chats,
}
