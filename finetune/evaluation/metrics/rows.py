"""Examples and what was said to them, in the rows that a metric measures together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from core.errors import BadSetting
from core.task import Choice, Example, Input, Task

if TYPE_CHECKING:
    from core.application import Likelihood

Split = Literal["all", "part", "prompt"]
"""Rows are measured all together, by the parts that examples name, or one for each prompt."""
Made = TypeVar("Made")
_TEXT_PART = "text"


@dataclass(frozen=True, kw_only=True)
class Rows:
    """In the order of the examples."""

    task: Task[Any]
    places: Sequence[int]
    """Where each row stands among all that are measured, of which there are `whole`."""
    whole: int
    texts: Sequence[str] = ()
    references: Sequence[Sequence[str]] = ()
    """The right answers of each row."""
    likelihoods: Sequence[Likelihood] = ()
    part: str = ""
    label: str = ""
    """The label that is asked about, for a metric of single labels."""
    _made: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    def once(self, make: Callable[[Rows], Made]) -> Made:
        """What `make` gives, made once for all metrics of these rows; it may not depend on `label`."""
        if make not in self._made:
            self._made[make] = make(self)
        made: Made = self._made[make]
        return made

    @property
    def labels(self) -> tuple[str, ...]:
        """Of a closed answer; `BadSetting` where there are none."""
        if not isinstance(self.task.answer, Choice):
            raise BadSetting(
                f"A metric of labels needs labels, and the answer of {self.task.name!r} is "
                f"{type(self.task.answer).__name__}. Make it a Choice, or take another metric."
            )
        return self.task.answer.labels

    @property
    def right_labels(self) -> list[str]:
        """What should have been said, row by row."""
        pairs = zip(self.texts, self.references, strict=True)
        return [_right(text, answers) for text, answers in pairs]


def split(
    task: Task[Any],
    examples: Sequence[Example[Any]],
    by: Split,
    texts: Sequence[str],
    likelihoods: Sequence[Likelihood],
) -> list[Rows]:
    """Each set of rows that is measured together; parts in alphabetical order."""
    if by == "prompt":
        return [_by_prompt(task, examples, texts)] if texts else []
    names = sorted({example.part for example in examples}) if by == "part" else [""]
    return [_kept(task, examples, texts, likelihoods, name, alone=by == "part") for name in names]


def _kept(
    task: Task[Any],
    examples: Sequence[Example[Any]],
    texts: Sequence[str],
    likelihoods: Sequence[Likelihood],
    part: str,
    *,
    alone: bool,
) -> Rows:
    places = [n for n, one in enumerate(examples) if not alone or one.part == part]
    return Rows(
        task=task,
        places=places,
        whole=len(examples),
        texts=[texts[n] for n in places] if texts else (),
        references=[examples[n].answers for n in places],
        likelihoods=[likelihoods[n] for n in places] if likelihoods else (),
        part=part,
    )


def _by_prompt(task: Task[Any], examples: Sequence[Example[Any]], texts: Sequence[str]) -> Rows:
    """The rest of a plain text is one continuation of many, so it is no reference."""
    said: dict[str, str] = {}
    answers: dict[str, list[str]] = {}
    for example, text in zip(examples, texts, strict=True):
        key = key_of_input(example.input)
        said.setdefault(key, text)
        known = answers.setdefault(key, [])
        if example.part != _TEXT_PART:
            known.extend(example.answers)
    return Rows(
        task=task,
        places=range(len(said)),
        whole=len(said),
        texts=list(said.values()),
        # A reference counts once, in an order that does not depend on the rows.
        references=[sorted(set(known)) for known in answers.values()],
    )


def key_of_input(asked: Input) -> str:
    """Equal inputs have equal keys; unlike a hash, it also serves fields that are lists."""
    return repr(asked.model_dump())


def right_label(example: Example[Any], text: str) -> str:
    """What should have been said; where several labels are right, any of them is."""
    return _right(text, example.answers)


def _right(text: str, answers: Sequence[str]) -> str:
    return text if text in answers else answers[0]
