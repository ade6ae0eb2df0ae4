"""Application: a task bound to the engine. Call it, get a `Prediction`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from core.adapters.passport import OperatingPoint
from core.engine.constrained_copying import Passage
from core.engine.prompting import (
    Encoded,
    Prompt,
    answer_budget,
    encode_example,
    encode_prompt,
    mark_ids,
)
from core.engine.sampling import Sampling
from core.errors import BadInput, BadSetting
from core.task import Choice, Example, In, Span, Task

if TYPE_CHECKING:
    from core.engine.engine import Engine

_WINDOW = 16
"""Batches that are sorted by length together: enough to waste little padding."""

_OPEN_END = re.compile(r"[\s\ufffd]+\Z")

Item = TypeVar("Item")
Prepared = TypeVar("Prepared")
Found = TypeVar("Found")


class Prediction(BaseModel):
    """An answer: a label with its probabilities, a written text, or a span of the passage."""

    model_config = ConfigDict(frozen=True)

    text: str
    probabilities: dict[str, float] = {}
    span: tuple[int, int] | None = None
    """The place of the text in the passage, in characters."""
    dropped: int = 0
    """Characters of the input that did not fit into the context."""
    abstained: bool = False
    """Too unsure to be an answer, as the adapter's operating point says; `text` is the best guess."""


@dataclass(frozen=True)
class Likelihood:
    """What an answer cost: negative log-likelihood, tokens with end-of-text, UTF-8 bytes."""

    nats: float
    tokens: int
    bytes: int


