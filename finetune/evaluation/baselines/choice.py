"""Answers that cost nothing: the systems that a model has to beat, on the same rows.

Which ones there are follows from the kind of answer and the metrics of the task.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from core.application import Likelihood, Prediction
from core.errors import BadData
from core.task import Choice, Example, In, Span, Task
from finetune.evaluation.answers import Answers
from finetune.evaluation.baselines import dictionary, tfidf
from finetune.evaluation.baselines.compression import xz
from finetune.evaluation.baselines.ngrams import five_gram, unigram
from finetune.evaluation.baselines.overlap import Place, best_clause

Predictions = Sequence[Prediction]


def baselines(
    task: Task[In],
    train: Sequence[Example[In]],
    examples: Sequence[Example[In]],
    *,
    seed: int = 0,
) -> list[Answers]:
    """What costs nothing, for the kind of answer and the metrics of the task; in the order of `examples`.

    What cannot be had is left out: the trivial answer of a task that has none, and what learns from
    training examples where there are none. Raises `BadData` for no examples.
    """
    if not examples:
        raise BadData(f"Nothing to answer for {task.name!r}: there are no examples.")
    if isinstance(task.answer, Choice):
        found = [*_choosers(task, task.answer.labels, train, examples, seed)]
    else:
        found = [*_writers(task, train, examples, seed)]
    if "language_model" in task.metrics and train:
        found += _weighers(_first(train), _first(examples), seed)
    return found


def _choosers(
    task: Task[In],
    labels: Sequence[str],
    train: Sequence[Example[In]],
    examples: Sequence[Example[In]],
    seed: int,
) -> Iterator[Answers]:
    if not train:
        return
    yield _answers("majority", lambda: _majority(labels, train, len(examples)), learns=True)
    learned = [(_text(task, example.input), example.answers[0]) for example in train]
    asked = [_text(task, example.input) for example in examples]
    found = _answers(
        "TF-IDF",
        lambda: [
            _chosen(labels, row) for row in tfidf.probabilities(labels, learned, asked, seed=seed)
        ],
        learns=True,
    )
    if found.predictions:
        yield found


def _writers(
    task: Task[In], train: Sequence[Example[In]], examples: Sequence[Example[In]], seed: int
) -> Iterator[Answers]:
    inputs = [example.input for example in examples]
    if task.trivial is not None:
        yield _answers(_trivial_name(task), lambda: [_trivial(task, asked) for asked in inputs])
    if "translation" in task.metrics and train:
        yield _answers(
            "word by word", lambda: _word_by_word(task, train, inputs, seed), learns=True
        )
    if any(_passage(task, asked).strip() for asked in inputs):
        yield _answers("best overlap", lambda: [_best_overlap(task, asked) for asked in inputs])


def _weighers(train: Sequence[str], texts: Sequence[str], seed: int) -> Iterator[Answers]:
    yield _weighed("unigram", lambda: unigram(train, texts))
    yield _weighed("5-gram (Kneser–Ney)", lambda: five_gram(train, texts, seed=seed))
    yield _weighed("xz", lambda: xz(train, texts, seed=seed))


def _answers(name: str, write: Callable[[], Predictions], *, learns: bool = False) -> Answers:
    start = time.perf_counter()
    found = tuple(write())
    seconds = time.perf_counter() - start
    return Answers(name=name, kind="baseline", predictions=found, seconds=seconds, learns=learns)


def _weighed(name: str, weigh: Callable[[], tuple[Likelihood, ...]]) -> Answers:
    start = time.perf_counter()
    found = weigh()
    seconds = time.perf_counter() - start
    return Answers(name=name, kind="baseline", likelihoods=found, seconds=seconds, learns=True)


def _majority(labels: Sequence[str], train: Sequence[Example[In]], rows: int) -> Predictions:
    return [_chosen(labels, _shares(labels, train))] * rows


def _shares(labels: Sequence[str], train: Sequence[Example[In]]) -> dict[str, float]:
    """The share of each label in the training examples."""
    counts = Counter(_first(train))
    whole = sum(counts[label] for label in labels)
    if not whole:
        raise BadData("No training examples to take the most frequent label from.")
    return {label: counts[label] / whole for label in labels}


def _chosen(labels: Sequence[str], shares: dict[str, float]) -> Prediction:
    text = max(labels, key=lambda label: shares[label])
    return Prediction(text=text, probabilities=shares)


def _trivial_name(task: Task[Any]) -> str:
    """The name of the function, in words."""
    return getattr(task.trivial, "__name__", "trivial").strip("_").replace("_", " ")


def _trivial(task: Task[In], asked: In) -> Prediction:
    """Nothing where the task has no trivial answer; with its place where it stands in the passage."""
    text = task.trivial(asked) if task.trivial is not None else ""
    start = _passage(task, asked).find(text) if text else -1
    return Prediction(text=text, span=(start, start + len(text)) if start >= 0 else None)


def _word_by_word(
    task: Task[In], train: Sequence[Example[In]], inputs: Sequence[In], seed: int
) -> Predictions:
    pairs = [(_text(task, example.input), example.answers[0]) for example in train]
    known = dictionary.learn(pairs, seed=seed)
    return [Prediction(text=known.translate(_text(task, asked))) for asked in inputs]


def _best_overlap(task: Task[In], asked: In) -> Prediction:
    """The trivial answer where there is no passage."""
    passage = _passage(task, asked)
    place: Place | None = best_clause(passage, _question(asked, passage))
    if place is None:
        return _trivial(task, asked)
    return Prediction(text=passage[slice(*place)], span=place)


def _question(asked: In, passage: str) -> str:
    """The first field of the input that is not the passage."""
    fields = (str(getattr(asked, name)) for name in type(asked).model_fields)
    return next((text for text in fields if text != passage), "")


def _passage(task: Task[In], asked: In) -> str:
    return task.answer.passage(asked) if isinstance(task.answer, Span) else ""


def _text(task: Task[In], asked: In) -> str:
    return str(getattr(asked, task.shorten, ""))


def _first(examples: Sequence[Example[In]]) -> list[str]:
    return [example.answers[0] for example in examples]
