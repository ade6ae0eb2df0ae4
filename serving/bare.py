"""The backbone without an adapter: a text as it is typed, or a chat in its own template."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from core.application import Application
from core.engine.prompting import Prompt
from core.errors import BadInput
from core.task import Criterion, Example, Input, Row, Task, Text

if TYPE_CHECKING:
    from core.engine.engine import Engine


class Typed(Input):
    """A text to be continued."""

    text: str = ""


class Turn(BaseModel):
    """What somebody said."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Literal["system", "user", "assistant"]
    content: str


class Chat(Input):
    """A conversation; its last turn is answered."""

    messages: tuple[Turn, ...]


def continuing(engine: Engine) -> Application[Typed]:
    """Continues what is typed."""
    return Application(_task("Backbone", Typed, lambda typed: typed.text), engine, None)


def chatting(engine: Engine) -> Application[Chat]:
    """Answers in the template that the backbone learned its conversations in."""
    task = _task("Backbone", Chat, lambda chat: "".join(turn.content for turn in chat.messages))
    return _Templated(task, engine, None)


class _Templated(Application[Chat]):
    """What is typed stays text: `<|im_start|>` in a message begins no turn."""

    def _prompt(self, asked: Chat, length: int) -> Prompt:
        tokenizer: Any = self.engine.backbone.tokenizer
        if not tokenizer.chat_template:
            raise BadInput(
                f"{self.engine.backbone.name!r} has no chat template. Ask the model 'qa', or "
                "/v1/completions."
            )
        encoded = tokenizer.apply_chat_template(
            [turn.model_dump() for turn in asked.messages],
            add_generation_prompt=True,
            return_dict=True,
            sanitize_control_tokens=True,
        )
        ids, room = list(encoded["input_ids"]), self.engine.backbone.context - length
        if len(ids) > room:
            raise BadInput(f"The chat takes {len(ids)} tokens; {room} fit. Leave out old messages.")
        return Prompt(ids)


def _task(title: str, asked: type[Any], prompt: Any) -> Task[Any]:
    return Task(
        title=title,
        description="Without an adapter.",
        input=asked,
        columns=(),
        sources=(),
        read=_nothing,
        prompt=prompt,
        answer=Text(max_new_tokens=128),
        metrics=(),
        select_by=Criterion(metric="perplexity"),
        samples=(),
        name="backbone",
    )


def _nothing(_: Row) -> Iterable[Example[Any]]:
    return ()