class Application(Generic[In]):
    """`Application(task, engine, "sentiment")("What a day!")`; without adapter, the bare backbone."""

    def __init__(
        self,
        task: Task[In],
        engine: Engine,
        adapter: str | None = None,
        *,
        operating_point: OperatingPoint | None = None,
    ) -> None:
        self.task = task
        self.engine = engine
        self.adapter = adapter
        self._point = operating_point or OperatingPoint()
        self._tokenizer = engine.backbone.tokenizer
        self._budget = answer_budget(task, engine.backbone.context)
        self._marks = (
            mark_ids(task.answer.labels, self._tokenizer) if isinstance(task.answer, Choice) else []
        )

    def __call__(self, *text: str, **fields: Any) -> Prediction:
        """Answer one input: its first field as text, or its fields by name."""
        return next(self.predict([self.input(*text, **fields)]))

    @property
    def operating_point(self) -> OperatingPoint:
        """How its probabilities become a label."""
        return self._point

    @property
    def closed(self) -> bool:
        """Whether it answers with a label at once, rather than word by word."""
        return isinstance(self.task.answer, Choice)

    def input(self, *text: str, **fields: Any) -> In:
        """A checked input; `BadInput` says in one line what is wrong."""
        first = next(iter(self.task.input.model_fields))
        if len(text) > 1 or (text and first in fields):
            raise BadInput(f"Give {first!r} once; other fields go by name.")
        try:
            return self.task.input.model_validate(
                {**dict(zip([first], text, strict=False)), **fields}
            )
        except ValidationError as error:
            raise BadInput(_one_line(error)) from error

    def predict(
        self,
        inputs: Sequence[In],
        *,
        batch_size: int = 16,
        sampling: Sampling | None = None,
        max_new_tokens: int | None = None,
    ) -> Iterator[Prediction]:
        """The predictions in the order of the inputs, as they come."""

        def answer(batch: list[tuple[In, Prompt]]) -> list[Prediction]:
            return self._answer(batch, sampling, self._length(max_new_tokens))

        def prepare(asked: In) -> tuple[In, Prompt]:
            return asked, self._prompt(asked, self._length(max_new_tokens))

        return _batched(inputs, batch_size, prepare, lambda pair: len(pair[1].ids), answer)

    def dropped(self, asked: In, *, max_new_tokens: int | None = None) -> int:
        """How many characters of the input would not be read."""
        return self._prompt(asked, self._length(max_new_tokens)).dropped

    def stream(
        self,
        asked: In,
        sampling: Sampling | None = None,
        *,
        max_new_tokens: int | None = None,
    ) -> Iterator[str]:
        """The text so far, after each token that adds whole characters; a label comes at once."""
        if isinstance(self.task.answer, Choice):
            yield next(self.predict([asked])).text
            return
        length = self._length(max_new_tokens)
        prompt = self._prompt(asked, length)
        passage = self._passage(asked, prompt)
        shown: str | None = None
        for ids in self.engine.stream(
            self.adapter,
            prompt.ids,
            max_new_tokens=length,
            sampling=sampling,
            allowed=passage.allowed if passage else None,
        ):
            text = self._text(ids)
            if text != shown:
                yield text
            shown = text
        if shown is None:
            yield ""

    def log_likelihood(
        self, examples: Sequence[Example[In]], *, batch_size: int = 16
    ) -> Iterator[Likelihood]:
        """What the first answer of each example costs, given its input."""

        def weigh(batch: list[tuple[Example[In], Encoded]]) -> list[Likelihood]:
            nats = self.engine.log_likelihood(self.adapter, [row for _, row in batch])
            return [self._likelihood(*pair, cost) for pair, cost in zip(batch, nats, strict=True)]

        def prepare(example: Example[In]) -> tuple[Example[In], Encoded]:
            context = self.engine.backbone.context
            return example, encode_example(self.task, example, self._tokenizer, context)

        return _batched(examples, batch_size, prepare, lambda pair: len(pair[1].input_ids), weigh)

    def _likelihood(self, example: Example[In], row: Encoded, nats: float) -> Likelihood:
        ids = row.input_ids[row.answer_start :]
        whole = isinstance(self.task.answer, Choice) or ids[-1:] == [self._tokenizer.eos_token_id]
        text = example.answers[0] if whole else self._text(ids)
        return Likelihood(nats, len(ids), len(text.encode("utf-8")))

    def _length(self, max_new_tokens: int | None) -> int:
        """The tokens kept free for the answer; more than half the context is not to be had."""
        if max_new_tokens is None:
            return self._budget
        most = self.engine.backbone.context // 2
        if not 1 <= max_new_tokens <= most:
            raise BadSetting(f"max_new_tokens is {max_new_tokens}; it must be from 1 to {most}.")
        return max_new_tokens

    def _prompt(self, asked: In, length: int) -> Prompt:
        """The fitted prompt; blank text is refused where the task requires text."""
        for name, field in self.task.input.model_fields.items():
            value = getattr(asked, name)
            if field.is_required() and isinstance(value, str) and not value.strip():
                raise BadInput(f"{name!r} is empty. Give a text to {self.task.title.lower()}.")
        room = self.engine.backbone.context - length
        return encode_prompt(self.task, asked, self._tokenizer, room)

    def _answer(
        self, batch: list[tuple[In, Prompt]], sampling: Sampling | None, length: int
    ) -> list[Prediction]:
        prompts = [prompt.ids for _, prompt in batch]
        dropped = [prompt.dropped for _, prompt in batch]
        if isinstance(self.task.answer, Choice):
            rows = self.engine.rank(self.adapter, prompts, self._marks).tolist()
            labels = self.task.answer.labels
            return [self._choice(labels, row, cut) for row, cut in zip(rows, dropped, strict=True)]
        passages = [self._passage(asked, prompt) for asked, prompt in batch]
        rules = [passage.allowed if passage else None for passage in passages]
        written = self.engine.write(
            self.adapter, prompts, max_new_tokens=length, sampling=sampling, allowed=rules
        )
        return [
            self._written(ids, passage, cut)
            for ids, passage, cut in zip(written, passages, dropped, strict=True)
        ]

    def _choice(self, labels: tuple[str, ...], row: list[float], dropped: int) -> Prediction:
        return decide(dict(zip(labels, row, strict=True)), self._point, dropped=dropped)

    def _written(self, ids: list[int], passage: Passage | None, dropped: int) -> Prediction:
        if passage is None:
            return Prediction(text=self._text(ids), dropped=dropped)
        start, end = passage.place(ids)
        return Prediction(text=passage.text[start:end], span=(start, end), dropped=dropped)

    def _passage(self, asked: In, prompt: Prompt) -> Passage | None:
        """What was left of the passage after fitting, to copy from; None where there is none."""
        if not isinstance(self.task.answer, Span):
            return None
        text = self.task.answer.passage(asked)
        seen = text[: len(text) - prompt.dropped] if prompt.dropped < len(text) else text
        return Passage(seen, self._tokenizer) if seen.strip() else None

    def _text(self, ids: list[int]) -> str:
        """Without the joint, special tokens, and a character whose last bytes are still to come."""
        text = self._tokenizer.decode(
            ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return _OPEN_END.sub("", str(text)).strip()


def decide(raw: Mapping[str, float], point: OperatingPoint, *, dropped: int = 0) -> Prediction:
    """The label that an operating point makes of the raw probabilities of all labels."""
    probabilities = point.scaled(raw)
    rest = [label for label in raw if label != point.label or point.threshold is None]
    text = max(rest, key=lambda label: probabilities[label])
    if point.threshold is not None and probabilities[point.label] >= point.threshold:
        text = point.label
    return Prediction(
        text=text,
        probabilities=probabilities,
        dropped=dropped,
        abstained=probabilities[text] < point.abstain_below,
    )


def _batched(
    items: Sequence[Item],
    batch_size: int,
    prepare: Callable[[Item], Prepared],
    length: Callable[[Prepared], int],
    work: Callable[[list[Prepared]], list[Found]],
) -> Iterator[Found]:
    """`work` over batches of similar length; the results in the order of `items`."""
    if not isinstance(batch_size, int) or batch_size < 1:
        raise BadSetting(f"batch_size is {batch_size!r}; it must be a whole number above 0.")
    for start in range(0, len(items), batch_size * _WINDOW):
        rows = [prepare(item) for item in items[start : start + batch_size * _WINDOW]]
        order = sorted(range(len(rows)), key=lambda place: length(rows[place]))
        done: dict[int, Found] = {}
        for first in range(0, len(order), batch_size):
            places = order[first : first + batch_size]
            done.update(zip(places, work([rows[place] for place in places]), strict=True))
        yield from (done[place] for place in range(len(rows)))


def _one_line(error: ValidationError) -> str:
    """The first thing that is wrong, and with which field."""
    first = error.errors(include_url=False)[0]
    field = ".".join(map(str, first["loc"])) or "input"
    return f"{field!r}: {first['msg']}."
