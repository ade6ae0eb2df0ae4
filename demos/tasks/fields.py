"""The form of a task: its input's fields as components, and back to a checked input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from core.application import Application
from core.errors import BadInput, BadSetting
from core.task import In, Input, Task
from demos.door import Component, gr
from demos.said import Said, Words
from demos.task_words import choice, field_info, field_title

MOST = 50_000
"""Characters of one request; a context holds far fewer, and a page is open to strangers."""

_RADIO = 4
"""Choices that are shown side by side; more of them go into a list."""

Turns = list[dict[str, str]]
"""A conversation: what each role said, as a chat shows it and a field of turns takes it."""


@dataclass(frozen=True)
class Form:
    """The fields that are shown, their components, and the field that holds earlier turns."""

    names: tuple[str, ...]
    components: tuple[Component, ...]
    turns: str = ""

    def fields(self, values: Sequence[Any], turns: Turns) -> dict[str, Any]:
        """What `Application.input` takes."""
        shown = dict(zip(self.names, values, strict=True))
        said = [turn for turn in turns if turn["content"].strip()]
        return shown | ({self.turns: said} if self.turns else {})

    def values(self, sample: Input) -> list[Any]:
        """A sample, as the components show it."""
        return [getattr(sample, name) for name in self.names]

    def earlier(self, sample: Input) -> Turns:
        """The conversation that a sample goes on with."""
        turns = getattr(sample, self.turns) if self.turns else ()
        return [{"role": turn.role, "content": turn.content} for turn in turns]


def form(task: Task[Any], words: Words, *, leave_out: str = "") -> Form:
    """Draw the fields here; one that cannot be drawn keeps its default, or raises `BadSetting`.

    The field `leave_out` is not drawn and keeps its default.
    """
    drawn: dict[str, Component] = {}
    for name, field in task.input.model_fields.items():
        if holds_turns(field) or name == leave_out:
            continue
        component = _component(name, field, words, long=name == task.shorten)
        if not drawn and isinstance(component, gr.Textbox):
            component.elem_classes = ["asks"]
        if component is not None:
            drawn[name] = component
        elif field.is_required():
            raise BadSetting(
                f"A page cannot ask for {name!r}; it draws str, Literal, bool, int and float. "
                "Give the field a default."
            )
    return Form(tuple(drawn), tuple(drawn.values()), turns_of(task))


def turns_of(task: Task[Any]) -> str:
    """The field of the input that holds earlier turns; empty where there is none."""
    fields = task.input.model_fields.items()
    return next((name for name, field in fields if holds_turns(field)), "")


def holds_turns(field: FieldInfo) -> bool:
    """Is it a tuple or list of models with a role and a content?"""
    inner = next(iter(get_args(field.annotation)), None)
    if get_origin(field.annotation) not in (tuple, list) or not isinstance(inner, type):
        return False
    return issubclass(inner, BaseModel) and {"role", "content"} <= inner.model_fields.keys()


def checked(application: Application[In], fields: Mapping[str, Any]) -> In:
    """The input; `BadInput` where it is too long or not what the task takes."""
    length = sum(map(_length, fields.values()))
    if length > MOST:
        raise BadInput(f"The text has {length:,} characters; at most {MOST:,} are taken at once.")
    return application.input(**fields)


def _length(value: Any) -> int:
    if isinstance(value, list | tuple):
        return sum(map(_length, value))
    if isinstance(value, Mapping):
        return sum(map(_length, value.values()))
    return len(value) if isinstance(value, str) else 0


def _component(name: str, field: FieldInfo, words: Words, *, long: bool) -> Component | None:
    said = {"label": field_title(name, field), "info": field_info(field)}
    value = None if field.is_required() else field.get_default(call_default_factory=True)
    kind = field.annotation
    if get_origin(kind) is Literal:
        return _choice(list(get_args(kind)), value, words, said)
    component: Component | None = None
    if kind is str:
        lines, most = (4, 14) if long else (1, 3)
        component = gr.Textbox(value, lines=lines, max_lines=most, max_length=MOST)
    if kind is bool:
        component = gr.Checkbox(bool(value))
    if kind is int or kind is float:
        component = gr.Number(value, precision=0 if kind is int else None)
    return words.say(component, **said) if component else None


def _choice(allowed: list[Any], value: Any, words: Words, said: dict[str, Said]) -> Component:
    draw = gr.Radio if len(allowed) <= _RADIO else gr.Dropdown
    pairs = [(choice(one), one) for one in allowed]
    drawn = draw(
        [(one.en, meaning) for one, meaning in pairs],
        value=allowed[0] if value is None else value,
    )
    words.say(drawn, **said, choices=pairs)
    return drawn
