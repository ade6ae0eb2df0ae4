"""Answers copied from a passage, and conversation without one. `quintet finetune qa`"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from core.errors import BadData
from core.labels import text_of
from core.task import Criterion, Example, Input, Row, Skip, Source, Span, Task

_SENTENCE_END = re.compile(r"(?<=[.!?])\s|(?<=[。！？])|\n")
_ROLES: dict[str, Literal["system", "user", "assistant"]] = {
    "system": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "bot": "assistant",
    "chatgpt": "assistant",
}


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


def read(row: Row) -> Iterable[Example[Question] | Skip[Question]]:
    if "messages" in row:
        return _conversation(row)
    if "context" in row:
        return [_extraction(row)]
    request, extra = text_of(row, "instruction"), str(row.get("input") or "").strip()
    question = f"{request}\n{extra}" if extra else request
    asked = Question(question=question, history=tuple(_earlier(row)))
    return [Example(input=asked, answers=(text_of(row, "output"),), part="chat")]


def write(asked: Question, answer: str) -> Row:
    """The inverse of `read`: a passage, or a request with the pairs that were said before it."""
    if asked.passage:
        return {
            "context": asked.passage,
            "question": asked.question,
            "answers": {"text": [answer]},
        }
    row: dict[str, Any] = {"instruction": asked.question, "output": answer}
    turns = list(asked.history)
    if turns and turns[0].role == "system":
        row["system"] = turns.pop(0).content
    if turns:
        said = [turn.content for turn in turns]
        row["history"] = [list(pair) for pair in zip(said[::2], said[1::2], strict=False)]
    return row


def _extraction(row: Row) -> Example[Question] | Skip[Question]:
    """A row of SQuAD; only answers that stand in the passage can be copied."""
    passage, texts = text_of(row, "context"), _answers(row["answers"])
    asked = Question(question=text_of(row, "question"), passage=passage)
    if not texts:
        return Skip(reason="no answer in the passage (SQuAD 2.0)", input=asked)
    kept = dict.fromkeys(text for text in texts if text.strip() and text in passage)
    if not kept:
        raise BadData(f"None of the {len(texts)} answers stands in the passage.")
    return Example(input=asked, answers=tuple(kept))


def _answers(found: Any) -> list[str]:
    """From {'text': [...]}, or a list of texts or of {'text': ...}."""
    texts = found.get("text") if isinstance(found, Mapping) else found
    if isinstance(texts, str):
        return [texts]
    if not isinstance(texts, list | tuple):
        raise BadData("Column 'answers' must hold {'text': [...], 'answer_start': [...]}.")
    return [str(text.get("text", "") if isinstance(text, Mapping) else text) for text in texts]


def _earlier(row: Row) -> Iterator[Turn]:
    """The system's word and the pairs of question and answer before a request."""
    if system := str(row.get("system") or "").strip():
        yield Turn(role="system", content=system)
    for pair in row.get("history") or ():
        if isinstance(pair, Mapping):
            yield _turn(pair)
            continue
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise BadData("Column 'history' must hold pairs of a question and its answer.")
        yield Turn(role="user", content=str(pair[0]))
        yield Turn(role="assistant", content=str(pair[1]))


def _conversation(row: Row) -> Iterator[Example[Question] | Skip[Question]]:
    """Each turn of the assistant that answers the user is one example."""
    messages = row["messages"]
    turns = [_turn(message) for message in messages] if isinstance(messages, list | tuple) else []
    system = str(row.get("system") or "").strip()
    if system and not any(turn.role == "system" for turn in turns):
        turns.insert(0, Turn(role="system", content=system))
    if not any(turn.role == "assistant" for turn in turns):
        raise BadData("Column 'messages' holds no turn of the assistant.")
    for place, turn in enumerate(turns):
        if turn.role != "assistant":
            continue
        if place == 0 or turns[place - 1].role != "user":
            yield Skip(reason="turns of the assistant that answer nobody, such as a greeting")
            continue
        asked = Question(question=turns[place - 1].content, history=tuple(turns[: place - 1]))
        yield Example(input=asked, answers=(turn.content,), part="chat")


def _turn(message: Any) -> Turn:
    """A message as OpenAI has it (role, content) or ShareGPT (from, value)."""
    found = message if isinstance(message, Mapping) else {}
    said = found.get("role", found.get("from"))
    role = _ROLES.get(str(said).casefold())
    if role is None:
        raise BadData(
            f"A message has the role {str(said)[:40]!r}; read are {', '.join(_ROLES)}, "
            "each with a content."
        )
    content = found.get("content", found.get("value"))
    if isinstance(content, list | tuple):  # parts, as OpenAI has them
        content = "".join(str(p.get("text", "")) for p in content if isinstance(p, Mapping))
    return Turn(role=role, content=text_of({"content": content}, "content"))


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
_WHALE = (
    "The blue whale is the largest animal that has ever lived. "
    "It eats krill and can weigh 150 tonnes."
)

task = Task(
    title="Questions and answers",
    description="Copies the answer from a passage; without a passage it chats.",
    title_zh="问答",
    description_zh="从给定段落中摘取答案；没有段落时进行对话。",
    input=Question,
    columns=(("context", "question", "answers"), ("instruction", "output"), ("messages",)),
    sources=(
        Source(name="samples", licence="Apache-2.0"),
        Source(name="rajpurkar/squad", revision="main", licence="CC BY-SA 4.0"),
        Source(name="hfl/cmrc2018", revision="main", licence="CC BY-SA 4.0"),
    ),
    read=read,
    write=write,
    prompt=prompt,
    answer=Span(passage=passage, max_new_tokens=64),
    metrics=("squad",),
    select_by=Criterion(metric="f1"),
    samples=(
        Question(question="When was the mill built?", passage=_MILL),
        Question(question="What is the mill today?", passage=_MILL),
        Question(question="What does the blue whale eat?", passage=_WHALE),
        Question(question="Which animal is the largest?", passage=_WHALE),
        Question(question="What is the capital of France?"),
        Question(question="What is the opposite of 'hot'?"),
        Question(question="Name three colours."),
    ),
    trivial=first_sentence,
    shorten="passage",
    aliases={
        "messages": ("conversations", "conversation"),
        "context": ("context_text", "passage", "paragraph"),
        "question": ("query_text",),
        "answers": ("answer",),
        "instruction": ("query", "prompt", "question"),
        "output": ("response", "answer", "completion"),
        "passage": ("context", "context_text", "paragraph"),
        "input": (),
        "history": (),
        "system": (),
    },
)
