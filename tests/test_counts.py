"""Sums over rows give the values that the metrics give, draw by draw."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import apps
from core.application import Likelihood, Prediction
from core.task import Example
from finetune.evaluation.answers import Answers
from finetune.evaluation.metrics.counts import Counts, count
from finetune.evaluation.metrics.deciding import deciding
from finetune.evaluation.scoring import measure

WORDS = ("river", "mill", "the", "old", "stone", "red", "house", "河边", "磨坊", "老", "红")


def sentence(chance: random.Random) -> str:
    return " ".join(chance.choices(WORDS, k=chance.randint(1, 9)))


def example(name: str, chance: random.Random) -> Example:
    task = apps.load(name)
    if name in ("sentiment", "spam"):
        labels = task.answer.labels
        return Example(input=task.input(text=sentence(chance)), answers=(chance.choice(labels),))
    if name == "translation":
        part = chance.choice(("en_zh", "zh_en"))
        asked = task.input(text=sentence(chance), direction=part.replace("_", "-"))
        return Example(input=asked, answers=(sentence(chance),), part=part)
    if name == "qa":
        passage = sentence(chance)
        asked = task.input(question=sentence(chance), passage=passage)
        answers = (passage.split()[0], passage)
        return Example(input=asked, answers=answers, part=chance.choice(("", "chat")))
    asked = task.input(text=chance.choice(WORDS), mode="complete")
    return Example(input=asked, answers=(sentence(chance),))


def said(name: str, examples: list[Example], chance: random.Random, **about) -> Answers:
    labels = getattr(apps.load(name).answer, "labels", None)
    known = {
        repr(one.input): chance.choice(labels)
        if labels
        else chance.choice((sentence(chance), one.answers[0]))
        for one in examples
    }
    return Answers(
        name="model",
        kind=about.get("kind", "adapter"),
        predictions=tuple(Prediction(text=known[repr(one.input)]) for one in examples),
        likelihoods=tuple(Likelihood(chance.random() * 9, 3, 7) for _ in examples),
    )


def made(name: str, seed: int, rows: int = 40) -> tuple[list[Example], Answers]:
    chance = random.Random(seed)
    examples = [example(name, chance) for _ in range(rows)]
    return examples, said(name, examples, chance)


@pytest.mark.parametrize("name", apps.names())
@pytest.mark.parametrize("seed", range(3))
def test_sums_over_all_rows_give_what_the_metrics_give(name, seed):
    task, (examples, answers) = apps.load(name), made(name, seed)
    counted = count(task, examples, answers)
    values, _ = measure(task, examples, answers.predictions, answers.likelihoods)
    assert counted.keys() == values.keys()
    for key, value in values.items():
        assert counted[key].of_all() == pytest.approx(value, rel=1e-12, abs=1e-12), key


@pytest.mark.parametrize("name", ["sentiment", "translation", "qa"])
def test_the_sums_of_a_draw_give_what_the_metrics_give_for_the_drawn_rows(name):
    task, (examples, answers) = apps.load(name), made(name, 7)
    chance = np.random.default_rng(0)
    counted = count(task, examples, answers)
    for _ in range(5):
        places = chance.integers(0, len(examples), len(examples))
        weights = np.bincount(places, minlength=len(examples)).astype(float)[None]
        drawn = [answers.predictions[place] for place in places]
        values, _ = measure(task, [examples[place] for place in places], drawn)
        for key, value in values.items():
            found = counted[key].value(weights @ counted[key].rows)[0]
            assert found == pytest.approx(value, rel=1e-12, abs=1e-12), key


@given(seed=st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_values_are_in_their_range_and_do_not_depend_on_the_order_of_rows(seed):
    for name in apps.names():
        task, (examples, answers) = apps.load(name), made(name, seed, rows=12)
        order = random.Random(seed).sample(range(12), 12)
        moved = Answers(
            name="model",
            kind="adapter",
            predictions=tuple(answers.predictions[place] for place in order),
            likelihoods=tuple(answers.likelihoods[place] for place in order),
        )
        there = count(task, [examples[place] for place in order], moved)
        for key, one in count(task, examples, answers).items():
            assert one.of_all() == pytest.approx(there[key].of_all(), rel=1e-9, abs=1e-9)
            high = 1.0 if name in ("sentiment", "spam") or "distinct" in key else 100.0
            low = -1.0 if key == "mcc" else 0.0
            if key not in ("perplexity", "bits_per_byte"):
                assert low <= one.of_all() <= high


def test_the_deciding_value_is_the_mean_of_what_the_criterion_names():
    task, (examples, answers) = apps.load("translation"), made("translation", 1)
    counted = count(task, examples, answers)
    found = deciding(task, counted)
    assert isinstance(found, Counts)
    mean = (counted["chrf_en_zh"].of_all() + counted["chrf_zh_en"].of_all()) / 2
    assert found.name == "chrf_mean" and found.of_all() == pytest.approx(mean)


def test_a_system_that_only_weighs_has_no_values_of_written_texts():
    examples, answers = made("generation", 2)
    weighs = Answers(name="5-gram", kind="baseline", likelihoods=answers.likelihoods)
    assert set(count(apps.load("generation"), examples, weighs)) == {"bits_per_byte"}
