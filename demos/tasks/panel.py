"""One way to ask a task: a form on the left, its answers on the right, and what a press does."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from core.service import Service
from core.task import Choice, Input, Task
from demos import words
from demos.answers.view import Values
from demos.door import Component, gr
from demos.frame import Frame
from demos.said import Words, html
from demos.tasks.controls import Controls, controls
from demos.tasks.fields import Form, form
from demos.tasks.lanes import Asking, lane
from demos.tasks.thumbs import thumbs

_LABEL = 58
"""Characters of a sample on its button; gradio itself cuts at 60, in the middle of a word."""
_AT_ONCE = 40
"""Requests to one page that are answered at a time; the engine makes batches of them."""
_QUIET: Any = {"show_progress": "hidden", "api_visibility": "private"}
_ASK: Any = {**_QUIET, "trigger_mode": "multiple", "concurrency_limit": _AT_ONCE}
"""A second request does not wait for the first one: it ends it."""


def panel(frame: Frame, page: str, who: Sequence[Component], *, passage: str = "") -> None:
    """Draw it here; with `passage`, a chat, which leaves that field out and keeps what was said."""
    task, turns = frame.service.task(page), gr.State([])
    with gr.Row(equal_height=False, elem_classes="ask"):
        with gr.Column(min_width=300, scale=4):
            fields = form(task, frame.words, leave_out=passage)
            writing = _controls(frame.words, frame.service, task)
            with gr.Row():
                submit = gr.Button(variant="primary", scale=3, min_width=100)
                frame.say(submit, value=words.SUBMIT)
                stop = gr.Button(min_width=80, visible=bool(writing.components))
                frame.say(stop, value=words.STOP)
            samples, kept = _samples(frame.words, task, fields, passage)
        with gr.Column(min_width=300, scale=5):
            trouble = gr.HTML("", elem_classes="bare")
            with gr.Row(equal_height=False):
                lanes = (
                    lane(frame, page, chat=turns if passage else None),
                    lane(frame, page, visible=False),
                )
            thumb = thumbs(frame, task)
            with frame.say(gr.Accordion(open=False), label=words.PROGRAMS):
                program = gr.HTML(html(words.ASK_FIRST, "p"), elem_classes="bare")
    asking = Asking(
        frame=frame, page=page, form=fields, lanes=lanes, trouble=trouble, program=program
    )
    thumb.follow(asking.given)
    inputs = [frame.backbone, *who, turns, *fields.components, *writing.components]
    filled = list(fields.components)
    if passage:
        said = _converse(asking, inputs, submit)
        inputs, filled = (
            [said if one is filled[0] else one for one in group] for group in (inputs, filled)
        )
    else:
        typed = [box.submit for box in fields.components if isinstance(box, gr.Textbox)]
        gr.on([submit.click, *typed], asking.answer, inputs, asking.outputs, **_ASK)
    stop.click(asking.stop, None, None, queue=False, **_QUIET)
    _sampled(asking, inputs, filled, samples, kept)


def _converse(asking: Asking, inputs: list[Any], submit: gr.Button) -> gr.Textbox:
    """What was said leaves its field at once, in the browser, so that the next words may be typed.

    It comes back where it was refused and nothing else was typed meanwhile. The hidden field that
    holds it comes back.
    """
    box: Any = asking.form.components[0]
    said = gr.Textbox(visible=False)
    asked = [said if one is box else one for one in inputs]
    box.elem_classes = [*box.elem_classes, "takes"]
    taking = gr.on([submit.click, box.submit], None, box, [said, box], js=_TAKE, **_QUIET)
    answering = taking.then(asking.answer, asked, asking.outputs, **_ASK)
    answering.then(None, [asking.trouble, said, box], box, js=_GIVE_BACK, **_QUIET)
    shown = asking.lanes[0].view.outputs
    for chatbot in (part for part in shown if isinstance(part, gr.Chatbot)):
        # What was on its way when it was cleared must not come back.
        chatbot.clear(asking.forget, None, None, queue=False, **_QUIET).then(
            lambda: [[], [], ""], None, shown, **_QUIET
        )
    return said


_TAKE = """(words) => window.quintet_asked.length
  ? [window.quintet_asked.shift(), {__type__: 'update'}] : [words, '']"""
_GIVE_BACK = """(refused, said, box) =>
  refused && !box ? said : {__type__: 'update'}"""


def _controls(said: Words, service: Service, task: Task[Any]) -> Controls:
    answer, context = task.answer, service.engine.backbone.context
    if isinstance(answer, Choice):
        return Controls()
    longest = context // 2
    return controls(said, length=min(answer.max_new_tokens, longest), longest=longest)


def _samples(
    said: Words, task: Task[Any], fields: Form, passage: str
) -> tuple[gr.Dataset, list[Input]]:
    """The task's samples as buttons; those with a passage, or for a chat those without."""
    wanted = [sample for sample in task.samples if not passage or not getattr(sample, passage, "")]
    if not passage and fields.turns:
        wanted = [sample for sample in wanted if getattr(sample, task.shorten, "")]
    dataset = gr.Dataset(
        components=[gr.Textbox(visible=False)],
        samples=[[place] for place in range(len(wanted))],
        sample_labels=[_label(fields, sample) for sample in wanted],
        type="index",
        samples_per_page=12,
        visible=bool(wanted),
        elem_classes="samples",
    )
    return said.say(dataset, label=words.SAMPLES), wanted


def _sampled(
    asking: Asking, inputs: list[Any], filled: list[Any], dataset: gr.Dataset, kept: list[Input]
) -> None:
    """A click on a sample fills the form, in the browser and at once, begins anew, and asks."""

    def ask(
        request: gr.Request, place: int, backbone: str, by: str, beside: str, _: Any, *values: Any
    ) -> Iterator[Values]:
        turns = asking.form.earlier(kept[place])
        yield from asking.answer(request, backbone, by, beside, turns, *values)

    rows = [asking.form.values(sample) for sample in kept]
    table = json.dumps(rows if len(filled) > 1 else [row[0] for row in rows], ensure_ascii=False)
    quick: Any = {**_QUIET, "trigger_mode": "multiple"}
    dataset.click(None, dataset, filled, js=f"(place) => ({table})[place]", **quick).then(
        ask, [dataset, *inputs], asking.outputs, **_ASK
    )


def _label(fields: Form, sample: Input) -> str:
    """The beginning of what the sample asks."""
    texts = (str(value) for value in fields.values(sample))
    text = " ".join(next((text for text in texts if text.strip()), "").split())
    if len(text) <= _LABEL:
        return text
    words_that_fit = text[: _LABEL + 1].rpartition(" ")[0]
    return f"{(words_that_fit or text[:_LABEL]).rstrip(' ,.;')}…"
