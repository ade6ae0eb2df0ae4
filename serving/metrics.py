"""What Prometheus is told: requests, queue, rows in the batch, tokens and times, by adapter."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import generate_latest

from serving.guard.refusals import logged

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_LEFT = 499
"""What nginx says of a client that went away before its answer began."""

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """The figures of one service; `model` is always one that is served, so there are few of them."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.requests = Counter(
            "quintet_requests", "Requests answered or refused.", ("route", "status"),
            registry=registry,
        )  # fmt: skip
        self.seconds = Histogram(
            "quintet_request_seconds", "From a request to its last byte.", ("route",),
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self.first_token = Histogram(
            "quintet_time_to_first_token_seconds", "From a request to its first text.", ("model",),
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self.tokens = Counter(
            "quintet_tokens", "Tokens of prompts, cached ones among them, and written.", ("model", "kind"),
            registry=registry,
        )  # fmt: skip
        self.rows = Counter(
            "quintet_rows", "Rows by how they ended.", ("model", "finish_reason"), registry=registry
        )
        self.admitted = Gauge(
            "quintet_rows_admitted", "Rows taken and not yet ended.", ("model",), registry=registry
        )

    def watch(self, name: str, about: str, value: Callable[[], float]) -> None:
        """A gauge that is read when it is asked for."""
        Gauge(name, about, registry=self.registry).set_function(value)

    def text(self) -> bytes:
        """All of them, in the format of Prometheus."""
        return generate_latest(self.registry)


class Counted:
    """The outermost ASGI layer: counts requests by route and status, and answers what failed."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, status = time.perf_counter(), 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:
            refused = logged(error)
            if not status:
                await refused.response()(scope, receive, watched)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self._metrics.requests.labels(route, str(status or _LEFT)).inc()
            self._metrics.seconds.labels(route).observe(time.perf_counter() - start)
