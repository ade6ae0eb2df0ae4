"""Baselines: the majority label, the trivial answer, the frequencies of bytes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from core.errors import BadData, BadSetting
from core.task import Choice, Example, Input, MetricName, Task, Text
from finetune.baselines import baseline_score, byte_entropy, majority


class Asked(Input):
    text: str


def copy_source(input: Asked) -> str:
    return input.text


def toy(
    answer: Any, metrics: tuple[MetricName, ...], trivial: Callable[[Asked], str] | None = None
) -> Task[Asked]:
    return Task(
        title="Toy",
        description="A toy.",
        input=Asked,
        columns=(("text",),),
        sources=(),
        read=lambda row: (),
        prompt=lambda input: input.text,
        answer=answer,
        metrics=metrics,
        select_by="",
        samples=(),
        trivial=trivial,
        name="toy",
    )


MOOD = toy(Choice(labels=("bad", "good")), ("classification",))
TRANSLATION = toy(Text(), ("translation",), copy_source)
STORY = toy(Text(), ("completion", "language_model"), copy_source)


def example(text: str, answer: str, part: str = "") -> Example[Asked]:
    return Example(input=Asked(text=text), answers=(answer,), part=part)


def test_the_majority_is_that_of_the_training_examples() -> None:
    train = [example("a", "good"), example("b", "good"), example("c", "bad")]
    name, score = baseline_score(MOOD, train, [example("d", "bad"), example("e", "good")])
    assert name == "majority"
    assert score.metrics["recall_good"] == 1.0
    assert score.metrics["accuracy"] == 0.5
    assert score.metrics["mcc"] == 0.0


def test_of_equally_frequent_labels_the_first_one_is_taken() -> None:
    assert majority(("bad", "good"), [example("a", "good"), example("b", "bad")]) == "bad"


def test_a_majority_needs_training_examples() -> None:
    with pytest.raises(BadData, match="No training examples"):
        baseline_score(MOOD, [], [example("d", "bad")])


def test_the_trivial_answer_is_given_to_each_input_under_its_own_name() -> None:
    same = "The very same sentence here."
    examples = [example(same, same, "zh_en"), example("今天", "today", "zh_en")]
    name, score = baseline_score(TRANSLATION, [], examples, data="rows.jsonl")
    assert name == "copy source"
    assert 0 < score.metrics["chrf_zh_en"] < 100
    assert score.data == "rows.jsonl"
    assert score.rows == 2


def test_a_language_model_is_compared_with_byte_frequencies_and_has_no_perplexity() -> None:
    _, score = baseline_score(STORY, [example("x", "aaaa")], [example("y", "aaaa")])
    assert set(score.metrics) == {"distinct_2", "repetition", "bleu", "bits_per_byte"}
    assert 0 < score.metrics["bits_per_byte"] < 8


def test_untrained_byte_frequencies_need_the_bits_of_all_symbols() -> None:
    assert byte_entropy([], ["好"]) == pytest.approx(4 * math.log2(257) / 3)


def test_byte_frequencies_are_counted_as_by_hand() -> None:
    bits = 2 * -math.log2(3 / 260) - math.log2(2 / 260)
    assert byte_entropy(["aa"], ["aa"]) == pytest.approx(bits / 2)


def test_more_alike_training_texts_need_fewer_bits() -> None:
    near, far = byte_entropy(["the mill " * 9], ["a mill"]), byte_entropy(["磨坊" * 9], ["a mill"])
    assert near < far


def test_empty_answers_have_no_byte_entropy() -> None:
    with pytest.raises(BadData, match="every answer is empty"):
        byte_entropy(["a"], [""])


def test_a_task_without_a_trivial_answer_is_told_how_to_get_one() -> None:
    with pytest.raises(BadSetting, match="Give it `trivial`"):
        baseline_score(toy(Text(), ("translation",)), [], [example("a", "b")])


@pytest.mark.parametrize("task", [MOOD, TRANSLATION])
def test_no_examples_are_an_error(task: Task[Asked]) -> None:
    with pytest.raises(BadData, match="Nothing to score"):
        baseline_score(task, [example("a", "good")], [])
