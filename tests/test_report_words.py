"""What a report says in words and digits."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest
from report_fixtures import measured, sentiment

from core.language import Said
from finetune import report
from finetune.evaluation.metrics import registry
from finetune.report.results import Measured
from finetune.report.sections import numbers
from finetune.report.sections.edition import Edition
from finetune.report.words import WORDS, glossary, names

FOLDER = Path(report.__file__).parent
DYNAMIC = ("setting_", "compared_")
"""Beginnings of words whose end is told by the results."""


def test_both_languages_have_every_word_with_the_same_braces():
    metrics = [said for one in registry.SPECS for said in (one.label, one.meaning)]
    terms = [said for term in glossary.TERMS for said in term]
    named = [*names.ENTRIES.values(), *names.FIELDS.values(), *names.PASSPORT.values()]
    for said in (*WORDS.values(), *metrics, *terms, *named, *registry.PARTS.values()):
        assert isinstance(said, Said) and said.en.strip() and said.zh.strip()
        found = [sorted(n for _, n, _, _ in string.Formatter().parse(text) if n) for text in said]
        assert found[0] == found[1]


def test_every_word_is_said_somewhere_and_every_word_that_is_said_exists():
    texts = [path.read_text(encoding="utf-8") for path in FOLDER.rglob("*") if path.is_file()
             and path.suffix in (".py", ".j2") and path.parent.name != "words"]  # fmt: skip
    said = set(re.findall(r"""say\(\s*["'](\w+)["']""", "\n".join(texts)))
    assert said <= WORDS.keys()
    quoted = set(re.findall(r"""["'](\w+)["']""", "\n".join(texts)))
    unused = [k for k in WORDS if k not in quoted and not k.startswith(DYNAMIC)]
    assert unused == []


@pytest.mark.parametrize(
    ("name", "label", "higher"),
    [
        ("accuracy", "Accuracy", True),
        ("precision_spam", "Precision (spam)", True),
        ("f1_spam", "F1 (spam)", True),
        ("f1_chat", "Answer F1 (chat)", True),
        ("f1", "Answer F1", True),
        ("chrf_zh_en", "chrF (Chinese → English)", True),
        ("bits_per_byte", "Bits per byte", False),
        ("perplexity", "Perplexity", False),
        ("repetition", "Repetition", False),
        ("my_own", "my own", True),
    ],
)
def test_a_metric_has_a_label_and_a_direction(name, label, higher):
    found = registry.metric(name, labels=("ham", "spam"))
    assert found.label("en") == label
    assert found.higher_is_better is higher
    meaning = Edition(sentiment(), "en").meaning(found)
    assert found.spec is None or ("Higher" if higher else "Lower") in meaning


def test_what_random_guessing_reaches_is_told():
    edition = Edition(sentiment(), "zh")
    assert "随机猜测为 0.500" in edition.meaning(registry.metric("accuracy"))
    assert "随机猜测为 0.000" in edition.meaning(registry.metric("mcc"))


@pytest.mark.parametrize(
    ("half", "decimals"), [(0.0, 3), (0.0004, 3), (0.024, 3), (0.24, 2), (2.4, 1), (24, 0)]
)
def test_no_more_digits_are_written_than_the_interval_supports(half, decimals):
    assert numbers.decimals_for(Measured(**measured(50.0, half)), 3) == decimals


@pytest.mark.parametrize(
    ("value", "text"),
    [(-0.4, "−0.4"), (-0.04, "0.0"), (1234.5, "1,234.5"), (float("inf"), "–"), (float("nan"), "–")],
)
def test_numbers_are_written_for_people(value, text):
    assert numbers.number(value, 1) == text


@pytest.mark.parametrize(
    ("p", "resamples", "text"),
    [
        (1 / 1001, 1000, "≤ 0.001"),
        (0.0002, 1000, "≤ 0.001"),
        (0.0123, 1000, "0.012"),
        (1 / 101, 100, "≤ 0.010"),
        (2 / 101, 100, "0.020"),
        (1 / 10_001, 10_000, "≤ 0.001"),
    ],
)
def test_a_chance_at_the_floor_of_the_draws_is_no_equality(p, resamples, text):
    assert numbers.chance(p, resamples) == text
