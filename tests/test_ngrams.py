"""What texts cost under bytes, runs of bytes and a compressor."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from nltk.lm import KneserNeyInterpolated

from core.application import Likelihood
from finetune.evaluation.baselines.compression import xz
from finetune.evaluation.baselines.kneser_ney import (
    BASE,
    START,
    Codes,
    KneserNey,
    codes,
    estimated_discount,
)
from finetune.evaluation.baselines.ngrams import chosen, five_gram, shuffled, unigram

Weigh = Callable[[Sequence[str], Sequence[str]], tuple[Likelihood, ...]]
WEIGH: list[Weigh] = [unigram, five_gram, xz]
MILL = "The old mill by the river was built long ago. It is a museum today."
STORIES = [f"{MILL} In the morning {name} walks to the mill." for name in ("Ann", "Bo", "Cy")] * 9
MORE = [f"In the morning {name} sees the river. {MILL}" for name in ("Di", "Ed", "小明", "")]


def bits_per_byte(found: Sequence[Likelihood]) -> float:
    nats = math.fsum(one.nats for one in found)
    return nats / math.log(2) / sum(one.bytes for one in found)


def numbers(text: str) -> Codes:
    return np.array([ord(one) for one in text], dtype=np.int64)


@pytest.mark.parametrize("order", [2, 3, 5])
@pytest.mark.parametrize("discount", [0.1, 0.7])
def test_the_counted_kneser_ney_scores_as_nltk_does(order: int, discount: float) -> None:
    corpus, before = ["the mill.", "a mill.", "the museum.", "mm."], chr(START)
    theirs = KneserNeyInterpolated(order, discount=discount)
    padded = [before * (size - 1) + text for text in corpus for size in range(1, order + 1)]
    grams = [
        [tuple(text[n : n + size]) for n in range(len(text) - size + 1)]
        for text, size in zip(padded, [*range(1, order + 1)] * len(corpus), strict=True)
    ]
    theirs.fit(grams, [before, *(one for text in corpus for one in text)])
    ours = KneserNey([numbers(text) for text in corpus], order, discount)
    asked = before * (order - 1) + "the mum will."
    windows = [asked[n : n + order] for n in range(len(asked) - order + 1)]
    found = ours.scores(codes([numbers("the mum will.")], order))
    expected = [theirs.unmasked_score(one[-1], tuple(one[:-1])) for one in windows]
    assert found.tolist() == pytest.approx(expected, abs=1e-12)


def test_the_discount_is_estimated_from_what_was_seen_once_and_twice() -> None:
    assert estimated_discount(np.array([1, 1, 2, 1, 3])) == 3 / 5
    assert estimated_discount(np.array([3])) == 0


def test_all_training_text_is_learned_from_in_seconds() -> None:
    train = [f"{MILL} {number}" for number in range(20_000)] + ["zebra xylophone"]
    began = time.perf_counter()
    (known,), (unknown,) = (
        five_gram(train, [text]) for text in ("zebra xylophone", "zobra xelyphino")
    )
    assert time.perf_counter() - began < 60
    assert known.nats < unknown.nats / 3


@pytest.mark.parametrize("weigh", WEIGH)
def test_a_likelihood_counts_the_bytes_and_the_end(weigh: Weigh) -> None:
    found = weigh(STORIES, ["mill", "磨坊", ""])
    assert [one.bytes for one in found] == [4, 6, 0]
    assert [one.tokens for one in found] == [5, 7, 1]
    assert all(one.nats > 0 and math.isfinite(one.nats) for one in found)


def test_the_five_gram_needs_fewer_bits_than_the_unigram_for_text_like_its_own() -> None:
    runs, bytes_alone = five_gram(STORIES, MORE), unigram(STORIES, MORE)
    assert bits_per_byte(runs) < bits_per_byte(bytes_alone) / 2


def test_xz_needs_fewer_bits_than_the_unigram_for_what_it_has_read() -> None:
    assert bits_per_byte(xz(STORIES, MORE)) < bits_per_byte(unigram(STORIES, MORE)) / 2


def test_xz_has_read_all_training_text() -> None:
    train = [f"{MILL} {number}" for number in range(20_000)] + ["zebra xylophone quixotic jugglers"]
    known, unknown = (
        xz(train, [text])[0].nats
        for text in ("zebra xylophone quixotic jugglers", "zobra xelyphino quaxitoc jogglurs")
    )
    assert known < unknown / 2


@pytest.mark.parametrize("context", ["th", "zh", "zz", "he", " m"])
def test_the_probabilities_of_all_symbols_are_one_together(context: str) -> None:
    texts = [numbers(text) for text in ("the mill$", "this mill$", "that$")]
    model = KneserNey(texts, 3, 0.7)
    (prefix,) = codes([numbers(f"{context}$")], 3)[-1:] // BASE
    symbols = np.unique(np.concatenate(texts))
    assert model.scores(prefix * BASE + symbols).sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("weigh", WEIGH)
def test_costs_go_along_with_the_texts(weigh: Weigh) -> None:
    found = dict(zip(MORE, weigh(STORIES, MORE), strict=True))
    assert weigh(STORIES[::-1], MORE[::-1]) == tuple(found[text] for text in MORE[::-1])


def test_the_seed_chooses_what_is_learned() -> None:
    texts = [f"text {number}" for number in range(50)]
    assert chosen(texts, 60, seed=1) == chosen(texts[::-1], 60, seed=1)
    assert chosen(texts, 60, seed=1) != chosen(texts, 60, seed=2)
    assert sorted(shuffled(texts, seed=1)) == sorted(texts)


def test_the_last_chosen_text_is_cut_between_characters() -> None:
    assert chosen(["磨坊磨坊"], 7, seed=0) == ["磨坊"]


def bits(train: list[str], text: str) -> float:
    (found,) = unigram(train, [text])
    return found.nats / math.log(2) / found.bytes


def test_untrained_byte_frequencies_need_the_bits_of_all_symbols():
    assert bits([], "好") == pytest.approx(4 * math.log2(257) / 3)


def test_byte_frequencies_are_counted_as_by_hand():
    by_hand = 2 * -math.log2(3 / 260) - math.log2(2 / 260)
    assert bits(["aa"], "aa") == pytest.approx(by_hand / 2)


def test_more_alike_training_texts_need_fewer_bits():
    assert bits(["the mill " * 9], "a mill") < bits(["磨坊" * 9], "a mill")
