"""A service on a port until SIGTERM or Ctrl-C: what runs is finished, what comes is refused."""

from __future__ import annotations

import signal
import socket
from typing import TYPE_CHECKING

import uvicorn

from core.errors import BadSetting
from serving.guard.access import is_loopback
from serving.guard.limits import Limits

if TYPE_CHECKING:
    from fastapi import FastAPI

_DRAIN = 1.0
"""Seconds beyond the time limit of a request: by then every one has ended."""


def bind(host: str, port: int) -> socket.socket:
    """The socket to listen on; `BadSetting` where the port is taken or the host is not ours."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, OverflowError) as error:
        raise BadSetting(
            f"Cannot serve on {host}:{port}: {error}. Give a free --port, and --host of this machine."
        ) from error


def address(bound: socket.socket) -> str:
    """What to type into a client on this machine."""
    host, port = bound.getsockname()[:2]
    shown = "127.0.0.1" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}"


def hosts(host: str) -> tuple[str, ...]:
    """The names under which a service on the loopback is asked; elsewhere any name may lead to it."""
    return ("127.0.0.1", "localhost", "::1", host) if is_loopback(host) else ()


def server(app: FastAPI, limits: Limits) -> uvicorn.Server:
    """A server that tells nothing of itself and waits for running requests when it ends."""
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        lifespan="on",
        limit_concurrency=limits.connections,
        timeout_keep_alive=10,
        timeout_graceful_shutdown=round(limits.seconds + _DRAIN),
    )
    return uvicorn.Server(config)


def run(app: FastAPI, bound: socket.socket, limits: Limits) -> None:
    """Serve until a signal. Returns after SIGTERM; Ctrl-C goes on as KeyboardInterrupt."""
    # uvicorn raises the signal again at its end, which without a handler would end us with -15.
    signal.signal(signal.SIGTERM, lambda *_: None)
    running = server(app, limits)
    app.state.draining = lambda: running.should_exit
    running.run(sockets=[bound])
