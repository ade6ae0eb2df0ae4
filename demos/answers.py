"""The answers of a task as a page shows them: bars, a growing text, a chat, a marked passage."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Any, Generic, Protocol

from core.application import Application
from core.engine.prompting import answer_budget, encode_prompt
from core.engine.sampling import Sampling
from core.task import Choice, In, Span, Task
from demos.decided import Decided, shown
from demos.door import Component, gr
from demos.fields import Form, Turns

_EMPTYING = 0.5
"""Seconds in which a field stays empty after it was said; then the next words may be typed."""


@dataclass(frozen=True, kw_only=True)
class Asked(Generic[In]):
    """One request: who answers, what is asked, how to write."""

    application: Application[In]
    input: In
    sampling: Sampling | None = None
    max_new_tokens: int | None = None
    turns: Turns
    said: str
    """The first field: what a chat shows as the words of the user."""

    def texts(self) -> Iterator[str]:
        """The answer as it grows."""
        return self.application.stream(
            self.input, self.sampling, max_new_tokens=self.max_new_tokens
        )

    def dropped(self) -> int:
        """Characters that the backbone does not see; a stream of texts cannot say it."""
        task, backbone = self.application.task, self.application.engine.backbone
        length = self.max_new_tokens or answer_budget(task, backbone.context)
        room = backbone.context - length
        return encode_prompt(task, self.input, backbone.tokenizer, room).dropped


@dataclass(frozen=True)
class Shown:
    """The values of a view's outputs, and the line below them.

    A browser skips steps that come faster than it draws: each one says everything anew.
    """

    values: list[Any]
    note: str = ""


class View(Protocol):
    """Components that show the answers of one kind."""

    @property
    def outputs(self) -> list[Component]:
        """What `show` and `hidden` give values for, in this order."""

    def show(self, asked: Asked[Any]) -> Iterator[Shown]:
        """The answer, in one step or many."""

    def hidden(self) -> list[Any]:
        """Values that take the view off the page."""


def view(task: Task[Any], form: Form, turns: gr.State) -> View:
    """Draw here what fits the task's kind of answer; a chat keeps what was said in `turns`."""
    if isinstance(task.answer, Choice):
        return Bars(Decided(label="Answer", num_top_classes=10))
    marked = _marked() if isinstance(task.answer, Span) else None
    free: View = _chat(form, turns) if form.turns else Written(_answer_box())
    return Copied(*marked, free) if marked else free


@dataclass(frozen=True)
class Bars:
    """A closed answer: every label with its probability."""

    label: gr.Label

    @property
    def outputs(self) -> list[Component]:
        return [self.label]

    def show(self, asked: Asked[Any]) -> Iterator[Shown]:
        found = next(asked.application.predict([asked.input]))
        unsure = "Not sure enough to answer." if found.abstained else ""
        yield Shown([shown(found)], unsure or _not_read(found.dropped))

    def hidden(self) -> list[Any]:
        return [gr.update(visible=False)]


@dataclass(frozen=True)
class Written:
    """A free answer that grows while it is written."""

    box: gr.Textbox

    @property
    def outputs(self) -> list[Component]:
        return [self.box]

    def show(self, asked: Asked[Any]) -> Iterator[Shown]:
        text, note = "", _not_read(asked.dropped())
        for text in asked.texts():
            yield Shown([gr.update(value=text, visible=True)], note)
        yield Shown([gr.update(value=text, visible=True)], _empty(text) or note)

    def hidden(self) -> list[Any]:
        return [gr.update(visible=False)]


