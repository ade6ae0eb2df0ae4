"""The whole HTTP application: every route, behind one guard, with one set of figures."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI, Response
from fastapi_offline import FastAPIOffline
from starlette.routing import Route

from core.engine.engine import Engine
from core.prediction import Prediction
from serving import adapters, asking, tasks
from serving.answering import Answering
from serving.guard.access import Access
from serving.guard.layer import Guard
from serving.guard.limits import Limits
from serving.guard.refusals import Refused, answer_errors
from serving.metrics import CONTENT_TYPE, Counted, Metrics
from serving.openai_routes import chats, completions
from serving.openai_routes.schemas import Model, Models
from serving.served import Served
from serving.tools import Tools

_ABOUT = (
    "One GPT, a small adapter for each skill. OpenAI's routes take the name of a task as `model`; "
    "each task has a typed route; `/mcp` offers them as MCP tools."
)


def build(
    served: Served,
    *,
    limits: Limits | None = None,
    keys: Sequence[str] = (),
    hosts: Sequence[str] = (),
    manage_adapters: bool = False,
) -> FastAPI:
    """The application; `hosts` are the names under which it may be asked, empty is any."""
    limits, metrics = limits or Limits(), Metrics()
    answering = Answering(limits, metrics)
    tools = _tools(served, answering)

    @asynccontextmanager
    async def living(_: FastAPI) -> AsyncIterator[None]:
        async with tools.run():
            yield
        answering.close()

    # Its page fetches nothing from elsewhere.
    app = FastAPIOffline(redoc_url=None, title="Quintet", description=_ABOUT, lifespan=living)
    _watch(metrics, served.service.engine)
    app.state.draining = lambda: False
    answer_errors(app)
    for routes in (
        completions.router(served, answering),
        chats.router(served, answering),
        tasks.router(served, answering),
        _models(served),
        adapters.router(served, allowed=manage_adapters),
        _state(app, metrics),
    ):
        app.include_router(routes)
    app.router.routes.append(Route("/mcp", tools, methods=["POST"]))
    access = Access(tuple(keys), limits.rate if keys else 0)
    app.add_middleware(Guard, access=access, limits=limits, hosts=hosts)
    app.add_middleware(Counted, metrics=metrics)
    return app


def _watch(metrics: Metrics, engine: Engine) -> None:
    metrics.watch("quintet_queue_rows", "Rows that wait to be read.", lambda: engine.load.waiting)
    metrics.watch(
        "quintet_batch_rows", "Rows that write together now.", lambda: engine.load.writing
    )
    metrics.watch("quintet_batch_rows_max", "The most that may.", lambda: engine.limits.rows)
    metrics.watch(
        "quintet_cache_bytes", "Allocated for keys and values.", lambda: engine.load.cache_bytes
    )


def _tools(served: Served, answering: Answering) -> Tools:
    async def answer(name: str, fields: Mapping[str, Any]) -> Prediction:
        application = await answering.opened(served.application, name)
        asked = asking.checked_input(application, answering.limits, **fields)
        found = await answering.whole([asking.row(name, application, asked)])
        return found[0].prediction

    return Tools(served.tasks, answer, most_bytes=answering.limits.body)


def _models(served: Served) -> APIRouter:
    routes = APIRouter(tags=["OpenAI"])

    @routes.get("/v1/models")
    def models() -> Models:
        """What can be asked for as `model`."""
        return Models(data=served.listed())

    @routes.get("/v1/models/{model}")
    def model(model: str) -> Model:
        """One of them."""
        if model not in served.names():
            raise Refused(404, f"No model {model!r}.", "model_not_found", "model")
        return served.described(model)

    return routes


def _state(app: FastAPI, metrics: Metrics) -> APIRouter:
    routes = APIRouter(tags=["State"])

    @routes.get("/health")
    def health() -> dict[str, str]:
        """It lives."""
        return {"status": "ok"}

    @routes.get("/ready")
    def ready() -> dict[str, str]:
        """It takes requests; 503 once it drains."""
        if app.state.draining():
            raise Refused(503, "The server is shutting down.", retry_after=5)
        return {"status": "ready"}

    @routes.get("/metrics")
    def figures() -> Response:
        """For Prometheus."""
        return Response(metrics.text(), media_type=CONTENT_TYPE)

    return routes
