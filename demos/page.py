"""One task's page: the form, the answer, the samples, and a route of the same name."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from html import escape
from typing import Any

from core.application import Application
from core.errors import QuintetError
from core.task import Choice, Input, Task
from demos import scores
from demos.answers import Asked, View, view
from demos.controls import Controls, chosen, controls
from demos.door import api, gr
from demos.fields import Form, Turns, checked, form, holds_turns
from demos.frame import Frame

_LABEL = 60
"""Characters of a sample on its button."""


def page(frame: Frame, name: str) -> None:
    """Draw the page of 'task' or 'task@version' here; where it cannot be served, say why."""
    service = frame.service
    task = service.task(name)
    try:
        application, passport = service.application(name), service.passport(name)
        above = scores.header(task, name, passport)
    except QuintetError as error:
        gr.HTML(scores.problem(task, error), elem_classes="heading")
        return
    gr.HTML(above, elem_classes="heading")
    _draw(application, route_name(name))


def route_name(name: str) -> str:
    """'spam' for 'spam', 'spam_2' for 'spam@2': what `gradio_client` calls."""
    return re.sub(r"\W", "_", name)


def _draw(application: Application[Any], route: str) -> None:
    task, turns = application.task, gr.State([])
    with gr.Row(equal_height=False):
        with gr.Column(min_width=300):
            fields = form(task)
            writing = _controls(application)
            with gr.Row():
                submit = gr.Button("Submit", variant="primary", scale=2, min_width=100)
                stop = gr.Button("Stop", min_width=100, visible=bool(writing.components))
        with gr.Column(min_width=300):
            shown = view(task, fields, turns)
            note = gr.HTML("", elem_classes="note")
    ask = _asking(application, fields, shown)
    inputs: list[Any] = [turns, *fields.components, *writing.components]
    outputs: list[Any] = [note, *shown.outputs]
    typed = [box.submit for box in fields.components if isinstance(box, gr.Textbox)]
    asking = gr.on([submit.click, *typed], ask, inputs, outputs, api_visibility="private")
    samples, filling = _samples(task, fields, turns)
    answering = filling.then(ask, inputs, outputs, api_visibility="private")
    ending: Any = {"fn": None, "cancels": [asking, answering], "api_visibility": "private"}
    gr.on([stop.click, samples.click], **ending)
    for chat in (part for part in shown.outputs if isinstance(part, gr.Chatbot)):
        # What was on its way when it was cleared must not come back.
        chat.clear(**ending).then(lambda: ([], []), None, [chat, turns], api_visibility="private")
    api(_route(application, fields), api_name=route, api_description=task.description)


def _controls(application: Application[Any]) -> Controls:
    answer, context = application.task.answer, application.engine.backbone.context
    if isinstance(answer, Choice):
        return Controls()
    longest = context // 2
    return controls(length=min(answer.max_new_tokens, longest), longest=longest)


def _asking(
    application: Application[Any], fields: Form, shown: View
) -> Callable[..., Iterator[list[Any]]]:
    """What a press of Submit does: values of the components in, values of the outputs out."""

    def ask(turns: Turns, *values: Any) -> Iterator[list[Any]]:
        form_values, writing = values[: len(fields.names)], values[len(fields.names) :]
        try:
            given = checked(application, fields.fields(form_values, turns))
            sampling, length = chosen(writing)
            asked = Asked(
                application=application,
                input=given,
                sampling=sampling,
                max_new_tokens=length,
                turns=turns,
                said=str(form_values[0]),
            )
            for step in shown.show(asked):
                yield [_paragraph(step.note), *step.values]
        except QuintetError as error:
            gr.Warning(_as_html(error))
            yield ["", *(gr.skip() for _ in shown.outputs)]

    return ask


def _samples(task: Task[Any], fields: Form, turns: gr.State) -> tuple[gr.Dataset, Any]:
    """The task's samples as buttons; a click fills the form and begins anew."""
    samples = list(task.samples)
    dataset = gr.Dataset(
        label="Samples: one click fills and answers",
        components=[gr.Textbox(visible=False)],
        samples=[[place] for place in range(len(samples))],
        sample_labels=[_label(fields, sample) for sample in samples],
        type="index",
        samples_per_page=12,
        visible=bool(samples),
    )

    def fill(place: int) -> list[Any]:
        return [fields.earlier(samples[place]), *fields.values(samples[place])]

    filling = dataset.click(
        fill,
        dataset,
        [turns, *fields.components],
        show_progress="hidden",
        api_visibility="private",
    )
    return dataset, filling


def _label(fields: Form, sample: Input) -> str:
    """The beginning of what the sample asks."""
    texts = (str(value) for value in fields.values(sample))
    text = " ".join(next((text for text in texts if text.strip()), "").split())
    return text if len(text) <= _LABEL else f"{text[:_LABEL].rstrip()}…"


def _route(application: Application[Any], fields: Form) -> Callable[..., dict[str, Any]]:
    """The same answer for programs: the fields by name, a `Prediction` as JSON."""
    names = [*fields.names, fields.turns] if fields.turns else list(fields.names)

    def answer(*values: Any) -> dict[str, Any]:
        try:
            given = checked(application, dict(zip(names, values, strict=True)))
            return next(application.predict([given])).model_dump()
        except QuintetError as error:
            raise gr.Error(_as_html(error), print_exception=False) from error

    parameters = [_parameter(application.task.input, name) for name in names]
    hints = {parameter.name: parameter.annotation for parameter in parameters}
    signature = inspect.Signature(parameters, return_annotation=dict[str, Any])
    answer.__annotations__ = {**hints, "return": dict[str, Any]}
    vars(answer)["__signature__"] = signature
    return answer


def _parameter(kind: type[Input], name: str) -> inspect.Parameter:
    field = kind.model_fields[name]
    required = inspect.Parameter.empty
    default = required if field.is_required() else field.get_default(call_default_factory=True)
    turns = holds_turns(field)
    return inspect.Parameter(
        name,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        default=[] if turns else default,
        annotation=list[dict[str, str]] if turns else field.annotation,
    )


def _as_html(error: QuintetError) -> str:
    """Gradio shows messages as HTML; an error may repeat what was typed."""
    return escape(str(error), quote=False)


def _paragraph(text: str) -> str:
    return f'<p role="status">{escape(text)}</p>' if text else ""
