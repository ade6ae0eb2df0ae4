"""Many clients at once against `quintet serve` on the loopback: latency, refusals, memory, answers."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import psutil

from core.errors import QuintetError

_START = 300.0
"""Seconds that the service may take to be ready."""
_BUSY = (429, 503)

Asked = tuple[str, dict[str, Any]]
"""A route, and the body for it."""


class NotServed(QuintetError):
    """The service did not start, or refused what a single client asks."""


@dataclass
class Found:
    """What became of all requests."""

    seconds: list[float] = field(default_factory=list)
    """Of each that was answered."""
    refused: int = 0
    lost: int = 0
    """Neither answered nor refused."""
    different: int = 0
    """Answered otherwise than when nobody else asked."""
    before: int = 0
    after: int = 0
    """Bytes that the service held: after one answer of each kind, and at the end."""

    def quantile(self, share: float) -> float:
        """Seconds within which this share of the answers came."""
        cuts = statistics.quantiles(self.seconds, n=1000, method="inclusive")
        return cuts[round(share * 1000) - 1]

    def row(self) -> dict[str, float]:
        """As it is shown and written."""
        return {
            "answered": len(self.seconds),
            "refused": self.refused,
            "lost": self.lost,
            "different": self.different,
            **{f"p{p}_seconds": self.quantile(p / 100) for p in (50, 95, 99)},
            "rss_before_mib": self.before / 2**20,
            "rss_after_mib": self.after / 2**20,
        }


def measure(
    backbone: str, asked: Sequence[Asked], *, clients: int, each: int, dtype: str = "fp32"
) -> Found:
    """Each of so many clients asks so many times, one after another, what chance picks.

    In fp32 no answer may differ; bf16 rounds by what else is in the batch.
    """
    with _service(backbone, dtype) as (address, process):
        return asyncio.run(_attack(address, process, asked, clients, each))


@contextmanager
def _service(backbone: str, dtype: str) -> Iterator[tuple[str, psutil.Process]]:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port = bound.getsockname()[1]
    command = ["serve", "--backbone", backbone, "--dtype", dtype, "--device", "cpu"]
    command += ["--port", str(port), "--rate", "0"]
    running = subprocess.Popen(
        [sys.executable, "-m", "quintet", *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ.copy(),
    )
    try:
        address = f"http://127.0.0.1:{port}"
        _wait(address, running)
        yield address, psutil.Process(running.pid)
    finally:
        running.terminate()
        running.wait()


def _wait(address: str, running: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _START
    while time.monotonic() < end and running.poll() is None:
        try:
            if httpx.get(f"{address}/ready", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    raise NotServed("The service did not start. Try: quintet serve")


async def _attack(
    address: str, process: psutil.Process, asked: Sequence[Asked], clients: int, each: int
) -> Found:
    limits = httpx.Limits(max_connections=clients, max_keepalive_connections=clients)
    found = Found()
    async with httpx.AsyncClient(base_url=address, timeout=300, limits=limits) as client:
        alone = [_text(await client.post(path, json=body)) for path, body in asked]
        found.before = process.memory_info().rss

        async def ask(seed: int) -> None:
            chance = random.Random(seed)
            for _ in range(each):
                place = chance.randrange(len(asked))
                await _ask(client, asked[place], alone[place], found)

        await asyncio.gather(*map(ask, range(clients)))
        found.after = process.memory_info().rss
    return found


async def _ask(client: httpx.AsyncClient, asked: Asked, alone: str, found: Found) -> None:
    start = time.perf_counter()
    try:
        answer = await client.post(asked[0], json=asked[1])
    except httpx.TransportError:
        found.lost += 1
        return
    if answer.status_code in _BUSY:
        found.refused += 1
    elif answer.status_code != 200:
        found.lost += 1
    else:
        found.seconds.append(time.perf_counter() - start)
        found.different += _text(answer) != alone


def _text(answer: httpx.Response) -> str:
    if answer.status_code != 200:
        raise NotServed(f"The service answered {answer.status_code}: {answer.text[:200]}")
    return str(answer.json()["predictions"][0]["text"])
