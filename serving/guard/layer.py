"""What every request passes before a route sees it: host, key, rate, size and time of its body."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException

from serving.guard.access import Access
from serving.guard.limits import Limits
from serving.guard.refusals import Refused

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_OPEN = ("/health", "/ready", "/docs", "/openapi.json")
_OPEN_FOLDER = "/static-offline-docs/"
"""What needs no key: whether it lives, and how it is used."""


@dataclass(frozen=True)
class Guard:
    """An ASGI layer around the whole application."""

    app: ASGIApp
    access: Access
    limits: Limits
    hosts: Sequence[str] = ()
    """The names under which it may be asked; empty is any. A page of another site that had its own
    name lead to 127.0.0.1 would send that name."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            self._check(scope)
        except Refused as refused:
            await refused.response()(scope, receive, send)
            return
        body = _Body(receive, self.limits.body, self.limits.seconds)
        await self.app(scope, body.receive, send)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        self._check_host(headers.get("host", ""))
        path = scope["path"]
        if path not in _OPEN and not path.startswith(_OPEN_FOLDER):
            self._check_key(headers.get("authorization"))
        size = headers.get("content-length", "0")
        if size.isdecimal() and int(size) > self.limits.body:
            raise Refused(413, _too_large(self.limits.body))

    def _check_host(self, host: str) -> None:
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
        if self.hosts and name.strip("[]") not in self.hosts:
            raise Refused(403, f"This service is not asked as {name[:80]!r}. Use 127.0.0.1.")

    def _check_key(self, header: str | None) -> None:
        name = self.access.knows(header)
        if name is None:
            raise Refused(
                401, "No valid key. Send the header 'Authorization: Bearer KEY'.",
                code="invalid_api_key",
            )  # fmt: skip
        if wait := self.access.wait(name):
            raise Refused(
                429, f"More than {self.access.rate} requests a minute. Wait {wait} s.",
                code="rate_limit_exceeded", retry_after=wait,
            )  # fmt: skip


class _Body:
    """A body as it arrives, at most so many bytes in so many seconds."""

    def __init__(self, receive: Receive, most: int, seconds: float) -> None:
        self._receive = receive
        self._left = self._most = most
        self._seconds = seconds
        self._deadline = asyncio.get_running_loop().time() + seconds
        self._whole = False

    async def receive(self) -> Message:
        """The next piece; once the body is whole, news of a client that goes away."""
        if self._whole:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError as error:
            raise HTTPException(408, f"No whole request in {self._seconds:g} s.") from error
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise HTTPException(413, _too_large(self._most))
        self._whole = not message.get("more_body", False)
        return message


def _too_large(most: int) -> str:
    return f"The request is larger than {most} bytes. Send smaller batches."
