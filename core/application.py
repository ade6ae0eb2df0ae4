"""Application: a task bound to the engine. Call it, get a `Prediction`."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import ValidationError

from core.adapters.passport import OperatingPoint
from core.engine.constrained_copying import Passage
from core.engine.prompting import (
    Prompt,
    answer_budget,
    encode_example,
    encode_prompt,
    label_token_ids,
)
from core.engine.sampling import Greedy, Sampling
from core.engine.sequences import Handle, Request, Told, Written
from core.errors import BadInput, BadSetting
from core.prediction import Likelihood, Pending, Prediction, decide
from core.task import Choice, Example, In, Span, Task

if TYPE_CHECKING:
    from core.engine.engine import Engine

__all__ = ["Application", "Likelihood", "Pending", "Prediction", "decide"]

_WINDOW = 16
"""Batches that are sorted by length together: enough to waste little padding."""

_OPEN_END = re.compile(r"[\s\ufffd]+\Z")

Item = TypeVar("Item")
Found = TypeVar("Found")


@dataclass(frozen=True)
class _Row(Generic[Found]):
    """A request, and what the task makes of its answer."""

    request: Request
    read: Callable[[Written], Found]
    dropped: int = 0


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
        labels = task.answer.labels if isinstance(task.answer, Choice) else ()
        self._label_tokens = tuple(label_token_ids(labels, self._tokenizer)) if labels else ()

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
            raise BadInput(one_line(error)) from error

    def predict(
        self,
        inputs: Sequence[In],
        *,
        batch_size: int = 16,
        sampling: Sampling | None = None,
        max_new_tokens: int | None = None,
    ) -> Iterator[Prediction]:
        """The predictions in the order of the inputs, as they come."""
        length = self._length(max_new_tokens)
        return self._in_order(inputs, batch_size, lambda asked: self._row(asked, sampling, length))

    def submit(
        self,
        asked: In,
        sampling: Sampling | None = None,
        *,
        max_new_tokens: int | None = None,
        stop: tuple[str, ...] = (),
        logprobs: int | None = None,
        told: Told | None = None,
    ) -> Pending:
        """The answer on its way; `Overloaded` where too many wait. `told` hears of every token."""
        length = self._length(max_new_tokens)
        row = self._row(asked, sampling, length, stop=stop, logprobs=logprobs)
        handle = self.engine.submit(row.request, told)
        return Pending(handle=handle, dropped=row.dropped, read=row.read)

    def request(self, asked: In, *, max_new_tokens: int | None = None) -> Request:
        """What the engine is asked for one input."""
        return self._row(asked, None, self._length(max_new_tokens)).request

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
        yield from self.submit(asked, sampling, max_new_tokens=max_new_tokens).texts()

    def log_likelihood(
        self, examples: Sequence[Example[In]], *, batch_size: int = 16
    ) -> Iterator[Likelihood]:
        """What the first answer of each example costs, given its input."""
        context = self.engine.backbone.context

        def row(example: Example[In]) -> _Row[Likelihood]:
            encoded = encode_example(self.task, example, self._tokenizer, context)
            ids = encoded.input_ids[encoded.answer_start :]
            request = Request(
                prompt=tuple(encoded.input_ids[: encoded.answer_start]),
                adapter=self.adapter,
                targets=tuple(ids),
            )
            return _Row(request, lambda found: self._likelihood(example, ids, found.nats))

        return self._in_order(examples, batch_size, row)

    def _likelihood(self, example: Example[In], ids: list[int], nats: float) -> Likelihood:
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

    def _row(
        self,
        asked: In,
        sampling: Sampling | None,
        length: int,
        *,
        stop: tuple[str, ...] = (),
        logprobs: int | None = None,
    ) -> _Row[Prediction]:
        """The one place where a prompt is encoded, once for each request."""
        prompt = self._prompt(asked, length)
        passage = self._passage(asked, prompt)
        request = Request(
            prompt=tuple(prompt.ids),
            adapter=self.adapter,
            max_new_tokens=length,
            sampling=sampling or Greedy(),
            allowed=passage.allowed if passage else None,
            stop=stop,
            logprobs=logprobs,
            label_tokens=self._label_tokens,
        )
        return _Row(
            request, lambda found: self._read(found, passage, prompt.dropped, stop), prompt.dropped
        )

    def _read(
        self, found: Written, passage: Passage | None, dropped: int, stop: tuple[str, ...]
    ) -> Prediction:
        more: dict[str, Any] = {
            "dropped": dropped,
            "finish_reason": found.finish or "stop",
            "prompt_tokens": found.prompt_tokens,
            "completion_tokens": found.completion_tokens,
        }
        if isinstance(self.task.answer, Choice) and found.probabilities:
            raw = dict(zip(self.task.answer.labels, found.probabilities, strict=True))
            return decide(raw, self._point, **more)
        if passage is not None and found.finish:
            start, end = passage.place(list(found.ids))
            return Prediction(text=passage.text[start:end], span=(start, end), **more)
        text = self._text(list(found.ids))
        return Prediction(text=_before(text, stop, whole=bool(found.finish)), **more)

    def _in_order(
        self,
        items: Sequence[Item],
        batch_size: int,
        row: Callable[[Item], _Row[Found]],
    ) -> Iterator[Found]:
        """The answers in the order of `items`; rows of similar length are asked together."""
        if not isinstance(batch_size, int) or batch_size < 1:
            raise BadSetting(f"batch_size is {batch_size!r}; it must be a whole number above 0.")
        for start in range(0, len(items), batch_size * _WINDOW):
            rows = [row(item) for item in items[start : start + batch_size * _WINDOW]]
            order = sorted(range(len(rows)), key=lambda place: _length(rows[place].request))
            ordered = [rows[place] for place in order]
            done = dict(zip(order, self._answers(ordered, batch_size), strict=True))
            yield from (done[place] for place in range(len(rows)))

    def _answers(self, rows: Sequence[_Row[Found]], batch_size: int) -> Iterator[Found]:
        """The answers in the order of `rows`; while one batch is read, the next one is computed."""
        flying: deque[tuple[_Row[Found], Handle]] = deque()
        try:
            for first in range(0, len(rows), batch_size):
                batch = rows[first : first + batch_size]
                handles = self.engine.submit_all([row.request for row in batch])
                flying.extend(zip(batch, handles, strict=True))
                while len(flying) > batch_size:
                    yield _result(*flying.popleft())
            while flying:
                yield _result(*flying.popleft())
        finally:
            for _, handle in flying:
                handle.cancel()

    def _passage(self, asked: In, prompt: Prompt) -> Passage | None:
        """What was left of the passage after fitting, to copy from; None where there is none."""
        if not isinstance(self.task.answer, Span):
            return None
        text = self.task.answer.passage(asked)
        seen = text[: len(text) - prompt.dropped] if prompt.dropped < len(text) else text
        return Passage(seen, self._tokenizer) if seen.strip() else None

    def _text(self, ids: list[int]) -> str:
        """Without the separator, special tokens, and a character whose last bytes are still to come."""
        text = self._tokenizer.decode(
            ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return _OPEN_END.sub("", str(text)).strip()


def _result(row: _Row[Found], handle: Handle) -> Found:
    return row.read(handle.result())


def _length(request: Request) -> int:
    return len(request.prompt) + len(request.targets)


def _before(text: str, stop: tuple[str, ...], *, whole: bool) -> str:
    """Without the first stop and what follows; while more may come, without what may begin one."""
    found = [place for mark in stop if (place := text.find(mark)) >= 0]
    if found:
        return text[: min(found)]
    for mark in () if whole else stop:
        begun = next((n for n in range(len(mark) - 1, 0, -1) if text.endswith(mark[:n])), 0)
        text = text[: len(text) - begun]
    return text


def one_line(error: ValidationError) -> str:
    """The first thing that is wrong, and with which field."""
    first = error.errors(include_url=False)[0]
    field = ".".join(map(str, first["loc"])) or "input"
    return f"{field!r}: {first['msg']}."
