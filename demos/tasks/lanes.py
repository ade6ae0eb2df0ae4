"""One or two answers side by side: who gives each, and one request that all of them answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.application import Application, Prediction
from core.errors import QuintetError
from core.task import Input
from demos.answers.programs import Door, programs
from demos.answers.view import Values, View, view
from demos.door import Component, gr
from demos.frame import Frame
from demos.problems import problem
from demos.routes import route_name
from demos.said import html
from demos.tasks.asking import BARE, Asked, System, chosen
from demos.tasks.controls import chosen as chosen_writing
from demos.tasks.fields import Form, Turns, checked
from demos.tasks.last_answers import Given, LastAnswers
from demos.tasks.newest import Newest, Turn
from demos.tasks.options import written

NOBODY = "—"
"""Chosen where no second answer is wanted."""


@dataclass(frozen=True)
class Lane:
    """A column that shows the answer of one system."""

    column: gr.Column
    title: gr.HTML
    view: View

    @property
    def outputs(self) -> list[Component]:
        return [self.title, *self.view.outputs]


@dataclass(frozen=True, kw_only=True)
class Asking:
    """What happens at a request on one page: values of components in, values of others out."""

    frame: Frame
    page: str
    form: Form
    lanes: tuple[Lane, Lane]
    trouble: gr.HTML
    program: gr.HTML
    newest: Newest = field(default_factory=Newest)
    given: LastAnswers = field(default_factory=LastAnswers)
    """What a thumb is about."""

    @property
    def outputs(self) -> list[Any]:
        first, second = self.lanes
        return [self.trouble, self.program, second.column, *first.outputs, *second.outputs]

    def answer(
        self,
        request: gr.Request,
        backbone: str,
        by: str,
        beside: str,
        turns: Turns,
        *values: Any,
    ) -> Iterator[Values]:
        """Every step sets all outputs anew; a request that a newer one has ended sets nothing."""
        session = str(request.session_hash)
        turn = self.newest.begin(session)
        self.given.forget(session)
        try:
            yield [*self._head("", gr.skip(), beside), *self._empty()]
            for step in self._steps(request, turn, backbone, (by, beside), turns, values):
                if turn.stale:
                    break
                yield step
        except QuintetError as error:
            yield [*self._head(problem(error), gr.skip(), beside), *self._empty()]
        finally:
            self.newest.leave(session, turn)
        if turn.stale:  # gradio sends what came last once more when all is over
            yield [gr.skip() for _ in self.outputs]

    def stop(self, request: gr.Request) -> None:
        """End what this browser asked on this page; what was written stays."""
        self.newest.stop(str(request.session_hash))

    def forget(self, request: gr.Request) -> None:
        """End it, and show nothing more of it."""
        self.newest.stop(str(request.session_hash), stale=True)

    def _steps(
        self,
        request: gr.Request,
        turn: Turn,
        backbone: str,
        who: tuple[str, str],
        turns: Turns,
        values: Sequence[Any],
    ) -> Iterator[Values]:
        service = self.frame.services.of(backbone)
        count = len(self.form.names)
        fields = self.form.fields(values[:count], turns)
        writing = chosen_writing(values[count:])
        answering = [chosen(service, self.page, name) for name in who if name != NOBODY]
        asked = []
        for place, system in enumerate(answering):
            application = system.application(service, self.page)
            given = checked(application, fields)
            asked.append(
                Asked(
                    application=application,
                    input=given,
                    writing=writing,
                    turn=turn,
                    turns=turns,
                    said=str(values[0]),
                    told=None if place else self._remember(request, system, application, given),
                )
            )
        listing = programs(
            _door(request), route_name(self.page), self.page, self._whole(fields),
            written(
                writing, backbone=service.engine.backbone.name, adapter=answering[0].value
            ),
        )  # fmt: skip
        titles = _titles(answering)
        for step in _side_by_side(self.lanes, asked, titles):
            yield [*self._head("", listing, who[1]), *step]

    def _whole(self, fields: dict[str, Any]) -> dict[str, Any]:
        """All fields in their order, as a program gives them; those that are not drawn by default."""
        kinds = self.frame.service.task(self.page).input.model_fields
        rest = {name: kind.get_default(call_default_factory=True) for name, kind in kinds.items()}
        return {name: fields.get(name, rest[name]) for name in kinds}

    def _remember(
        self,
        request: gr.Request,
        system: System,
        application: Application[Any],
        asked: Input,
    ) -> Callable[[Prediction], None]:
        session = str(request.session_hash)
        name = "" if system.value == BARE else system.name
        backbone = application.engine.backbone.name
        return lambda found: self.given.remember(
            session,
            Given(
                task=application.task,
                input=asked,
                answer=found.text,
                adapter=name,
                backbone=backbone,
            ),
        )

    def _head(self, trouble: str, listing: Any, beside: str) -> Values:
        return [trouble, listing, gr.update(visible=beside != NOBODY)]

    def _empty(self) -> Values:
        return [value for lane in self.lanes for value in ("", *lane.view.empty())]


def lane(frame: Frame, page: str, *, visible: bool = True, chat: gr.State | None = None) -> Lane:
    """Draw it here."""
    with gr.Column(min_width=280, visible=visible) as column:
        title = gr.HTML("", elem_classes="bare")
        return Lane(column, title, view(frame.service.task(page), frame.words, chat=chat))


def _side_by_side(
    lanes: Sequence[Lane], asked: Sequence[Asked[Any]], titles: Sequence[str]
) -> Iterator[Values]:
    """A step of each in turn, so that both answers grow; lanes without a request stay empty."""
    latest = [[title, *lane.view.empty()] for lane, title in zip(lanes, titles, strict=True)]
    going = {place: lanes[place].view.show(one) for place, one in enumerate(asked)}
    while going:
        for place, steps in tuple(going.items()):
            values = next(steps, None)
            if values is None:
                del going[place]
                continue
            latest[place] = [titles[place], *values]
        yield [value for values in latest for value in values]


def _titles(answering: Sequence[System]) -> list[str]:
    """Named only where two stand side by side."""
    if len(answering) < 2:
        return ["", ""]
    return [html(one.said, "p", class_="system") for one in answering]


def _door(request: gr.Request) -> Door:
    address = getattr(request.request, "base_url", "http://127.0.0.1:7860/")
    return Door(str(address), request.username or "")
