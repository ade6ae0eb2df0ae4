"""A task bound to the engine: what is asked, what is answered."""

from __future__ import annotations

import math

import pytest
import torch

import apps
from core.adapters.lora import AdapterStack
from core.application import Application, Prediction
from core.engine.engine import Engine
from core.engine.prompting import encode_text
from core.engine.sampling import Sample
from core.errors import BadInput, BadSetting

PASSAGE = "The old mill by the river was built in 1820. 茶馆在老城的南门旁边。"


@pytest.fixture
def engine(backbone) -> Engine:
    stack = AdapterStack(backbone)
    stack.create("own", seed=0)
    source = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in stack.parameters("own"):
            parameter.copy_(torch.randn(parameter.shape, generator=source) * 0.2)
    return Engine(backbone, stack)


def application(engine: Engine, name: str) -> Application:
    return Application(apps.load(name), engine, "own")


def test_a_choice_has_a_probability_for_every_label(engine):
    found = application(engine, "sentiment")("I love this film.")
    assert set(found.probabilities) == {"negative", "positive"}
    assert math.isclose(sum(found.probabilities.values()), 1, abs_tol=1e-6)
    assert found.text == max(found.probabilities, key=found.probabilities.__getitem__)
    assert found.span is None


@pytest.mark.parametrize("name", apps.names())
def test_a_batch_answers_as_its_rows_alone_and_in_order(engine, name):
    task = application(engine, name)
    inputs = [*task.task.samples, *reversed(task.task.samples)]
    together = list(task.predict(inputs, batch_size=5, max_new_tokens=12))
    assert [found.text for found in together] == [
        next(task.predict([asked], max_new_tokens=12)).text for asked in inputs
    ]


def test_predictions_come_as_they_are_made(engine):
    task = application(engine, "sentiment")
    inputs = [task.input(f"number {number}") for number in range(40)]
    found = task.predict(inputs, batch_size=1)
    assert isinstance(next(found), Prediction)
    assert len(list(found)) == 39


def test_an_answer_from_a_passage_stands_where_its_span_says(engine):
    found = application(engine, "qa")("When was it built?", passage=PASSAGE)
    assert found.span is not None
    assert found.text == PASSAGE[slice(*found.span)] != ""


def test_an_answer_comes_from_the_part_of_a_long_passage_that_was_read(engine):
    found = application(engine, "qa")("When was it built?", passage=PASSAGE * 40)
    assert found.dropped > 0
    assert found.span is not None
    assert found.span[1] <= len(PASSAGE * 40) - found.dropped
    assert found.text == (PASSAGE * 40)[slice(*found.span)]


def test_a_question_without_a_passage_is_answered_freely(engine):
    found = application(engine, "qa")(
        "And now?",
        history=[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes"}],
    )
    assert found.span is None


def test_generation_begins_from_nothing_and_others_need_a_text(engine):
    assert isinstance(application(engine, "generation")("").text, str)
    for name in ("sentiment", "spam", "translation", "qa"):
        with pytest.raises(BadInput, match="is empty"):
            application(engine, name)(" \n ")


@pytest.mark.parametrize(
    ("text", "fields", "message"),
    [
        (("a", "b"), {}, "Give 'text' once"),
        (("a",), {"text": "b"}, "Give 'text' once"),
        ((), {}, "'text': Field required"),
        ((5,), {}, "'text': Input should be a valid string"),
        (("a",), {"direction": "fr-en"}, "'direction': Input should be 'auto'"),
        (("a",), {"colour": "red"}, "'colour': Extra inputs"),
        (("\ud800",), {}, "surrogate"),
    ],
)
def test_inputs_that_cannot_be_read_are_refused_in_one_line(engine, text, fields, message):
    with pytest.raises(BadInput, match=message) as caught:
        application(engine, "translation")(*text, **fields)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["\0", "😀" * 500, "<|endoftext|>", "\u202eabc", "a" * 100_000])
def test_odd_texts_get_an_answer_all_the_same(engine, text):
    assert application(engine, "spam")(text).text in ("ham", "spam")


def test_a_stream_ends_with_the_prediction_and_never_shows_half_a_character(engine):
    for name in apps.names():
        task = application(engine, name)
        for asked in task.task.samples:
            shown = list(task.stream(asked, max_new_tokens=30))
            assert shown[-1] == next(task.predict([asked], max_new_tokens=30)).text
            assert not any(text.endswith("\ufffd") for text in shown)


class Scripted:
    """Rules that make the engine write given ids, whatever its weights."""

    def __init__(self, ids: list[int], end: int) -> None:
        self.ids = [*ids, end]

    def __call__(self, written: list[int]) -> list[int]:
        return [self.ids[len(written)]]


def test_a_character_of_many_tokens_appears_whole(engine):
    task, tokenizer = application(engine, "generation"), engine.backbone.tokenizer
    ids = encode_text(" 龘😀x", tokenizer)
    rule = Scripted(ids, tokenizer.eos_token_id)
    steps = engine.stream("own", [0], max_new_tokens=20, allowed=rule)
    shown = list(dict.fromkeys(task._text(step) for step in steps))
    assert shown == ["", "龘", "龘😀", "龘😀x"]


def test_sampling_and_length_are_taken_from_the_caller(engine):
    task = application(engine, "generation")
    asked = task.input("I love")

    def write(seed: int) -> str:
        found = task.predict([asked], sampling=Sample(seed=seed), max_new_tokens=8)
        return next(found).text

    assert write(1) == write(1)
    assert len({write(seed) for seed in range(5)}) > 1
    assert list(task.stream(asked, Sample(seed=1), max_new_tokens=8))[-1] == write(1)


@pytest.mark.parametrize("length", [0, 129])
def test_an_answer_of_more_than_half_the_context_is_refused(engine, length):
    task = application(engine, "generation")
    with pytest.raises(BadSetting, match="from 1 to 128"):
        next(task.predict([task.input("I")], max_new_tokens=length))
    with pytest.raises(BadSetting, match="batch_size is 0"):
        next(task.predict([task.input("I")], batch_size=0))


def test_likelihoods_come_in_order_and_do_not_depend_on_the_batch(engine):
    task = application(engine, "generation")
    examples = [
        example
        for text in ("I love tea in the morning.", "今天的天气很好，我们去公园散步。", "Hi you")
        for example in task.task.read({"text": text})
    ]
    together = list(task.log_likelihood(examples))
    alone = [next(task.log_likelihood([example])) for example in examples]
    for one, other, example in zip(together, alone, examples, strict=True):
        assert one.nats == pytest.approx(other.nats, abs=1e-3)
        assert one.bytes == len(example.answers[0].encode())
        assert one.tokens == other.tokens > 1


def test_a_likelihood_counts_only_the_bytes_that_were_weighed(engine):
    task = application(engine, "generation")
    example = next(iter(task.task.read({"text": "The weather was cold. " * 200})))
    found = next(task.log_likelihood([example]))
    assert 0 < found.bytes < len(example.answers[0])
    assert found.tokens < engine.backbone.context
