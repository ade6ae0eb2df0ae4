"""A real service on the loopback: a tiny backbone, adapters with random weights, a sixth task."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import torch

import apps
from core import backbone as backbones
from core import store
from core.adapters import registry
from core.adapters.configuration import configuration_hash
from core.adapters.lora import AdapterStack
from core.adapters.passport import PASSPORT, Passport, weights_hash
from core.service import Service
from serving import app as serving
from serving import running
from serving.guard.limits import Limits
from serving.served import Served

BACKBONE = "quintet-nano"
SIXTH = """
from typing import Literal
from core.task import Choice, Criterion, Input, Task

class Notice(Input):
    text: str
    channel: Literal["mail", "wall"] = "mail"

task = Task(title="Urgency", description="Is it urgent?", input=Notice,
    columns=(("text", "label"),), sources=(), read=lambda row: [],
    prompt=lambda notice: f"{notice.channel}: {notice.text}",
    answer=Choice(labels=("now", "later", "never")), metrics=("classification",),
    select_by=Criterion(metric="accuracy"), samples=(Notice(text="The roof leaks!", channel="wall"),))
"""


def install(stack: AdapterStack, name: str, fingerprint: str) -> None:
    """An adapter with random weights, as the next version of its task."""
    task, seed = apps.load(name), torch.Generator().manual_seed(len(name))
    stack.create(f"made-{name}", seed=1)
    with torch.no_grad():
        for parameter in stack.parameters(f"made-{name}"):
            parameter.copy_(torch.randn(parameter.shape, generator=seed) * 0.2)
    number = max(registry.versions(name, BACKBONE), default=0) + 1
    folder = registry.root() / BACKBONE / name / str(number)
    stack.save(f"made-{name}", folder)
    passport = Passport(
        task=name, backbone=BACKBONE, fingerprint=fingerprint, prompt_hash=task.prompt_hash,
        weights_hash=weights_hash(folder), configuration_hash=configuration_hash(folder),
        data_hash="", data="samples", metrics={}, rows=72, seed=0, versions={}, baseline={},
        created="2026-01-01",
    )  # fmt: skip
    store.write_json(folder / PASSPORT, passport.sealed().model_dump(mode="json"))


def make_service(tokenizer: Any, tasks: Path) -> Service:
    """Six tasks on a tiny backbone, each with an adapter installed in the home of the test."""
    tasks.joinpath("urgency.py").write_text(SIXTH)
    backbone = backbones.create("nano", tokenizer, seed=0)
    stack = AdapterStack(backbones.create("nano", tokenizer, seed=0))
    for name in apps.names():
        install(stack, name, backbone.fingerprint)
    return Service(backbone, {name: apps.load(name) for name in apps.names()})


@contextmanager
def served(service: Service, **options: Any) -> Iterator[str]:
    """The address of a running server, which ends with the block."""
    limits = options.pop("limits", Limits())
    app = serving.build(Served(service, list(service.tasks)), limits=limits, **options)
    with running.bind("127.0.0.1", 0) as bound:
        server = running.server(app, limits)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive()
                time.sleep(0.01)
            yield running.address(bound)
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def connected(address: str) -> Iterator[socket.socket]:
    """A bare connection to the server, for what no client library would do."""
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as link:
        yield link


def figure(address: str, name: str) -> float:
    """The sum of a figure over all its labels."""
    lines = httpx.get(f"{address}/metrics").text.splitlines()
    return sum(
        float(line.rpartition(" ")[2])
        for line in lines
        if line.startswith((f"{name} ", f"{name}{{"))
    )


def wait_for(true: Any, seconds: float = 10) -> None:
    """Until something holds."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "It never came."
        time.sleep(0.02)
