"""The same number as everyone else: other programs' rules, to the last digit."""

from __future__ import annotations

import json
import re
import string
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.metrics import Squad, Translation

WORDS = (
    "The",
    "a",
    "an",
    "mill,",
    "river",
    "1820.",
    "old-mill",
    "theatre",
    "it's",
    "No.",
    "(x)",
    "",
)
LINES = (
    ("Where is the station?", "Where is the railway station?"),
    ("I drink tea every morning .", "Every morning I drink tea."),
    ("He's 3.5 years old, isn't he?", "He is 3.5 years old."),
    ("我每天早上喝茶。", "我每天早晨都喝茶。"),
    ("他3岁半。", "他三岁半了。"),
    ("", "火车站在哪儿？"),
)


def squad_normalised(text: str) -> str:
    """As evaluate-v1.1.py of SQuAD does it: lower case, no punctuation, no articles, one space."""
    text = "".join(character for character in text.lower() if character not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def squad_f1(prediction: str, truth: str) -> float:
    given_, right = squad_normalised(prediction).split(), squad_normalised(truth).split()
    same = sum((Counter(given_) & Counter(right)).values())
    if same == 0:
        return 0.0
    precision, recall = same / len(given_), same / len(right)
    return (2 * precision * recall) / (precision + recall)


sentences = st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join)
answers = sentences.filter(lambda text: bool(squad_normalised(text)))


@given(st.lists(st.tuples(sentences, st.lists(answers, min_size=1, max_size=3)), min_size=1))
def test_english_answers_are_scored_by_the_rules_of_squad(rows):
    found = Squad().compute(
        predictions=[prediction for prediction, _ in rows], references=[right for _, right in rows]
    )
    exact = [
        max(squad_normalised(p) == squad_normalised(one) for one in right) for p, right in rows
    ]
    f1 = [max(squad_f1(p, one) for one in right) for p, right in rows]
    assert found["exact_match"] == pytest.approx(100 * sum(exact) / len(rows), rel=1e-12)
    assert found["f1"] == pytest.approx(100 * sum(f1) / len(rows), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize(
    ("prediction", "truth", "f1"),
    [
        # CMRC 2018: characters singly, Latin words and numbers whole, the longest common run counts.
        ("北京大学", "北京大学", 1.0),
        ("在北京大学", "北京大学", 2 * 4 / 9),
        ("北京的大学", "北京大学", 2 * 2 / 9),
        ("1998年", "1998年5月", 2 * 2 / 6),
        ("《红楼梦》", "红楼梦", 1.0),
        ("上海", "北京", 0.0),
    ],
)
def test_chinese_answers_are_scored_by_the_rules_of_cmrc(prediction, truth, f1):
    found = Squad().compute(predictions=[prediction], references=[[truth]])
    assert found["f1"] == pytest.approx(100 * f1)
    assert found["exact_match"] == (100.0 if f1 == 1.0 else 0.0)


@pytest.mark.parametrize(("target", "tokenizer"), [("en", "13a"), ("zh", "zh")])
def test_bleu_and_chrf_are_those_of_the_sacrebleu_command(target, tokenizer, tmp_path: Path):
    hypotheses, references = zip(*LINES, strict=True)
    for name, lines in (("hypotheses", hypotheses), ("references", references)):
        (tmp_path / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    command = [
        *(sys.executable, "-m", "sacrebleu", str(tmp_path / "references")),
        *("-i", str(tmp_path / "hypotheses"), "-m", "bleu", "chrf", "-tok", tokenizer),
        *("--force", "-w", "12", "-f", "json"),
    ]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    theirs = {one["name"]: one for one in json.loads(said)}
    ours = Translation(target).compute(
        predictions=list(hypotheses), references=[[one] for one in references]
    )
    assert round(ours["bleu"], 12) == theirs["BLEU"]["score"]
    assert round(ours["chrf"], 12) == theirs["chrF2"]["score"]
    assert f"tok:{tokenizer}" in ours["signatures"]["bleu"]
    assert theirs["BLEU"]["signature"] in ours["signatures"]["bleu"]
