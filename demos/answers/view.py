"""The answers of a task as a page shows them: bars, a growing text, a chat, a marked passage."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Any, Protocol

from core.application import Prediction
from core.language import language_of
from core.task import Choice, Span, Task
from demos import words
from demos.answers.bars import bars
from demos.answers.occlusion import mattered
from demos.answers.small_print import small_print
from demos.answers.tokens import token_view
from demos.door import Component, gr
from demos.said import Words, html
from demos.tasks.asking import Asked
from demos.tasks.fields import Turns

Values = list[Any]
"""One for each output of a view, in their order."""


class View(Protocol):
    """Components that show the answers of one kind.

    A browser skips steps that come faster than it draws: each one says everything anew.
    """

    @property
    def outputs(self) -> list[Component]:
        """What `show` and `empty` give values for, in this order."""

    def show(self, asked: Asked[Any]) -> Iterator[Values]:
        """The answer, in one step or many."""

    def empty(self) -> Values:
        """Values that take an earlier answer off the page."""


def view(task: Task[Any], said: Words, *, chat: gr.State | None = None) -> View:
    """Draw here what fits the task's kind of answer; a chat keeps what was said in `chat`."""
    if isinstance(task.answer, Choice):
        return Bars(gr.HTML(_PLACEHOLDER, elem_classes="answer"))
    if chat is not None:
        return Chat(_chatbot(said), chat, _note())
    if isinstance(task.answer, Span):
        box = said.say(gr.Textbox(lines=1, interactive=False, buttons=["copy"]), label=words.ANSWER)
        return Marked(box, gr.HTML("", elem_classes="passage"), _note())
    box = gr.Textbox(lines=5, max_lines=24, interactive=False, buttons=["copy"])
    said.say(box, label=words.ANSWER)
    note = _note()
    with said.say(gr.Accordion(open=False), label=words.TOKENS):
        return Written(box, note, gr.HTML("", elem_classes="bare"))


@dataclass(frozen=True)
class Bars:
    """A closed answer: every label with its probability, then the words that mattered."""

    box: gr.HTML

    @property
    def outputs(self) -> list[Component]:
        return [self.box]

    def show(self, asked: Asked[Any]) -> Iterator[Values]:
        pending = asked.submit()
        for written, found in asked.steps(pending):
            if written.finish is None or not found.probabilities:
                continue
            drawn = bars(found, asked.application.operating_point)
            below = small_print(pending, found)
            yield [drawn + below]
            if why := mattered(asked, found):
                yield [drawn + why + below]

    def empty(self) -> Values:
        return [_PLACEHOLDER]


@dataclass(frozen=True)
class Written:
    """A free answer that grows while it is written, and how sure each token was."""

    box: gr.Textbox
    note: gr.HTML
    tokens: gr.HTML

    @property
    def outputs(self) -> list[Component]:
        return [self.box, self.note, self.tokens]

    def show(self, asked: Asked[Any]) -> Iterator[Values]:
        pending = asked.submit()
        yield ["", _writing(), ""]
        for written, found in asked.steps(pending):
            if written.finish is None:
                yield [found.text, _writing(), gr.skip()]
                continue
            seen = token_view(written, asked.application.engine.backbone.tokenizer)
            yield [found.text, _direction(asked) + small_print(pending, found), seen]

    def empty(self) -> Values:
        return ["", "", ""]


@dataclass(frozen=True)
class Chat:
    """A conversation; its turns are kept on the server and asked along with the next one."""

    chatbot: gr.Chatbot
    turns: gr.State
    note: gr.HTML

    @property
    def outputs(self) -> list[Component]:
        return [self.chatbot, self.turns, self.note]

    def show(self, asked: Asked[Any]) -> Iterator[Values]:
        said = [*asked.turns, {"role": "user", "content": asked.said}]
        pending = asked.submit()
        yield self._said(said, "", _writing())
        for written, found in asked.steps(pending):
            note = _writing() if written.finish is None else small_print(pending, found)
            yield self._said(said, found.text, note)

    def _said(self, said: Turns, text: str, note: str) -> Values:
        turns = [*said, {"role": "assistant", "content": text}]
        # The chatbot puts messages into the page as HTML, and would fetch the images in it.
        safe = [{**turn, "content": escape(turn["content"], quote=False)} for turn in turns]
        return [safe if text else safe[:-1], turns, note]

    def empty(self) -> Values:
        return [gr.skip(), gr.skip(), ""]


@dataclass(frozen=True)
class Marked:
    """An answer that was copied, marked in its passage."""

    answer: gr.Textbox
    passage: gr.HTML
    note: gr.HTML

    @property
    def outputs(self) -> list[Component]:
        return [self.answer, self.passage, self.note]

    def show(self, asked: Asked[Any]) -> Iterator[Values]:
        pending = asked.submit()
        yield ["", "", _writing()]
        answer = asked.application.task.answer
        passage = answer.passage(asked.input) if isinstance(answer, Span) else ""
        for written, found in asked.steps(pending):
            if written.finish is None:
                continue
            below = small_print(pending, found)
            if not _says_something(found):
                nothing = html(words.NO_ANSWER, "p", class_="remark", role="status")
                yield ["", _with_mark(passage, None, found.dropped), nothing + below]
                continue
            yield [found.text, _with_mark(passage, found.span, found.dropped), below]

    def empty(self) -> Values:
        return ["", "", ""]


def _says_something(found: Prediction) -> bool:
    """A span of punctuation is no answer."""
    return any(character.isalnum() for character in found.text)


def _chatbot(said: Words) -> gr.Chatbot:
    chatbot = gr.Chatbot(
        height=320,
        render_markdown=False,
        allow_tags=False,
        feedback_options=None,
        buttons=[],
    )
    said.say(chatbot, label=words.CONVERSATION, placeholder=words.NOTHING_SAID)
    return chatbot


def _note() -> gr.HTML:
    return gr.HTML("", elem_classes="bare")


def _writing() -> str:
    return html(words.WRITING, "p", class_="quiet", role="status")


_PLACEHOLDER = html(words.HERE, "p", class_="quiet placeholder")


def _direction(asked: Asked[Any]) -> str:
    """Which direction was told from the script, where the task left that open."""
    if getattr(asked.input, "direction", "") != "auto":
        return ""
    source = language_of(str(getattr(asked.input, asked.application.task.shorten, "")))
    return html(words.DIRECTION[source], "p", class_="quiet")


def _with_mark(passage: str, span: tuple[int, int] | None, dropped: int) -> str:
    """The passage as escaped HTML: the answer marked, the end that was not read faded."""
    start, end = span or (0, 0)
    read = max(len(passage) - dropped, end)
    before, answer, after, unread = (
        escape(part)
        for part in (passage[:start], passage[start:end], passage[end:read], passage[read:])
    )
    tail = f'<span class="unread">{unread}</span>' if unread else ""
    mark = f"<mark>{answer}</mark>" if answer else ""
    return f"<p>{before}{mark}{after}{tail}</p>"
