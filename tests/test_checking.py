"""`quintet data check` says what the rows hold, and what is odd about them."""

from __future__ import annotations

import json

import pytest

import apps
from core.errors import BadData
from finetune.workflows.checking import check


def write(path, *rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_the_other_splits_are_counted_and_not_learned(tokenizer, tmp_path):
    for split, size in (("train", 4), ("test", 2)):
        rows = [{"text": f"{split} {n}", "label": n % 2} for n in range(size)]
        write(tmp_path / split / "0.jsonl", *rows)
    found = check(apps.load("spam"), str(tmp_path), tokenizer, 64)
    assert found.good and found.lines[:2] == [
        "4 rows, 0 cannot be used (0.0%)",
        "split test: 2 rows, 0 cannot be used",
    ]


def test_answers_behind_the_context_are_counted(tokenizer, tmp_path):
    passage = "The town built a bridge. " * 60 + "The tower is violet."
    row = {"context": passage, "question": "Which?", "answers": {"text": ["violet"]}}
    found = check(apps.load("qa"), str(write(tmp_path / "x.jsonl", row)), tokenizer, 128)
    assert any(line.startswith("1 have their answer behind what fits") for line in found.lines)


def test_where_no_row_can_be_used_no_share_is_said_to_be_left_out(tokenizer, tmp_path):
    path = write(tmp_path / "x.jsonl", {"text": "", "label": "ham"})
    with pytest.raises(BadData, match=r"1 of 1 rows cannot be used \(100\.0%\): "):
        check(apps.load("spam"), str(path), tokenizer, 64)


def test_swapped_languages_are_not_good_to_learn_from(tokenizer, tmp_path):
    path = write(tmp_path / "x.jsonl", {"en": "车站在哪里？", "zh": "Where is it?"})
    found = check(apps.load("translation"), str(path), tokenizer, 64)
    assert not found.good and "look swapped" in found.lines[-1]
    assert any(f"{path}, line 1" in line for line in found.lines)


def test_rows_that_are_not_translated_are_not_good_to_learn_from(tokenizer, tmp_path):
    rows = [{"en": f"good day {n}", "zh": f"{n} 日安"} for n in range(100)]
    rows[7]["zh"] = rows[7]["en"]
    path = write(tmp_path / "x.jsonl", *rows)
    found = check(apps.load("translation"), str(path), tokenizer, 64)
    assert found.good and any(f"letter by letter: {path}, line 8" in one for one in found.lines)
    rows[8]["zh"] = rows[8]["en"]
    found = check(apps.load("translation"), str(write(path, *rows)), tokenizer, 64)
    assert not found.good and "not translated" in found.lines[-1]


def test_rows_of_one_label_are_not_called_good(tokenizer, tmp_path):
    rows = [{"text": f"prize {n}", "label": "spam"} for n in range(4)]
    found = check(apps.load("spam"), str(write(tmp_path / "x.jsonl", *rows)), tokenizer, 64)
    assert not found.good
    assert found.lines[-1] == "not alone: no row has the label 'ham'"
