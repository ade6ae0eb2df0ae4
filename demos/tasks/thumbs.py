"""Two thumbs and a better answer below every answer: stored as feedback."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core.errors import QuintetError
from core.feedback.database import Feedback
from core.feedback.entries import entries_of
from core.task import Choice, Task
from demos.door import Component, gr
from demos.feedback import words
from demos.frame import Frame
from demos.problems import problem
from demos.said import html
from demos.task_words import label
from demos.tasks.last_answers import LastAnswers

_QUIET: Any = {"show_progress": "hidden", "api_visibility": "private"}
_LONGEST = 20_000


@dataclass(frozen=True)
class Thumbs:
    """The components; `follow` says whose answers they are about."""

    right: gr.Button
    wrong: gr.Button
    form: gr.Column
    better: Component
    save: gr.Button
    note: gr.HTML

    def follow(self, given: LastAnswers) -> None:
        """Connect them."""
        shut = gr.update(visible=False)

        def store(request: gr.Request, right: bool, better: str = "") -> list[Any]:
            last = given.of(str(request.session_hash))
            if last is None:
                return [gr.skip(), _said(words.ASK_FIRST)]
            try:
                Feedback().add(
                    entries_of(
                        last.task, last.input, last.answer, right=right,
                        correction=(better or "")[:_LONGEST], backbone=last.backbone,
                        adapter=last.adapter,
                    )
                )  # fmt: skip
            except QuintetError as error:
                return [gr.skip(), problem(error)]
            return [shut, _said(words.THANKS)]

        def liked(request: gr.Request) -> list[Any]:
            return store(request, True)

        def corrected(request: gr.Request, better: str) -> list[Any]:
            return store(request, False, better)

        def disliked(request: gr.Request) -> list[Any]:
            if given.of(str(request.session_hash)) is None:
                return [gr.skip(), gr.skip(), _said(words.ASK_FIRST)]
            return [gr.update(visible=True), gr.update(value=None), ""]

        self.right.click(liked, None, [self.form, self.note], **_QUIET)
        self.wrong.click(disliked, None, [self.form, self.better, self.note], **_QUIET)
        self.save.click(corrected, self.better, [self.form, self.note], **_QUIET)


def thumbs(frame: Frame, task: Task[Any]) -> Thumbs:
    """Draw them here."""
    with gr.Row(elem_classes="thumbs"):
        right = frame.say(gr.Button(size="sm", min_width=90, scale=0), value=words.RIGHT)
        wrong = frame.say(gr.Button(size="sm", min_width=90, scale=0), value=words.WRONG)
        note = gr.HTML("", elem_classes="bare", min_width=120)
    with gr.Column(visible=False) as form:
        better = _better(frame, task)
        save = frame.say(gr.Button(size="sm", min_width=100), value=words.SAVE)
    return Thumbs(right, wrong, form, better, save, note)


def _better(frame: Frame, task: Task[Any]) -> Component:
    if isinstance(task.answer, Choice):
        labels = list(task.answer.labels)
        return frame.say(
            gr.Radio(labels), label=words.BETTER, choices=[(label(one), one) for one in labels]
        )
    return frame.say(gr.Textbox(lines=2, max_lines=10), label=words.BETTER, info=words.BETTER_INFO)


def _said(said: words.Said) -> str:
    return html(said, "p", class_="quiet", role="status")