@dataclass(frozen=True)
class Chat:
    """A conversation; its turns are kept on the server and asked along with the next one."""

    chatbot: gr.Chatbot
    turns: gr.State
    words: Component
    """The field to be emptied once it is said."""

    @property
    def outputs(self) -> list[Component]:
        return [self.chatbot, self.turns, self.words]

    def show(self, asked: Asked[Any]) -> Iterator[Shown]:
        said = [*asked.turns, {"role": "user", "content": asked.said}]
        text, note, begun = "", _not_read(asked.dropped()), time.monotonic()
        for text in asked.texts():
            yield self._said(said, text, begun, note)
        yield self._said(said, text, begun, _empty(text) or note)

    def _said(self, said: Turns, text: str, begun: float, note: str) -> Shown:
        turns = [*said, {"role": "assistant", "content": text}]
        words = "" if time.monotonic() - begun < _EMPTYING else gr.skip()
        # The chatbot puts messages into the page as HTML, and would fetch the images in it.
        safe = [{**turn, "content": escape(turn["content"], quote=False)} for turn in turns]
        return Shown([gr.update(value=safe, visible=True), turns, words], note)

    def hidden(self) -> list[Any]:
        return [gr.update(visible=False), gr.skip(), gr.skip()]


@dataclass(frozen=True)
class Copied:
    """An answer marked in its passage; without a passage, the view of free answers."""

    group: gr.Column
    answer: gr.Textbox
    passage: gr.HTML
    free: View

    @property
    def outputs(self) -> list[Any]:
        return [self.group, self.answer, self.passage, *self.free.outputs]

    def show(self, asked: Asked[Any]) -> Iterator[Shown]:
        passage = self._passage(asked)
        if not passage.strip():
            for shown in self.free.show(asked):
                yield Shown([*self._away(), *shown.values], shown.note)
            return
        found = next(
            asked.application.predict(
                [asked.input], sampling=asked.sampling, max_new_tokens=asked.max_new_tokens
            )
        )
        here = [gr.update(visible=True), found.text, _with_mark(passage, found.span, found.dropped)]
        yield Shown([*here, *self.free.hidden()], _empty(found.text) or _not_read(found.dropped))

    def hidden(self) -> list[Any]:
        return [*self._away(), *self.free.hidden()]

    def _away(self) -> list[Any]:
        return [gr.update(visible=False), gr.skip(), gr.skip()]

    def _passage(self, asked: Asked[Any]) -> str:
        answer = asked.application.task.answer
        return answer.passage(asked.input) if isinstance(answer, Span) else ""


def _answer_box() -> gr.Textbox:
    return gr.Textbox(
        label="Answer", lines=6, max_lines=24, interactive=False, buttons=["copy"],
        elem_classes="answer",
    )  # fmt: skip


def _chat(form: Form, turns: gr.State) -> Chat:
    chatbot = gr.Chatbot(
        label="Conversation",
        height=320,
        render_markdown=False,
        allow_tags=False,
        placeholder="Nothing has been said yet.",
        feedback_options=None,
        buttons=[],
    )
    return Chat(chatbot, turns, form.components[0])


def _marked() -> tuple[gr.Column, gr.Textbox, gr.HTML]:
    with gr.Column(visible=False) as group:
        answer = gr.Textbox(label="Answer", lines=1, interactive=False, buttons=["copy"])
        passage = gr.HTML(container=True, elem_classes="passage")
    return group, answer, passage


def _with_mark(passage: str, span: tuple[int, int] | None, dropped: int) -> str:
    """The passage as escaped HTML: the answer marked, the end that was not read faded."""
    start, end = span or (0, 0)
    read = max(len(passage) - dropped, end)
    before, answer, after, unread = (
        escape(part)
        for part in (passage[:start], passage[start:end], passage[end:read], passage[read:])
    )
    tail = f'<span class="unread">{unread}</span>' if unread else ""
    return f"<p>{before}<mark>{answer}</mark>{after}{tail}</p>"


def _not_read(dropped: int) -> str:
    if not dropped:
        return ""
    plural = "character was" if dropped == 1 else "characters were"
    return f"{dropped:,} {plural} not read: the text is longer than the context."


def _empty(text: str) -> str:
    return "" if text.strip() else "The answer is empty: the model had nothing to add."
