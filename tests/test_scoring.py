"""A score asks each input once, tells parts apart and picks what is to be maximised."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest

from core.application import Prediction
from core.errors import BadData, BadSetting, Diverged
from core.task import Choice, Criterion, Example, Input, Span, Task, Text
from finetune.evaluation.metrics.deciding import selected
from finetune.evaluation.scoring import Score, answer, measure, score


class Asked(Input):
    text: str


NONE = Criterion(metric="")
BITS = Criterion(metric="bits_per_byte")
BOTH_WAYS = Criterion(metric="chrf", over_parts="mean")


def toy(answer: Any, metrics: tuple[str, ...], select_by: Criterion = NONE) -> Task[Asked]:
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
        select_by=select_by,
        samples=(),
        name="toy",
    )


MOOD = toy(Choice(labels=("bad", "good")), ("classification",), Criterion(metric="macro_f1"))
TRANSLATION = toy(Text(), ("translation",), BOTH_WAYS)
ANSWERS = toy(Span(passage=lambda input: ""), ("squad",), Criterion(metric="f1"))
STORY = toy(Text(), ("completion", "language_model"), BITS)


@dataclass
class Rule:
    """An application that answers by a rule, and notes what it was asked."""

    task: Task[Asked]
    rule: Callable[[str], str]
    asked: list[str] = field(default_factory=list)

    def predict(self, inputs: Sequence[Asked], *, batch_size: int = 16) -> Iterator[Prediction]:
        for asked in inputs:
            self.asked.append(asked.text)
            yield prediction(self.rule(asked.text))

    def log_likelihood(self, examples: Sequence[Example[Asked]]) -> Iterator[Any]:
        """One bit a byte."""
        for example in examples:
            length = len(example.answers[0].encode())
            yield SimpleNamespace(nats=length * math.log(2), tokens=length, bytes=length)


def answering(task: Task[Asked], rule: Callable[[str], str]) -> Any:
    return Rule(task, rule)


def prediction(text: str) -> Prediction:
    return Prediction(text=text, probabilities={}, span=None, dropped=0)


def example(text: str, *answers: str, part: str = "") -> Example[Asked]:
    return Example(input=Asked(text=text), answers=answers, part=part)


def test_each_input_is_asked_once_and_every_example_gets_its_prediction() -> None:
    application = answering(MOOD, lambda text: "good" if "love" in text else "bad")
    examples = [example("I love it", "good"), example("Dull", "bad"), example("I love it", "bad")]
    found, predictions = score(application, examples, data="rows.jsonl")
    assert application.asked == ["I love it", "Dull"]
    assert [prediction.text for prediction in predictions] == ["good", "bad", "good"]
    assert found.metrics["accuracy"] == pytest.approx(2 / 3)
    assert (found.task, found.data, found.rows) == ("toy", "rows.jsonl", 3)


def test_a_score_is_written_as_plain_json() -> None:
    found, _ = score(answering(MOOD, lambda text: "good"), [example("x", "good")])
    written = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert list(written) == ["task", "data", "rows", "metrics", "signatures"]
    assert all(type(value) is float for value in found.metrics.values())


def test_progress_counts_questions_and_likelihoods_to_the_end() -> None:
    told: list[tuple[int, int]] = []
    examples = [example("one", "two"), example("one", "three")]
    application = answering(STORY, str.upper)
    answer(application, examples, progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize("task", [MOOD, TRANSLATION, ANSWERS, STORY])
def test_no_examples_are_an_error(task: Task[Asked]) -> None:
    with pytest.raises(BadData, match="Nothing to score for 'toy'"):
        score(answering(task, str.upper), [])
    with pytest.raises(BadData, match="Nothing to score for 'toy'"):
        measure(task, [], [])


def test_directions_of_translation_have_their_own_values_and_tokenizers() -> None:
    english, chinese = "How are you today, my friend?", "今天天气很好，我们走吧。"
    examples = [
        example("a", chinese, part="en_zh"),
        example("b", english, part="zh_en"),
        example("c", english, part="zh_en"),
    ]
    said = [prediction(chinese), prediction(english), prediction("Nothing of the kind.")]
    metrics, signatures = measure(TRANSLATION, examples, said)
    assert metrics["bleu_en_zh"] == pytest.approx(100)
    assert 0 < metrics["bleu_zh_en"] < 100
    assert set(metrics) == set(signatures)
    assert set(metrics) == {"bleu_en_zh", "chrf_en_zh", "bleu_zh_en", "chrf_zh_en"}
    assert "tok:zh" in signatures["bleu_en_zh"]
    assert "tok:13a" in signatures["bleu_zh_en"]


def test_a_translation_without_a_direction_takes_the_language_of_its_answers() -> None:
    chinese = "今天天气很好，我们走吧。"
    metrics, _ = measure(TRANSLATION, [example("a", chinese)], [prediction(chinese)])
    assert metrics["bleu"] == pytest.approx(100)


def test_chat_answers_are_told_apart_from_answers_about_a_passage() -> None:
    examples = [example("a", "mill", "the old mill"), example("b", "Hello you", part="chat")]
    metrics, _ = measure(ANSWERS, examples, [prediction("The old mill!"), prediction("hello")])
    assert metrics == {
        "exact_match": 100.0,
        "f1": 100.0,
        "exact_match_chat": 0.0,
        "f1_chat": pytest.approx(200 / 3),
    }


def test_a_prompt_is_one_row_scored_against_all_its_completions() -> None:
    right = "The cat sat on the mat today."
    examples = [example("p", "No, nothing like it at all."), example("p", right)]
    metrics, signatures = measure(STORY, examples, [prediction(right)] * 2)
    assert metrics["bleu"] == pytest.approx(100)
    assert "nrefs:2" in signatures["bleu"]
    assert metrics["distinct_2"] == 1.0


def test_continued_texts_have_variety_and_likelihood_but_no_bleu() -> None:
    examples = [example("Once", "upon a time there was", part="text")]
    found, _ = score(answering(STORY, lambda text: "a b a b a b a b"), examples)
    assert set(found.metrics) == {"distinct_2", "repetition", "perplexity", "bits_per_byte"}
    assert found.metrics["bits_per_byte"] == pytest.approx(1)
    assert found.metrics["perplexity"] == pytest.approx(2)
    assert found.metrics["repetition"] == pytest.approx(3 / 5)


def test_a_score_does_not_depend_on_the_order_of_its_examples() -> None:
    examples = [
        example("p", "one two three four"),
        example("q", "今天天气很好", part="text"),
        example("p", "five six seven eight"),
    ]
    forward, _ = score(answering(STORY, lambda text: text * 3), examples)
    backward, _ = score(answering(STORY, lambda text: text * 3), examples[::-1])
    assert backward.metrics == pytest.approx(forward.metrics)
    assert backward.signatures == forward.signatures


def test_classification_of_a_task_without_labels_is_refused() -> None:
    with pytest.raises(BadSetting, match="needs labels"):
        measure(toy(Text(), ("classification",)), [example("a", "b")], [prediction("b")])


def test_a_value_that_is_not_a_number_never_becomes_a_score() -> None:
    with pytest.raises(Diverged, match="perplexity of 'toy' is nan"):
        Score("toy", "", 1, {"perplexity": math.nan}, {})


@pytest.mark.parametrize(
    ("criterion", "values", "value"),
    [
        (Criterion(metric="mcc"), {"mcc": 0.5, "accuracy": 0.9}, 0.5),
        (BITS, {"bits_per_byte": 2.0}, -2.0),
        (BOTH_WAYS, {"chrf_en_zh": 10.0, "chrf_zh_en": 20.0, "bleu_en_zh": 90.0}, 15.0),
        (BOTH_WAYS, {"chrf": 12.0}, 12.0),
        (Criterion(metric="recall_bad"), {"recall_bad": 0.3, "recall_good": 0.9}, 0.3),
    ],
)
def test_what_is_selected_is_always_to_be_maximised(
    criterion: Criterion, values: dict[str, float], value: float
) -> None:
    assert selected(replace(MOOD, select_by=criterion), values) == value


@pytest.mark.parametrize(
    ("values", "value"),
    [
        ({"f1": 40.0, "f1_chat": 80.0}, 40.0),
        ({"f1_chat": 80.0, "exact_match_chat": 1.0}, 80.0),
        ({"f1_chat": 80.0, "f1_tool": 40.0}, 60.0),
    ],
)
def test_rows_of_no_part_decide_and_the_parts_where_there_are_none(
    values: dict[str, float], value: float
) -> None:
    assert selected(ANSWERS, values) == value


@pytest.mark.parametrize("wanted", [Criterion(metric="macro_f2"), BOTH_WAYS])
def test_selecting_by_what_was_not_measured_names_what_was(wanted: Criterion) -> None:
    with pytest.raises(BadSetting, match="measured: macro_f1, accuracy"):
        selected(replace(MOOD, select_by=wanted), {"macro_f1": 0.5, "accuracy": 0.5})


def test_a_criterion_that_is_a_word_is_refused_with_the_way_out() -> None:
    with pytest.raises(BadSetting, match=r"Criterion\(metric='macro_f1'\)"):
        replace(MOOD, select_by="-bits_per_byte")


def test_a_metric_that_there_is_not_is_refused_with_the_nearest() -> None:
    with pytest.raises(BadSetting, match=r"'squat' is no metric; .* Did you mean 'squad'"):
        measure(toy(Text(), ("squat",)), [example("a", "b")], [prediction("b")])
