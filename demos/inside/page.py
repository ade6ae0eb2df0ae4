"""The page 'See inside': attention, next tokens and the logit lens on one's own text, adapter on and off."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from core.application import Application
from core.errors import BadInput, QuintetError
from core.inspection.look import Look, look
from core.inspection.worked_example import self_attention
from core.service import Service
from demos.door import gr
from demos.frame import Frame, Tab
from demos.inside import html as shown
from demos.inside import words
from demos.problems import problem
from demos.said import Said, html
from demos.task_words import title

_TOKENS, _CHARACTERS = 32, 2000
_FIRST = "sentiment"
_PRIVATE: Any = {"api_visibility": "private", "show_progress": "minimal"}

Seen = tuple[tuple[Said, Look], ...]
"""What was seen with the adapter, and without."""


def draw(frame: Frame) -> None:
    """Draw the page here."""
    with gr.Column(elem_classes="inside"):
        gr.HTML(html(words.ABOUT, "p", class_="about"), elem_classes="bare")
        _looking(frame)
        gr.HTML(
            html(words.EXAMPLE, "h3") + html(words.EXAMPLE_ABOUT, "p", class_="quiet"),
            elem_classes="bare",
        )
        _example(frame)


class _Question(NamedTuple):
    """What is typed, for which task, and the button below."""

    text: gr.Textbox
    task: gr.Dropdown
    prompted: gr.Checkbox
    go: gr.Button


class _Answer(NamedTuple):
    """What is seen; all of it is hidden until there is something."""

    box: gr.Column
    tokens: gr.HTML
    layer: gr.Slider
    head: gr.Slider
    attention: gr.HTML
    which: gr.Radio
    lens: gr.HTML


def _looking(frame: Frame) -> None:
    seen = gr.State(())
    question = _question(frame)
    note = gr.HTML("", elem_classes="bare")
    answer = _answer(frame)
    gr.on(
        [question.go.click, question.text.submit],
        partial(_see, frame),
        [frame.backbone, question.task, question.text, question.prompted],
        [note, answer.box, seen, *answer[1:5], answer.lens],
        trigger_mode="always_last",
        **_PRIVATE,
    )
    gr.on(
        [answer.layer.change, answer.head.change],
        lambda now, *places: shown.attention(now, *map(int, places)) if now else gr.skip(),
        [seen, answer.layer, answer.head], answer.attention, trigger_mode="always_last",
        api_visibility="private", show_progress="hidden",
    )  # fmt: skip
    answer.which.change(
        _lens, [seen, answer.which], answer.lens, api_visibility="private", show_progress="hidden"
    )


def _question(frame: Frame) -> _Question:
    tasks = frame.service.tasks
    first = _FIRST if _FIRST in tasks else next(iter(tasks))
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=280):
            text = frame.say(
                gr.Textbox(value=_sample(frame.service, first), lines=3, max_lines=8),
                label=words.TEXT, info=words.TEXT_INFO,
            )  # fmt: skip
        with gr.Column(scale=1, min_width=240):
            task = frame.say(
                gr.Dropdown(list(tasks), value=first, filterable=False),
                label=words.TASK, choices=[(title(task), name) for name, task in tasks.items()],
            )  # fmt: skip
            prompted = frame.say(gr.Checkbox(value=True), label=words.AS_PROMPT)
            go = frame.say(gr.Button(variant="primary"), value=words.LOOK)
    return _Question(text, task, prompted, go)


def _answer(frame: Frame) -> _Answer:
    with gr.Column(visible=False) as box:
        tokens = gr.HTML(elem_classes="bare")
        with gr.Row():
            layer = frame.say(gr.Slider(1, 2, 1, step=1, min_width=160), label=words.LAYER)
            head = frame.say(gr.Slider(1, 2, 1, step=1, min_width=160), label=words.HEAD)
        attention = gr.HTML(elem_classes="bare")
        gr.HTML(
            html(words.LENS, "h3") + html(words.LENS_ABOUT, "p", class_="quiet"),
            elem_classes="bare",
        )
        which = frame.say(
            gr.Radio([0, 1], value=0),
            label=words.SHOW,
            choices=[(words.WITH, 0), (words.WITHOUT, 1)],
        )
        lens = gr.HTML(elem_classes="bare")
    return _Answer(box, tokens, layer, head, attention, which, lens)


def _see(frame: Frame, backbone: str, name: str, typed: str, as_prompt: bool) -> list[Any]:
    """The note, the box, what was seen, and the parts of the answer but its choice of adapter."""
    try:
        now = _seen(frame.services.of(backbone), name, typed, as_prompt)
    except QuintetError as error:
        return [problem(error), gr.update(), (), *(gr.skip() for _ in range(5))]
    layers, heads = now[0][1].attention.shape[:2]
    dropped = now[0][1].dropped
    said = html(words.DROPPED.filled(count=dropped), "p", class_="quiet") if dropped else ""
    at = (layers + 1) // 2
    return [
        said, gr.update(visible=True), now, shown.next_tokens(now),
        gr.update(maximum=layers, value=at), gr.update(maximum=heads, value=1),
        shown.attention(now, at, 1), _lens(now, 0),
    ]  # fmt: skip


def _seen(service: Service, name: str, typed: str, as_prompt: bool) -> Seen:
    """With the adapter and without; only without where there is none."""
    if len(typed) > _CHARACTERS:
        raise BadInput(f"{len(typed):,} characters; at most {_CHARACTERS:,} are looked at.")
    bare = service.bare(name)
    text = prompt_of(bare, typed) if as_prompt else typed
    adapter = service.application(name).adapter
    return tuple(
        (said, look(service.engine, one, text, most=_TOKENS))
        for said, one in ((words.WITH, adapter), (words.WITHOUT, None))
    )


def prompt_of(application: Application[Any], text: str) -> str:
    """The task's prompt for a text: in its first field that has to be given, else its first."""
    fields = application.task.input.model_fields
    name = next((n for n, field in fields.items() if field.is_required()), next(iter(fields)))
    return application.task.prompt(application.input(**{name: text}))


