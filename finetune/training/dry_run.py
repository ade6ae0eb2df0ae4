"""What will be learned, shown before the first step: rows, lengths, cuts, time and memory."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.application import Application
from core.backbone import Backbone
from core.engine.engine import Engine
from core.engine.prompting import Encoded, encode_example, first_token
from core.errors import BadData, TooLong
from core.task import Choice, Example, In, Task
from finetune.data.examples import Reading
from finetune.settings import FinetuneSettings
from finetune.training import sft
from finetune.training.collation import Plan, answer_loss
from finetune.training.memory import Memory, forecast, must_fit

_PERCENTILES = (50, 90, 99, 100)
_PROBES = 3
_LONG_CONTEXT = 2048
"""Above it a training row takes a quarter of the context unless `max_length` says otherwise."""


@dataclass(frozen=True, kw_only=True)
class Preview:
    """Counts and forecasts; `lines` is what a person reads."""

    rows: int
    problems: tuple[str, ...]
    examples: int
    validation: int
    token_lengths: dict[int, int]
    """Percentile → tokens of prompt and answer."""
    longest: int
    """The most tokens that a row may have."""
    bound: str
    """The key or the fact that sets it."""
    shortened: int
    """Rows whose prompt lost characters."""
    cut: int
    """Rows whose answer lost its end."""
    behind: int
    """Examples whose answer stood behind what fits: their passage was cut around it."""
    unlearnable: int
    """Examples with no answer token left."""
    ends: float
    """Share of the answers that end in end-of-text; labels need none."""
    learning_rate: float
    steps: int
    seconds: float
    memory: Memory
    sample: str

    def lines(self) -> list[str]:
        """One fact a line."""
        lengths = ", ".join(f"{p} %: {n}" for p, n in self.token_lengths.items())
        return [
            f"rows: {self.rows:,} ({len(self.problems)} left out)",
            *(f"  left out: {problem}" for problem in self.problems[:10]),
            f"examples: {self.examples:,} to learn, {self.validation:,} to pick the checkpoint",
            f"tokens of an example, by percentile: {lengths}",
            f"rows may have {self.longest:,} tokens ({self.bound}): {self.shortened:,} prompts are "
            f"shortened to that, {self.cut:,} answers cut, {self.unlearnable:,} left with nothing to learn",
            *([f"answers behind what fits, cut around: {self.behind}"] if self.behind else []),
            f"answers that end in end-of-text: {self.ends:.0%}",
            f"learning rate: {self.learning_rate:g}",
            f"steps: {self.steps:,}, about {_duration(self.seconds)}",
            f"memory at the peak: {self.memory}",
            f"the first example, the answer in brackets: {self.sample}",
        ]


def encode(
    task: Task[In], examples: Sequence[Example[In]], backbone: Backbone, settings: FinetuneSettings
) -> list[Encoded]:
    """Token rows of all examples, each in at most `row_length` tokens.

    One whose question alone is longer has nothing to learn: `learnable` leaves it out.
    """
    tokenizer, context = backbone.tokenizer, row_length(backbone, settings)
    nothing = Encoded([first_token(tokenizer)], answer_start=1)

    def encoded(example: Example[In]) -> Encoded:
        try:
            return encode_example(task, example, tokenizer, context, around_answer=True)
        except TooLong:
            return nothing

    return [encoded(example) for example in examples]


def row_length(backbone: Backbone, settings: FinetuneSettings) -> int:
    """The most tokens of a training row: never more than a batch or the context holds."""
    return _bound(backbone, settings)[0]


def _bound(backbone: Backbone, settings: FinetuneSettings) -> tuple[int, str]:
    """The most tokens of a training row, and what sets it."""
    context = backbone.context
    bounds = [(context, "the backbone's context"), (settings.max_batch_tokens, "max_batch_tokens")]
    if settings.max_length:
        bounds.append((settings.max_length, "max_length"))
    elif context > _LONG_CONTEXT:
        bounds.append((context // 4, "a quarter of the context; change it with max_length"))
    return min(bounds)


def learnable(rows: Sequence[Encoded], tolerate: float) -> list[Encoded]:
    """The rows with an answer; raises `BadData` where more than the share `tolerate` has none."""
    kept = [row for row in rows if len(row.input_ids) > row.answer_start]
    lost = len(rows) - len(kept)
    if not kept or lost > tolerate * len(rows):
        raise BadData(
            f"{lost} of {len(rows)} rows have nothing to learn after fitting into the context. "
            "Shorten the prompts, or take a backbone with a longer context."
        )
    return kept


def preview(
    task: Task[In],
    reading: Reading[In],
    validation: Sequence[Example[In]],
    rows: Sequence[Encoded],
    engine: Engine,
    settings: FinetuneSettings,
) -> Preview:
    """Look at everything, and time a few batches forward and backward on a trial adapter."""
    backbone = engine.backbone
    batches = sft.plan(learnable(rows, settings.max_bad_fraction), backbone, settings)
    steps = sft.steps_of(settings, batches)
    lengths = np.array([len(row.input_ids) for row in rows])
    longest, bound = _bound(backbone, settings)
    needed = forecast(engine, batches, settings)
    must_fit(needed, engine)
    return Preview(
        rows=reading.rows,
        problems=tuple(map(str, reading.problems)),
        examples=len(rows),
        validation=len(validation),
        token_lengths={p: int(np.percentile(lengths, p)) for p in _PERCENTILES},
        longest=longest,
        bound=bound,
        shortened=sum(row.dropped > 0 for row in rows),
        cut=_cut(task, rows, backbone),
        behind=sum(row.behind for row in rows),
        unlearnable=sum(len(row.input_ids) <= row.answer_start for row in rows),
        ends=_ends(task, rows, backbone),
        learning_rate=settings.learning_rate,
        steps=steps,
        seconds=_forecast(task, validation, engine, batches, settings, steps),
        memory=needed,
        sample=_shown(batches.rows[0], backbone),
    )


def _ends(task: Task[Any], rows: Sequence[Encoded], backbone: Backbone) -> float:
    if isinstance(task.answer, Choice):
        return 0.0
    end = backbone.tokenizer.eos_token_id
    return sum(row.input_ids[-1] == end for row in rows) / len(rows)


def _cut(task: Task[Any], rows: Sequence[Encoded], backbone: Backbone) -> int:
    """Written answers end in end-of-text unless they were cut."""
    if isinstance(task.answer, Choice):
        return 0
    return sum(row.input_ids[-1] != backbone.tokenizer.eos_token_id for row in rows)


def _forecast(
    task: Task[In],
    validation: Sequence[Example[In]],
    engine: Engine,
    batches: Plan,
    settings: FinetuneSettings,
    steps: int,
) -> float:
    """Seconds of the whole run: steps, and evaluations on a few rows scaled up."""
    engine.adapters.create("trial", settings.lora, seed=0)
    try:
        with engine.adapters.training("trial"), sft.operations(engine.backbone, batches.rows):
            step = statistics.median(_timed(engine, batches, n) for n in range(_PROBES))
        few = validation[:8]
        start = time.perf_counter()
        sft.validate(Application(task, engine, "trial"), few)
        evaluation = (time.perf_counter() - start) / len(few) * len(validation)
    finally:
        engine.adapters.delete("trial")
    every = min(settings.eval_steps, batches.per_epoch)
    step *= settings.gradient_accumulation_steps
    return steps * step + (steps // every + 1) * evaluation


def _timed(engine: Engine, batches: Plan, number: int) -> float:
    batch = batches.at(number)
    start = time.perf_counter()
    answer_loss(engine.adapters.model, batch)[0].backward()
    return time.perf_counter() - start


def _shown(row: Encoded, backbone: Backbone) -> str:
    decode = backbone.tokenizer.decode
    prompt = str(decode(row.input_ids[: row.answer_start]))
    answer = str(decode(row.input_ids[row.answer_start :]))
    return repr(f"{prompt[-300:]}⟦{answer[:300]}⟧")


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
