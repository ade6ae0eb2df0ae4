"""What a report says in words and digits."""

from __future__ import annotations

import string
from typing import get_args

import pytest
from report_fixtures import measured

from finetune.report import measures
from finetune.report.results import Measured
from finetune.report.words import WORDS, Key


def test_both_languages_have_every_word_with_the_same_braces():
    assert set(WORDS) == set(get_args(Key))
    families = [words for m in measures.MEASURES.values() for words in (m.label, m.meaning)]
    for said in (*WORDS.values(), *families):
        assert said.en.strip()
        assert said.zh.strip()
        names = [sorted(n for _, n, _, _ in string.Formatter().parse(text) if n) for text in said]
        assert names[0] == names[1]


@pytest.mark.parametrize(
    ("name", "label", "lower"),
    [
        ("accuracy", "Accuracy", False),
        ("precision_spam", "Precision (spam)", False),
        ("f1_spam", "F1 (spam)", False),
        ("f1_chat", "Answer F1 (chat)", False),
        ("chrf_zh_en", "chrF (Chinese → English)", False),
        ("bits_per_byte", "Bits per byte", True),
        ("perplexity", "Perplexity", True),
        ("repetition", "Repetition", True),
        ("my_own", "my own", False),
    ],
)
def test_a_metric_has_a_label_and_a_direction(name, label, lower):
    found = measures.metric(name, labels=("ham", "spam"))
    assert found.label("en") == label
    assert found.lower_is_better is lower
    assert found.measure is None or ("Lower" if lower else "Higher") in found.meaning("en")


@pytest.mark.parametrize(
    ("half", "decimals"), [(0.0, 3), (0.0004, 3), (0.024, 3), (0.24, 2), (2.4, 1), (24, 0)]
)
def test_no_more_digits_are_written_than_the_interval_supports(half, decimals):
    assert measures.decimals_for(Measured(**measured(50.0, half)), 3) == decimals


@pytest.mark.parametrize(
    ("value", "text"),
    [(-0.4, "−0.4"), (-0.04, "0.0"), (1234.5, "1,234.5"), (float("inf"), "–"), (float("nan"), "–")],
)
def test_numbers_are_written_for_people(value, text):
    assert measures.number(value, 1) == text
