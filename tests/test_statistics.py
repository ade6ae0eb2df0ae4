"""Intervals that hold what they promise, tests that agree with sacreBLEU, scipy and statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.significance import PairedTest
from scipy import stats
from test_counts import made

import apps
from core.application import Prediction
from core.task import Example
from finetune.answers import Answers
from finetune.counts import Counts, count
from finetune.statistics import compare, interval

TASK = apps.load("sentiment")


def accuracy(right: np.ndarray) -> Counts:
    """A contestant that is right where `right` is true."""
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


def test_equal_contestants_tie_with_no_difference():
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
    worse = Counts(name=counts.name, rows=counts.rows * [2, 1, 1], value=counts.value, measured=40)
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


def test_a_single_row_has_no_width_and_proves_nothing():
    one, other = accuracy(np.array([True])), accuracy(np.array([False]))
    assert interval(one, seed=0).low == interval(one, seed=0).high == 1
    assert compare(one, other, seed=0).outcome == "tie"
