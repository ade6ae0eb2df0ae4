"""One task's page: who answers, the form, the answer, the samples, and a route of the same name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core.errors import QuintetError
from core.task import Language, Span
from demos import words
from demos.answers.heading import about, heading
from demos.door import api, gr, here
from demos.frame import Frame
from demos.problems import problem
from demos.routes import route, route_name
from demos.tasks.asking import SERVED, System, chosen, systems
from demos.tasks.fields import turns_of
from demos.tasks.lanes import NOBODY
from demos.tasks.panel import panel

_PRIVATE: Any = {"show_progress": "hidden", "api_visibility": "private"}
_SPOKEN = "(backbone, _, ...who) => [backbone, document.documentElement.lang, ...who]"
"""The language of the page: while it opens, the switch has not been told yet."""
_AT_ONCE = 40
"""Requests to one page that are answered at a time; the engine makes batches of them."""


@dataclass(frozen=True)
class Who:
    """The choice of who answers, and of who answers beside it."""

    by: gr.Dropdown
    beside: gr.Dropdown


def page(frame: Frame, name: str) -> None:
    """Draw the page of 'task' or 'task@version' here; where it cannot be served, it says why."""
    task = frame.service.task(name)
    who = _who(frame, name)
    passage = task.shorten if isinstance(task.answer, Span) else ""
    if passage and turns_of(task):
        with gr.Tabs(elem_classes="inner"):
            with frame.say(gr.Tab(), label=words.FROM_PASSAGE):
                panel(frame, name, [who.by, who.beside])
            with frame.say(gr.Tab(), label=words.CHAT):
                panel(frame, name, [who.by, who.beside], passage=passage)
    else:
        panel(frame, name, [who.by, who.beside])
    api(
        route(frame.services, name), api_name=route_name(name), api_description=task.description,
        concurrency_limit=_AT_ONCE,
    )  # fmt: skip


def _above(frame: Frame, backbone: str | None, page: str, by: str) -> str:
    try:
        service = frame.services.of(backbone)
        return heading(service, page, chosen(service, page, by), frame.naming)
    except QuintetError as error:
        return problem(error)


def _who(frame: Frame, page: str) -> Who:
    tab, known = here(), _pairs(systems(frame.service, page), "en")
    with gr.Row(elem_classes="who", equal_height=False):
        with gr.Column(scale=3, min_width=300):
            gr.HTML(about(frame.service.task(page)), elem_classes="bare")
        by = gr.Dropdown(known, value=known[0][1], filterable=False, min_width=150)
        frame.say(by, label=words.BY)
        beside = gr.Dropdown([NOBODY, *known], value=NOBODY, filterable=False, min_width=150)
        frame.say(beside, label=words.BESIDE)
    above = gr.HTML(_above(frame, None, page, SERVED), elem_classes="bare")

    def changed(backbone: str, by: str) -> str:
        return _above(frame, backbone, page, by)

    def choices(backbone: str, language: Language) -> list[tuple[str, str]]:
        try:
            return _pairs(systems(frame.services.of(backbone), page), language)
        except QuintetError:
            return known

    def renamed(backbone: str, language: Language) -> list[Any]:
        found = choices(backbone, language)
        return [gr.update(choices=found), gr.update(choices=[NOBODY, *found])]

    def renewed(backbone: str, language: Language, by: str, beside: str) -> list[Any]:
        """Another version may be served by now: it was promoted, taken back, installed elsewhere."""
        found = choices(backbone, language)
        there = [value for _, value in found]
        by = by if by in there else there[0]
        beside = beside if beside in there else NOBODY
        return [
            gr.update(choices=found, value=by),
            gr.update(choices=[NOBODY, *found], value=beside),
            _above(frame, backbone, page, by),
        ]

    by.input(
        changed, [frame.backbone, by], above, queue=False, trigger_mode="always_last", **_PRIVATE
    )
    now = [frame.backbone, frame.language]
    for shown in (tab.select, None):  # None: when the page is opened
        gr.on(
            shown, renewed, [*now, by, beside], [by, beside, above], js=_SPOKEN, queue=False,
            **_PRIVATE,
        )  # fmt: skip
    frame.switched.then(
        lambda name, spoken: renewed(name, spoken, "", ""), now, [by, beside, above], **_PRIVATE
    )
    frame.language.change(renamed, now, [by, beside], queue=False, **_PRIVATE)
    return Who(by, beside)


def _pairs(found: list[System], language: Language) -> list[tuple[str, str]]:
    return [(getattr(one.said, language), one.value) for one in found]
