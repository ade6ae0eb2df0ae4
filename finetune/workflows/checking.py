"""`quintet data check`: every row that cannot be used, and what the others hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.engine.prompting import encode_example
from core.language import language_of
from core.task import Choice, Example, Task
from finetune.data import has_split
from finetune.data.examples import Reading, read_examples
from finetune.data.inspection import missing_labels, remarks, swapped, untranslated

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_TOLERATED = 0.01
_GOOD = "good to learn from"
_SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Check:
    """What there is to say, and whether the data can be learned from as it is."""

    lines: list[str]
    good: bool


def check(
    task: Task[Any],
    source: str,
    tokenizer: PreTrainedTokenizerBase,
    context: int,
    *,
    split: str = "train",
    columns_map: Mapping[str, str] | None = None,
) -> Check:
    """Read everything once; raises only for files that cannot be read at all."""
    reading = read_examples(task, [source], split=split, columns_map=columns_map, tolerate=1.0)
    bad = len(reading.problems)
    lines = [str(problem) for problem in reading.problems]
    lines.append(f"{reading.rows} rows, {bad} cannot be used ({bad / reading.rows:.1%})")
    lines += [*_other_splits(task, source, split, columns_map), *remarks(task, reading)]
    if reading.by_row:
        lines += _contents(task, reading) + _lengths(task, reading.examples, tokenizer, context)
    verdict = _verdict(task, reading)
    return Check([*lines, verdict], verdict == _GOOD)


def _verdict(task: Task[Any], reading: Reading[Any]) -> str:
    most = _TOLERATED * reading.rows
    if len(reading.problems) > most or not reading.by_row:
        return f"too many bad rows: at most {_TOLERATED:.0%}"
    if len(swapped(task, reading)) > most:
        return f"too many rows look swapped: at most {_TOLERATED:.0%}"
    if len(untranslated(task, reading)) > most:
        return f"too many rows are not translated: at most {_TOLERATED:.0%}"
    if missing := missing_labels(task, reading):
        return f"not alone: no row has the label {missing[0]!r}"
    return _GOOD


def _other_splits(
    task: Task[Any], source: str, split: str, columns_map: Mapping[str, str] | None
) -> list[str]:
    """How many rows of a folder are not looked at here, such as those to score."""
    if not Path(source).is_dir():
        return []
    others = [name for name in _SPLITS if name != split and has_split(source, name)]
    return [
        f"split {name}: {reading.rows} rows, {len(reading.problems)} cannot be used"
        for name in others
        for reading in [
            read_examples(task, [source], split=name, columns_map=columns_map, tolerate=1.0)
        ]
    ]


def _contents(task: Task[Any], reading: Reading[Any]) -> list[str]:
    examples = reading.examples
    languages: Counter[str] = Counter(
        language_of(task.prompt(example.input)) for example in examples
    )
    twice = len(examples) - len({repr(example.input) for example in examples})
    lines = [f"{len(examples)} examples: {_counted(languages)}; {twice} inputs occur before"]
    parts = Counter(example.part for example in examples if example.part)
    if parts:
        lines.append(f"parts: {_counted(parts)}")
    if isinstance(task.answer, Choice):
        lines.append(f"labels: {_counted(Counter(example.answers[0] for example in examples))}")
    return lines


def _lengths(
    task: Task[Any],
    examples: Sequence[Example[Any]],
    tokenizer: PreTrainedTokenizerBase,
    context: int,
) -> list[str]:
    rows = [
        encode_example(task, example, tokenizer, context, around_answer=True)
        for example in examples
    ]
    lengths = np.array([len(row.input_ids) for row in rows])
    said = ", ".join(f"{p} %: {int(np.percentile(lengths, p))}" for p in (50, 90, 99, 100))
    cut = sum(row.dropped > 0 for row in rows)
    lines = [f"tokens, by percentile: {said}", f"{cut} are shortened to fit {context} tokens"]
    if behind := sum(row.behind for row in rows):
        lines.append(
            f"{behind} have their answer behind what fits: their passage is cut around it to be "
            "learned, and cannot be answered in serving"
        )
    return lines


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.most_common())
