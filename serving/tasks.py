"""One typed route a task, drawn from the task: a batch of its inputs in, predictions out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, create_model

from core.application import Application
from core.prediction import Prediction
from core.task import Choice, Input, Task
from serving import asking
from serving.answering import Answering, Row, Usage, usage_of
from serving.guard.refusals import Refused, error_answers
from serving.served import Served

_VERBS = {"translation": "translate", "qa": "answer", "generation": "generate"}
"""Routes under a verb: the task's own route under another name."""


class Options(BaseModel):
    """How a batch is answered."""

    model_config = ConfigDict(extra="forbid")

    max_tokens: Annotated[int | None, Field(ge=1, description="Of each answer.")] = None
    temperature: Annotated[float | None, Field(ge=0, le=2, description="Greedy without.")] = None
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.95
    seed: Annotated[int | None, Field(ge=0, lt=2**63)] = None


class Predictions(BaseModel):
    """The answers in the order of the inputs."""

    model: str
    predictions: list[Prediction]
    usage: Usage


def router(served: Served, answering: Answering) -> APIRouter:
    """`/v1/tasks/{task}` for each, and the verbs."""
    routes = APIRouter(tags=["Tasks"])
    for task in served.tasks.values():
        _add(routes, f"/v1/tasks/{task.name}", (task,), served, answering)
        if verb := _VERBS.get(task.name):
            _add(routes, f"/v1/{verb}", (task,), served, answering)
    if closed := [task for task in served.tasks.values() if isinstance(task.answer, Choice)]:
        _add(routes, "/v1/classify", closed, served, answering)
    return routes


def _add(
    routes: APIRouter, path: str, tasks: Sequence[Task[Any]], served: Served, answering: Answering
) -> None:
    body = _body(path, tasks, answering.limits.batch)

    async def ask(asked: Any, request: Request) -> Predictions:
        application = await answering.opened(served.application, asked.model)
        if application.task not in tasks:
            known = ", ".join(task.name for task in tasks)
            raise Refused(404, f"{path} answers as: {known}.", "model_not_found", "model")
        rows = _rows(application, asked, answering)
        answers = await answering.whole(rows, request)
        return Predictions(
            model=asked.model,
            predictions=[answer.prediction for answer in answers],
            usage=usage_of(answers),
        )

    ask.__annotations__["asked"] = body
    routes.post(
        path,
        summary=" · ".join(task.title for task in tasks),
        description=" ".join(task.description for task in tasks),
        responses=error_answers(),
    )(ask)


def _body(path: str, tasks: Sequence[Task[Any]], most: int) -> type[Options]:
    """The inputs of the tasks, each as a text or by its fields."""
    one: Any = str
    for task in tasks:
        one = one | task.input
    samples = [sample.model_dump(mode="json") for sample in tasks[0].samples[:2]]
    inputs = Annotated[
        list[one],
        Field(min_length=1, max_length=most, description="Texts, or all fields by name.",
              examples=[samples] if samples else None),
    ]  # fmt: skip
    name = Annotated[str, Field(description="'task' or 'task@version'.")]
    model = (name, tasks[0].name) if len(tasks) == 1 else (name, ...)
    title = path.rpartition("/")[2].title().replace("_", "")
    return create_model(f"{title}Asked", __base__=Options, inputs=(inputs, ...), model=model)


def _rows(application: Application[Any], asked: Any, answering: Answering) -> list[Row]:
    limits = answering.limits
    length = asking.checked_length(application, asked.max_tokens, limits)
    drawn = asking.sampling(asked.temperature, asked.top_p, asking.drawn_seed(asked.seed))
    return [
        asking.row(
            asked.model,
            application,
            _input(application, one, answering),
            sampling=drawn,
            max_new_tokens=length,
        )
        for one in asked.inputs
    ]


def _input(application: Application[Any], one: str | Input, answering: Answering) -> Input:
    if isinstance(one, str):
        return asking.checked_input(application, answering.limits, one)
    # Tasks that share a route may read other fields than the one that pydantic took it for.
    return asking.checked_input(application, answering.limits, **one.model_dump())