def _lens(now: Seen | Sequence[Any], which: int) -> Any:
    return shown.lens(now[int(which)][1]) if now else gr.skip()


def _sample(service: Service, name: str) -> str:
    """The first text of the task's samples."""
    samples = service.tasks[name].samples
    texts = [str(value) for _, value in samples[0] if isinstance(value, str)] if samples else []
    return texts[0] if texts else ""


def _example(frame: Frame) -> None:
    start = "1, 2, 3"
    with gr.Row(equal_height=False):
        inputs = frame.say(gr.Textbox(value=start, min_width=200), label=words.INPUTS)
        weights = [
            gr.Slider(-2, 2, 1, step=0.1, label=name, min_width=140)
            for name in ("W_q", "W_k", "W_v")
        ]
        causal = frame.say(gr.Checkbox(value=False, min_width=200), label=words.CAUSAL)
    result = gr.HTML(_worked(start, 1, 1, 1, False), elem_classes="bare")
    gr.on(
        [inputs.submit, inputs.blur, causal.change, *(one.change for one in weights)],
        _worked, [inputs, *weights, causal], result, trigger_mode="always_last",
        api_visibility="private", show_progress="hidden",
    )  # fmt: skip


def _worked(typed: str, query: float, key: float, value: float, causal: bool) -> str:
    try:
        numbers = [float(part) for part in typed.replace("，", ",").split(",")]
    except ValueError:
        numbers = []
    try:
        return shown.worked(
            self_attention(
                numbers, query_weight=query, key_weight=key, value_weight=value, causal=causal
            )
        )
    except BadInput as error:
        return problem(error)


TAB = Tab(name="inside", title=words.TITLE, draw=draw)
