"""Twenty people at one page: `python -m benchmarks.crowd --backbone smollm2`.

`quintet demo` runs as a process of its own. Each person sends a message to the page of spam again as soon as
the last one is answered; meanwhile nobody else, one writer of long texts, or one reader of a long one works.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx

MESSAGE = "Are we still meeting at six? I can bring the tickets."
STARTING = 600
"""Seconds that the pages may take to open."""

Work = Callable[[httpx.AsyncClient], Awaitable[None]]


async def ask(client: httpx.AsyncClient, task: str, *fields: str) -> float:
    """Seconds until the page of `task` has answered."""
    begun = time.monotonic()
    found = await client.post(f"gradio_api/run/{task}", json={"data": [*fields, {}]})
    found.raise_for_status()
    return time.monotonic() - begun


async def write(client: httpx.AsyncClient) -> None:
    """A hundred tokens."""
    await ask(client, "generation", "It was a cold morning in the small town, and", "continue")


async def read(client: httpx.AsyncClient) -> None:
    """A text that fills the context of a small backbone."""
    await ask(client, "sentiment", "The soup was warm and the waiter was kind. " * 400)


async def crowd(client: httpx.AsyncClient, people: int, times: int) -> list[float]:
    """The seconds of every answer."""

    async def person() -> list[float]:
        return [await ask(client, "spam", MESSAGE) for _ in range(times)]

    each = await asyncio.gather(*(person() for _ in range(people)))
    return [seconds for found in each for seconds in found]


@asynccontextmanager
async def beside(client: httpx.AsyncClient, work: Work | None) -> AsyncIterator[list[float]]:
    """`work` again and again, and the seconds that each took."""
    taken: list[float] = []

    async def go_on() -> None:
        while work is not None:
            begun = time.monotonic()
            await work(client)
            taken.append(time.monotonic() - begun)

    going = asyncio.create_task(go_on())
    await asyncio.sleep(0.5)
    try:
        yield taken
    finally:
        going.cancel()


async def measure(address: str, people: int, times: int) -> list[str]:
    """The lines of the table."""
    limits = httpx.Limits(max_connections=people + 2)
    rows = []
    async with httpx.AsyncClient(base_url=address, timeout=STARTING, limits=limits) as client:
        await crowd(client, people, 1)
        for title, many, work in (
            ("one person", 1, None),
            (f"{people} people", people, None),
            (f"{people} people, one writes long texts", people, write),
            (f"{people} people, one sends a long text to read", people, read),
        ):
            async with beside(client, work) as taken:
                found = sorted(await crowd(client, many, times))
            rows.append(_row(title, found, taken))
    return rows


def _row(title: str, found: list[float], beside: list[float]) -> str:
    late = found[int(0.95 * (len(found) - 1))]
    other = f"{statistics.median(beside):.2f}" if beside else "–"
    return (
        f"| {title} | {len(found)} | {statistics.median(found):.2f} | {late:.2f} | {found[-1]:.2f} | "
        f"{other} |"
    )


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", default="mini")
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--times", type=int, default=3, help="messages of each person")
    known = parser.parse_args()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "quintet", "demo", "--no-browser", "--port", str(port)]
    process = subprocess.Popen([*command, "--backbone", known.backbone], stdout=subprocess.DEVNULL)
    try:
        address = f"http://127.0.0.1:{port}/"
        _wait(address)
        rows = asyncio.run(measure(address, known.people, known.times))
    finally:
        process.terminate()
        process.wait()
    head = "| on the page | answers | median s | 95 % within s | longest s | one of the others' s |"
    sys.stdout.write("\n".join([head, "|---|---:|---:|---:|---:|---:|", *rows]) + "\n")
    return 0


def _wait(address: str) -> None:
    """Until the pages are open."""
    for _ in range(STARTING):
        try:
            httpx.get(address, timeout=60)
            return
        except httpx.ConnectError:
            time.sleep(1)
    raise TimeoutError(address)


if __name__ == "__main__":
    sys.exit(main())
