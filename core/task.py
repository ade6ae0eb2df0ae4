"""Task: the one object that says everything about a task. Importing it loads no torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict

from core.errors import BadSetting

Row = Mapping[str, Any]
Language = Literal["en", "zh"]


class Input(BaseModel):
    """What an application is asked. Its fields become the form, the route and the columns."""

    model_config = ConfigDict(frozen=True, extra="forbid")


In = TypeVar("In", bound=Input)


@dataclass(frozen=True, kw_only=True)
class Example(Generic[In]):
    """An input and its right answers; the first one is learned, all of them count in scoring."""

    input: In
    answers: tuple[str, ...]
    part: str = ""
    """The part of the score it belongs to, such as the direction of a translation."""


@dataclass(frozen=True, kw_only=True)
class Skip(Generic[In]):
    """What a row holds that is well formed and still not learned; counted by its reason."""

    reason: str
    input: In | None = None
    """What can be asked all the same."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Rank these labels in one forward pass. Row labels may be the name or the index."""

    labels: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Text:
    """Write until end-of-text, at most this many tokens."""

    max_new_tokens: int = 100


@dataclass(frozen=True, kw_only=True)
class Span(Generic[In]):
    """Copy from the passage of the input; write freely where it has none."""

    passage: Callable[[In], str]
    max_new_tokens: int = 64


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where rows come from: a hub data set at a pinned revision, or files beside the task."""

    name: str
    revision: str = ""
    licence: str = ""


@dataclass(frozen=True, kw_only=True)
class Criterion:
    """The value that decides: which checkpoint is kept, and whether a model is worth having.

    Whether a better model has more or less of it stands with the metric, in
    `finetune/evaluation/metrics`.
    """

    metric: str
    """Its name there, such as 'mcc', or one of its values, such as 'recall_spam'."""
    over_parts: Literal["unnamed", "mean"] = "unnamed"
    """'unnamed': rows that belong to no part decide, and the mean of the parts where there are none.
    'mean': all parts count alike, such as the two directions of a translation."""


@dataclass(frozen=True, kw_only=True)
class Task(Generic[In]):
    """A whole task. `name` is the file's name in `apps/`, set by the registry.

    `read` turns a row into examples: one, or several (both directions of a pair, every
    answer of a conversation); a `Skip` says what is left out on purpose, and `BadData` is raised
    for a row that is wrong.
    """

    title: str
    description: str
    input: type[In]
    columns: tuple[tuple[str, ...], ...]
    """The sets of columns it reads; a row must hold one whole set."""
    sources: tuple[Source, ...]
    read: Callable[[Row], Iterable[Example[In] | Skip[In]]]
    prompt: Callable[[In], str]
    answer: Choice | Text | Span[In]
    metrics: tuple[str, ...]
    """Sets of metrics, or single ones, by their names in `finetune/evaluation/metrics`."""
    select_by: Criterion
    """What picks the best checkpoint, and decides what a model is worth."""
    samples: tuple[In, ...]
    trivial: Callable[[In], str] | None = None
    """An answer that costs nothing (copy the source, first sentence): the baseline to beat."""
    write: Callable[[In, str], Row] | None = None
    """The row that `read` makes an example with this answer of; not needed where the row is the
    input's fields and one column more."""
    shorten: str = "text"
    """The field of the input that is cut, and said to be cut, when the prompt is too long."""
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict, compare=False)
    """Columns → what others call them; a column that may be missing stands here as well."""
    title_zh: str = field(default="", compare=False)
    """What a Chinese reader is shown; the English one where it is empty."""
    description_zh: str = field(default="", compare=False)
    name: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.select_by, Criterion):
            raise BadSetting(
                f"select_by of {self.title!r} is {self.select_by!r}; it takes a criterion, as "
                "Criterion(metric='macro_f1') or Criterion(metric='chrf', over_parts='mean')."
            )

    @property
    def prompt_hash(self) -> str:
        """What identifies its prompt: the code that writes it, and the closed labels."""
        from core.prompt_identity import identity

        return identity(self)


def separator(prompt: str) -> str:
    """What stands between a prompt and its answer: a space, so that words keep their usual token."""
    return "" if not prompt or prompt[-1].isspace() else " "
