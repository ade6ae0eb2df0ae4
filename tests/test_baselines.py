"""Baselines: what costs nothing, by the kind of answer and the metrics of the task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from core.errors import BadData
from core.task import Choice, Criterion, Example, Input, Span, Task, Text
from finetune.evaluation.answers import Answers
from finetune.evaluation.baselines import baselines


class Asked(Input):
    text: str
    passage: str = ""


def copy_source(input: Asked) -> str:
    return input.text


def toy(
    answer: Any, metrics: tuple[str, ...], trivial: Callable[[Asked], str] | None = None
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
        select_by=Criterion(metric=""),
        samples=(),
        trivial=trivial,
        name="toy",
    )


MOOD = toy(Choice(labels=("bad", "good")), ("classification",))
TRANSLATION = toy(Text(), ("translation",), copy_source)
STORY = toy(Text(), ("completion", "language_model"), copy_source)
READING = toy(Span(passage=lambda asked: asked.passage), ("squad",), copy_source)
MILL = "The old mill is a museum, and it was built in 1,820. Today Ann sells tea there."
TEA = "茶馆在老城的南门旁边，每天早上六点开门。老板姓王！"
MOODS = [
    *(
        ("a warm and kind film", "good"),
        ("kind words, warm soup", "good"),
        ("很好吃，很热情", "good"),
    ),
    *(("a cold and rude film", "bad"), ("rude words, cold soup", "bad"), ("很难吃，很冷淡", "bad")),
]
PAIRS = [
    *(
        ("the cat sleeps.", "猫睡觉。"),
        ("the dog sleeps.", "狗睡觉。"),
        ("the dog eats.", "狗吃饭。"),
    ),
    *(
        ("the cat eats.", "猫吃饭。"),
        ("I see the cat.", "我看猫。"),
        ("I see the dog.", "我看狗。"),
    ),
]


def example(text: str, answer: str, part: str = "") -> Example[Asked]:
    return Example(input=Asked(text=text), answers=(answer,), part=part)


def both_ways() -> list[Example[Asked]]:
    pairs = [*PAIRS, *(pair[::-1] for pair in PAIRS)]
    return [example(text, answer, "en_zh" if text.isascii() else "zh_en") for text, answer in pairs]


def reading(passage: str, question: str, answer: str = "x") -> Example[Asked]:
    return Example(input=Asked(text=question, passage=passage), answers=(answer,))


def named(found: list[Answers], name: str) -> Answers:
    return next(one for one in found if one.name == name)


def texts(found: Answers) -> list[str]:
    return [prediction.text for prediction in found.predictions]


TRAIN_MOODS = [example(*mood) for mood in MOODS]
STORIES = [example(f"Story {name}", f"{name} sees the mill. " * 4) for name in ("Ann", "Bo", "Cy")]
CASES = [
    (MOOD, TRAIN_MOODS, ["majority", "TF-IDF"]),
    (TRANSLATION, both_ways(), ["copy source", "word by word"]),
    (
        READING,
        [reading(MILL, "Who sells tea?"), reading("", "Hello?"), reading(TEA, "老板姓什么？")],
        ["copy source", "best overlap"],
    ),
    (STORY, STORIES, ["copy source", "unigram", "5-gram (Kneser–Ney)", "xz"]),
]


@pytest.mark.parametrize(("task", "rows", "names"), CASES)
def test_the_answer_and_the_metrics_say_which_baselines_there_are(
    task: Task[Asked], rows: list[Example[Asked]], names: list[str]
) -> None:
    found = baselines(task, rows, rows[1:])
    assert [one.name for one in found] == names
    assert all(one.kind == "baseline" and one.seconds >= 0 for one in found)
    assert all(len(one.predictions or one.likelihoods) == len(rows) - 1 for one in found)


@pytest.mark.parametrize(("task", "rows", "names"), CASES)
def test_answers_go_along_with_the_examples(
    task: Task[Asked], rows: list[Example[Asked]], names: list[str]
) -> None:
    for there, back in zip(
        baselines(task, rows, rows), baselines(task, rows, rows[::-1]), strict=True
    ):
        assert there.predictions == back.predictions[::-1]
        assert there.likelihoods == back.likelihoods[::-1]


def test_the_words_of_a_text_tell_more_than_the_majority() -> None:
    rows = [example("a kind and warm day", "good"), example("cold, rude", "bad")]
    rows += [example("热情", "good"), example("冷淡", "bad")]
    found = baselines(MOOD, TRAIN_MOODS, rows)
    assert texts(named(found, "TF-IDF")) == ["good", "bad", "good", "bad"]
    assert texts(named(found, "majority")) == ["bad"] * 4


def test_every_label_has_a_probability_in_the_order_of_the_labels() -> None:
    task = toy(Choice(labels=("mixed", "bad", "good")), ("classification",))
    made = list(baselines(task, TRAIN_MOODS, TRAIN_MOODS[:2]))
    assert made and all(len(found.predictions) == 2 for found in made)
    for found in made:
        for prediction in found.predictions:
            assert list(prediction.probabilities) == ["mixed", "bad", "good"]
            assert prediction.probabilities["mixed"] == 0
            assert sum(prediction.probabilities.values()) == pytest.approx(1)


def test_the_majority_is_as_sure_as_its_share() -> None:
    train = [*TRAIN_MOODS, example("more", "good")]
    found = named(baselines(MOOD, train, train[:1]), "majority")
    assert found.predictions[0].probabilities == {"bad": 3 / 7, "good": 4 / 7}


def test_one_label_in_training_leaves_only_the_majority() -> None:
    found = baselines(MOOD, TRAIN_MOODS[:3], TRAIN_MOODS)
    assert [one.name for one in found] == ["majority"]


def test_a_dictionary_is_learned_in_both_directions() -> None:
    rows = [example("The cat sees Tom.", "?"), example("狗看猫。", "?"), example("猫", "?")]
    found = named(baselines(TRANSLATION, both_ways(), rows), "word by word")
    assert texts(found)[0].endswith("猫seesTom。")
    assert texts(found)[1:] == ["dog see cat .", "cat"]


def test_without_pairs_of_its_language_a_text_is_copied() -> None:
    train = [one for one in both_ways() if one.part == "en_zh"]
    found = named(baselines(TRANSLATION, train, [example("狗看猫。", "?")]), "word by word")
    assert texts(found) == ["狗看猫。"]


@pytest.mark.parametrize(
    ("passage", "question", "clause"),
    [
        (MILL, "When was it built?", "and it was built in 1,820"),
        (MILL, "Who sells tea?", "Today Ann sells tea there"),
        (TEA, "早上几点开门？", "每天早上六点开门"),
        (TEA, "老板姓什么？", "老板姓王"),
    ],
)
def test_the_clause_that_shares_most_with_the_question_is_copied(
    passage: str, question: str, clause: str
) -> None:
    found = named(baselines(READING, [], [reading(passage, question)]), "best overlap")
    assert texts(found) == [clause]
    assert found.predictions[0].span is not None
    assert passage[slice(*found.predictions[0].span)] == clause


def test_without_a_passage_the_trivial_answer_is_given() -> None:
    rows = [reading("", "Hello?"), reading(TEA, "老板姓什么？")]
    found = named(baselines(READING, [], rows), "best overlap")
    assert texts(found)[0] == "Hello?"
    assert found.predictions[0].span is None


def test_a_trivial_answer_that_stands_in_the_passage_has_its_place() -> None:
    found = named(baselines(READING, [], [reading(MILL, "museum")]), "copy source")
    assert found.predictions[0].span == (MILL.index("museum"), MILL.index("museum") + 6)


def test_without_a_trivial_answer_there_is_what_remains() -> None:
    span = toy(Span(passage=lambda asked: asked.passage), ("squad",))
    rows = [reading(MILL, "Who sells tea?")]
    assert [one.name for one in baselines(span, [], rows)] == ["best overlap"]
    assert baselines(toy(Text(), ("completion",)), [], [example("a", "b")]) == []


@pytest.mark.parametrize(("task", "rows", "names"), CASES)
def test_baselines_of_no_examples_are_an_error(
    task: Task[Asked], rows: list[Example[Asked]], names: list[str]
) -> None:
    with pytest.raises(BadData, match="no examples"):
        baselines(task, rows, [])


def test_the_majority_is_that_of_the_training_examples() -> None:
    train = [example("a", "good"), example("b", "good"), example("c", "bad")]
    found = baselines(MOOD, train, [example("d", "bad"), example("e", "good")])[0]
    assert found.name == "majority"
    assert [one.text for one in found.predictions] == ["good", "good"]
    assert found.predictions[0].probabilities == pytest.approx({"bad": 1 / 3, "good": 2 / 3})


def test_of_equally_frequent_labels_the_first_one_is_taken() -> None:
    train = [example("a", "good"), example("b", "bad")]
    assert baselines(MOOD, train, [example("d", "bad")])[0].predictions[0].text == "bad"


def test_what_learns_from_nothing_is_left_out() -> None:
    assert baselines(MOOD, [], [example("d", "bad")]) == []


def test_the_trivial_answer_is_given_to_each_input_under_its_own_name() -> None:
    same = "The very same sentence here."
    examples = [example(same, same, "zh_en"), example("今天", "today", "zh_en")]
    found = baselines(TRANSLATION, [], examples)[0]
    assert found.name == "copy source"
    assert [one.text for one in found.predictions] == [same, "今天"]
