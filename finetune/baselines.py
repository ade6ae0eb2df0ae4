"""Answers that cost nothing: the scores that a model has to beat."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from core.application import Prediction
from core.errors import BadData, BadSetting
from core.task import Choice, Example, In, Task
from finetune.scoring import Score, measure

_BYTES = 256
_END = _BYTES
"""Stands for end-of-text, which a model has to predict as well."""


def baseline_score(
    task: Task[In],
    train_examples: Sequence[Example[In]],
    examples: Sequence[Example[In]],
    *,
    data: str = "",
) -> tuple[str, Score]:
    """What was done, and its score: the majority label, or `task.trivial` for each input.

    Where a language model is measured, `bits_per_byte` is that of the frequencies of bytes in the
    training answers. Raises `BadSetting` for a task without a trivial answer.
    """
    name, texts = _answers(task, train_examples, examples)
    predictions = [Prediction(text=text, probabilities={}, span=None, dropped=0) for text in texts]
    metrics, signatures = measure(task, examples, predictions)
    if "language_model" in task.metrics:
        metrics["bits_per_byte"] = byte_entropy(_first(train_examples), _first(examples))
    return name, Score(task.name, data, len(examples), metrics, signatures)


def majority(labels: Sequence[str], train_examples: Sequence[Example[In]]) -> str:
    """The label that most training examples have; of equals, the first one in `labels`."""
    counts = Counter(_first(train_examples))
    if not counts:
        raise BadData("No training examples to take the most frequent label from.")
    return max(labels, key=lambda label: counts[label])


def byte_entropy(train_texts: Sequence[str], texts: Sequence[str]) -> float:
    """Bits per byte of `texts` under the byte frequencies of `train_texts`, add-one smoothed."""
    counts = Counter(symbol for text in train_texts for symbol in _symbols(text))
    whole = counts.total() + _BYTES + 1
    found = Counter(symbol for text in texts for symbol in _symbols(text))
    length = found.total() - found[_END]
    if not length:
        raise BadData("Nothing to score: every answer is empty. Give at least one with a text.")
    bits = (-math.log2((counts[symbol] + 1) / whole) * found[symbol] for symbol in found)
    return math.fsum(bits) / length


def _answers(
    task: Task[In], train_examples: Sequence[Example[In]], examples: Sequence[Example[In]]
) -> tuple[str, list[str]]:
    if isinstance(task.answer, Choice):
        return "majority", [majority(task.answer.labels, train_examples)] * len(examples)
    if task.trivial is None:
        raise BadSetting(
            f"The task {task.name!r} has no baseline. Give it `trivial`: "
            "a function that answers an input at no cost, such as its first sentence."
        )
    name = task.trivial.__name__.strip("_").replace("_", " ")
    return name, [task.trivial(example.input) for example in examples]


def _first(examples: Sequence[Example[In]]) -> list[str]:
    return [example.answers[0] for example in examples]


def _symbols(text: str) -> list[int]:
    return [*text.encode("utf-8"), _END]
