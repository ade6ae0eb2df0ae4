"""Answers copied from a passage, and conversation without one. `quintet finetune qa`"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from core.errors import BadData
from core.labels import text_of
from core.task import Example, Input, Row, Source, Span, Task

_SENTENCE_END = re.compile(r"(?<=[.!?])\s|(?<=[。！？])|\n")
_ROLES = ("system", "user", "assistant")


class Turn(BaseModel):
    """What was said before, in the order it was said."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Literal["system", "user", "assistant"]
    content: str


class Question(Input):
    """A question about a passage; without one, the next turn of a conversation."""

    question: str = Field(title="Question", description="In English or Chinese.")
    passage: str = Field(
        default="", title="Passage", description="The answer is copied from here. Empty: chat."
    )
    history: tuple[Turn, ...] = Field(default=(), title="History", description="Earlier turns.")


def read(row: Row) -> Iterable[Example[Question]]:
    if "messages" in row:
        return _conversation(row["messages"])
    if "context" in row:
        return [_extraction(row)]
    request, extra = text_of(row, "instruction"), str(row.get("input") or "").strip()
    asked = Question(question=f"{request}\n{extra}" if extra else request)
    return [Example(input=asked, answers=(text_of(row, "output"),), part="chat")]


def _extraction(row: Row) -> Example[Question]:
    """A row of SQuAD; only answers that stand in the passage can be copied."""
    passage, found = text_of(row, "context"), row["answers"]
    texts = found.get("text") if isinstance(found, Mapping) else None
    if not isinstance(texts, list | tuple):
        raise BadData("Column 'answers' must hold {'text': [...], 'answer_start': [...]}.")
    kept = dict.fromkeys(str(text) for text in texts if str(text).strip() and str(text) in passage)
    if not kept:
        raise BadData(f"None of the {len(texts)} answers stands in the passage.")
    asked = Question(question=text_of(row, "question"), passage=passage)
    return Example(input=asked, answers=tuple(kept))


def _conversation(messages: Any) -> Iterator[Example[Question]]:
    """Each turn of the assistant is one example."""
    turns = [_turn(message) for message in messages] if isinstance(messages, list | tuple) else []
    if not any(turn.role == "assistant" for turn in turns):
        raise BadData("Column 'messages' holds no turn of the assistant.")
    for place, turn in enumerate(turns):
        if turn.role != "assistant":
            continue
        if place == 0 or turns[place - 1].role != "user":
            raise BadData(f"Message {place + 1}: the assistant answers, but no user has asked.")
        asked = Question(question=turns[place - 1].content, history=tuple(turns[: place - 1]))
        yield Example(input=asked, answers=(turn.content,), part="chat")


def _turn(message: Any) -> Turn:
    if not isinstance(message, Mapping) or message.get("role") not in _ROLES:
        raise BadData(f"A message needs a role out of {', '.join(_ROLES)}, and a content.")
    return Turn(role=message["role"], content=text_of(message, "content"))


def prompt(asked: Question) -> str:
    if asked.passage:
        return f"{asked.passage}\nQuestion: {asked.question}\nAnswer:"
    turns = (*asked.history, Turn(role="user", content=asked.question))
    said = "".join(f"{turn.role.capitalize()}: {turn.content}\n" for turn in turns)
    return f"{said}Assistant:"


def passage(asked: Question) -> str:
    return asked.passage


def first_sentence(asked: Question) -> str:
    """Of the passage; in a conversation, the question itself."""
    source = (asked.passage or asked.question).strip()
    return _SENTENCE_END.split(source, maxsplit=1)[0].strip()


_MILL = "The old mill by the river was built in 1820. It burned down twice and is a museum today."
_TEA = "茶馆在老城的南门旁边，每天早上六点开门。老板姓王，已经在那里卖了三十年茶。"

task = Task(
    title="Questions and answers",
    description="Copies the answer from a passage; without a passage it chats.",
    input=Question,
    columns=(("context", "question", "answers"), ("instruction", "output"), ("messages",)),
    sources=(
        Source(name="samples", licence="Apache-2.0"),
        Source(name="rajpurkar/squad", revision="main", licence="CC BY-SA 4.0"),
        Source(name="hfl/cmrc2018", revision="main", licence="CC BY-SA 4.0"),
    ),
    read=read,
    prompt=prompt,
    answer=Span(passage=passage, max_new_tokens=64),
    metrics=("squad",),
    select_by="f1",
    samples=(
        Question(question="When was the mill built?", passage=_MILL),
        Question(question="What is the mill today?", passage=_MILL),
        Question(question="Name three colours."),
        Question(question="茶馆几点开门？", passage=_TEA),
        Question(question="老板姓什么？", passage=_TEA),
        Question(question="请介绍一下你自己。"),
    ),
    trivial=first_sentence,
    shorten="passage",
)
