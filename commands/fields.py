"""Fields of a task's input, typed as flags before or after its text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from core.errors import BadSetting, nearest

if TYPE_CHECKING:
    from core.task import Task


def text_among(text: str | None, rest: Sequence[str]) -> tuple[str | None, list[str]]:
    """The text and the flags of fields, where a flag stands before the text and was taken for it."""
    if not (text and text.startswith("--")):
        return text, list(rest)
    flags = [text, *rest]
    pairs = zip(["", *flags], flags, strict=False)
    lone = [
        place
        for place, (before, one) in enumerate(pairs)
        if not one.startswith("--") and not (before.startswith("--") and "=" not in before)
    ]
    return (flags.pop(lone[0]) if len(lone) == 1 else None), flags


def given(
    flags: list[str], options: list[str], task: Task[Any], whole_file: bool
) -> dict[str, str]:
    """Fields of the input that were given by name; what is none is told before the backbone loads."""
    from finetune import settings

    found = settings.flags(flags, plain=True)
    known = [] if whole_file else list(task.input.model_fields)
    for name in found:
        if name not in known:
            allowed = f" and fields ({', '.join(known)})" if known else "; a file has its columns"
            raise BadSetting(
                f"Unknown flag --{name.replace('_', '-')}; allowed: options of predict{allowed}."
                f"{nearest(name, [*known, *options])}"
            )
    return found
