"""The pages as a server: who may enter, how much may be sent, what is not there."""

from __future__ import annotations

import re
import socket
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from core.errors import BadSetting

LARGEST_FILE = 50_000_000
"""Bytes of one file that is sent to be scored."""
LARGEST_BODY = 1_000_000
"""Bytes of any other request: MOST characters of Chinese, written as JSON, take a third of it."""

_UPLOAD = "/gradio_api/upload"
_ELSEWHERE = re.compile(r".*/file=\w+:/", re.IGNORECASE)
_LOOPBACK = ("127.", "localhost", "::1")

Login = tuple[str, str]


def login(host: str, given: str | None) -> Login | None:
    """'USER:PASSWORD' as a pair; `BadSetting` where others could reach the pages without one."""
    if given is None:
        if not host.startswith(_LOOPBACK):
            raise BadSetting(
                f"{host} can be reached by others, and the pages would be open to all of them. "
                "Give --auth USER:PASSWORD, or keep to --host 127.0.0.1."
            )
        return None
    user, colon, password = given.partition(":")
    if not (user and colon and password):
        raise BadSetting("--auth takes USER:PASSWORD, both of at least one character.")
    return user, password


def check_port(host: str, port: int | None) -> None:
    """`BadSetting` where the port cannot be taken, before a backbone is loaded."""
    if port is None:
        return
    if not 0 < port < 65_536:
        raise BadSetting(f"The port is {port}; it must be from 1 to 65535.")
    try:
        with socket.create_server((host, port)):
            return
    except OSError as error:
        raise BadSetting(f"Cannot serve on {host}:{port}: {error}. Give a free port.") from error


class Gate:
    """ASGI: a request that says or shows itself to be too large is a 413, read no further.

    gradio would fetch `file=http…` from another machine: here that is a 404. On the loopback, pages of other
    sites, and names of theirs that lead here, are a 403: whoever reaches the pages may start work.
    """

    def __init__(self, app: Any, hosts: Sequence[str] = ()) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if _ELSEWHERE.match(scope["path"]):
            await _refuse(send, 404, "Nothing is fetched from other machines.")
            return
        most = LARGEST_FILE if scope["path"].startswith(_UPLOAD) else LARGEST_BODY
        headers = dict(scope["headers"])
        asked = (headers.get(name, b"").decode("latin-1") for name in (b"host", b"origin"))
        if self._hosts and not all(_name(one) in self._hosts for one in asked if one):
            await _refuse(send, 403, "These pages are asked as 127.0.0.1, from no other site.")
            return
        said = headers.get(b"content-length", b"0")
        if not said.isdigit() or int(said) > most:
            await _refuse(send, 413, f"At most {most:,} bytes are taken.")
            return
        await self._app(scope, _counting(receive, most), send)


def _name(address: str) -> str:
    """The host in `host:port`, `http://host:port` or `[::1]:port`."""
    return urlsplit(address if "://" in address else f"//{address}").hostname or ""


def _counting(receive: Any, most: int) -> Any:
    """`receive` that ends the connection when more comes than was allowed."""
    read = 0

    async def counted() -> Any:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        return {"type": "http.disconnect"} if read > most else message

    return counted


async def _refuse(send: Any, status: int, why: str) -> None:
    kind = [(b"content-type", b"text/plain"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": kind})
    await send({"type": "http.response.body", "body": why.encode()})
