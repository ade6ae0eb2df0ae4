"""Intervals that hold what they promise, tests that agree with sacreBLEU, scipy and statsmodels."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.significance import PairedTest
from scipy import stats
from test_counts import made

import apps
from core.application import Prediction
from core.task import Example
from finetune.evaluation.answers import Answers
from finetune.evaluation.metrics.counts import Counts, count
from finetune.evaluation.significance import compare, corrected, decided, floor, interval

TASK = apps.load("sentiment")


def accuracy(right: np.ndarray) -> Counts:
    """A system that is right where `right` is true."""
    examples = [
        Example(input=TASK.input(text=str(n)), answers=("positive",)) for n in range(len(right))
    ]
    texts = ["positive" if one else "negative" for one in right]
    said = Answers(
        name="m", kind="adapter", predictions=tuple(Prediction(text=text) for text in texts)
    )
    return count(TASK, examples, said)["accuracy"]


def test_an_interval_holds_the_truth_about_as_often_as_it_says():
    chance = np.random.default_rng(0)
    inside = 0
    for seed in range(200):
        found = interval(accuracy(chance.random(150) < 0.8), seed=seed, resamples=400)
        inside += found.low <= 0.8 <= found.high
    assert 0.90 <= inside / 200 <= 0.99


def test_an_interval_agrees_with_the_normal_approximation():
    right = np.arange(1000) % 10 < 7
    found = interval(accuracy(right), seed=0)
    half = 1.96 * (0.7 * 0.3 / 1000) ** 0.5
    assert found.value == pytest.approx(0.7)
    assert (found.low, found.high) == pytest.approx((0.7 - half, 0.7 + half), abs=0.005)


def test_the_seed_decides_the_interval():
    counts = count(apps.load("generation"), *made("generation", 4))["bits_per_byte"]
    assert interval(counts, seed=1) == interval(counts, seed=1) != interval(counts, seed=2)


def test_equal_systems_tie_with_no_difference():
    counts = accuracy(np.arange(80) % 4 > 0)
    found = compare(counts, counts, seed=0)
    assert (found.difference, found.low, found.high, found.outcome) == (0, 0, 0, "tie")
    assert found.p_mcnemar == found.p_randomisation == 1


@pytest.mark.parametrize(("gain", "outcome"), [(30, "win"), (-30, "loss"), (2, "tie")])
def test_a_difference_is_named_for_us(gain, outcome):
    right = np.arange(200) < 120
    ours = right.copy()
    ours[120:150] = gain == 30
    ours[:30] = gain != -30
    if gain == 2:
        ours[120:122] = True
    found = compare(accuracy(ours), accuracy(right), seed=0)
    assert found.difference == pytest.approx(gain / 200) and found.outcome == outcome


def test_mcnemar_is_the_exact_binomial_test_on_what_differs():
    ours, theirs = np.arange(50) < 30, (np.arange(50) >= 6) & (np.arange(50) < 28)
    found = compare(accuracy(ours), accuracy(theirs), seed=0)
    assert found.p_mcnemar == pytest.approx(stats.binomtest(8, 8).pvalue)


def test_lower_bits_are_a_win():
    counts = count(apps.load("generation"), *made("generation", 3))["bits_per_byte"]
    worse = dataclasses.replace(counts, rows=counts.rows * [2, 1, 1])
    assert compare(counts, worse, seed=0).outcome == "win"


def test_randomisation_and_bootstrap_of_bleu_agree_with_sacrebleu():
    task, (examples, ours) = apps.load("translation"), made("translation", 5, rows=120)
    _, theirs = made("translation", 6, rows=120)
    places = [place for place, one in enumerate(examples) if one.part == "zh_en"]
    examples = [examples[place] for place in places]
    sides = [
        Answers(name="m", kind="adapter", predictions=tuple(side.predictions[p] for p in places))
        for side in (ours, theirs)
    ]
    mine, other = (count(task, examples, side)["bleu_zh_en"] for side in sides)
    found = compare(mine, other, seed=0, resamples=2000)
    named = [(n, [p.text for p in side.predictions]) for n, side in zip("ab", sides, strict=True)]
    references = [[one.answers[0] for one in examples]]
    for kind, p in (("ar", found.p_randomisation), ("bs", found.p_bootstrap)):
        test = PairedTest(named, {"BLEU": BLEU()}, references, test_type=kind, n_samples=2000)
        scores = test()[1]["BLEU"]
        assert mine.of_all() == pytest.approx(scores[0].score, rel=1e-12)
        assert p == pytest.approx(scores[1].p_value, abs=0.04)


def test_bigrams_of_both_sides_are_told_apart():
    task = apps.load("generation")
    examples, ours = made("generation", 8)
    _, theirs = made("generation", 9)
    mine, other = (count(task, examples, side)["distinct_2"] for side in (ours, theirs))
    found = compare(mine, other, seed=0, resamples=200)
    assert found.difference == pytest.approx(mine.of_all() - other.of_all())
    assert found.low <= found.difference <= found.high
    assert found.p_randomisation > 0.05


@pytest.mark.parametrize("name", apps.names())
def test_every_value_lies_within_its_interval(name):
    for counts in count(apps.load(name), *made(name, 11)).values():
        found = interval(counts, seed=0, resamples=300)
        assert found.low <= found.value <= found.high, counts.name


def test_a_single_row_proves_nothing():
    one, other = accuracy(np.array([True])), accuracy(np.array([False]))
    found = interval(one, seed=0)
    assert (found.low, found.high) == (pytest.approx(0.025), 1)
    assert compare(one, other, seed=0).outcome == "tie"


def test_twenty_right_answers_are_no_proof_of_a_hundred_percent():
    found = interval(accuracy(np.ones(20, dtype=bool)), seed=0)
    assert found.low == pytest.approx(stats.beta.ppf(0.025, 20, 1)) and found.high == 1


def clustered(chance: np.random.Generator, groups: int, size: int) -> Counts:
    """Rows whose groups are right or wrong as one, as the questions on one passage mostly are."""
    right = np.repeat(chance.random(groups) < 0.7, size)
    flipped = chance.random(groups * size) < 0.05
    counts = accuracy(right ^ flipped)
    return dataclasses.replace(counts, groups=np.repeat(np.arange(groups), size))


def test_intervals_of_rows_that_belong_together_hold_what_they_promise():
    truth, chance = 0.7 * 0.95 + 0.3 * 0.05, np.random.default_rng(1)
    together = alone = 0
    for seed in range(100):
        counts = clustered(chance, 40, 8)
        found = interval(counts, seed=seed, resamples=300)
        together += found.low <= truth <= found.high
        apart = interval(dataclasses.replace(counts, groups=None), seed=seed, resamples=300)
        alone += apart.low <= truth <= apart.high
    assert together >= 88 and alone < 70


def test_tests_of_rows_that_belong_together_find_no_more_than_there_is():
    chance, found = np.random.default_rng(2), []
    for seed in range(60):
        ours, theirs = clustered(chance, 25, 8), clustered(chance, 25, 8)
        found.append(compare(ours, theirs, seed=seed, resamples=200))
    assert all(one.p_mcnemar is None for one in found)
    assert sum(one.outcome != "tie" for one in found) <= 8


def test_what_no_permutation_reaches_has_the_floor_as_its_chance():
    ours, theirs = np.ones(200, dtype=bool), np.arange(200) < 100
    found = compare(accuracy(ours), accuracy(theirs), seed=0)
    assert found.p_randomisation == 1 / 1001 <= floor(1000) == 0.001
    assert compare(
        accuracy(ours), accuracy(theirs), seed=0, resamples=100
    ).p_randomisation <= floor(100)


def test_few_rows_have_every_permutation_and_no_seed():
    ours, theirs = np.ones(6, dtype=bool), np.zeros(6, dtype=bool)
    first, second = (compare(accuracy(ours), accuracy(theirs), seed=seed) for seed in (0, 1))
    assert first.p_randomisation == second.p_randomisation == 2 / 64


def test_holm_agrees_with_his_example_and_never_lowers_a_chance():
    assert corrected([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert corrected([]) == []


@pytest.mark.parametrize(
    ("low", "p", "outcome"),
    [(0.1, 0.01, "win"), (-0.15, 0.01, "tie"), (0.1, 0.06, "tie"), (0.0, 0.001, "tie")],
)
def test_one_rule_decides_the_word(low, p, outcome):
    assert decided(0.37, low, 0.91, p, sign=1) == outcome
    lost = "loss" if outcome == "win" else "tie"
    assert decided(0.37, low, 0.91, p, sign=-1) == lost


def test_an_interval_of_a_share_stays_a_share():
    task = apps.load("generation")
    examples, _ = made("generation", 8)
    said = Answers(
        name="m", kind="adapter",
        predictions=tuple(Prediction(text=f"a{n} b{n} c{n}") for n in range(len(examples))),
    )  # fmt: skip
    found = interval(count(task, examples, said)["distinct_2"], seed=0)
    assert found.value == 1 and 0 <= found.low <= found.high <= 1
