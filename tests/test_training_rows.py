"""The rows that an adapter has learned travel with it, as hashes, and are found among the scored."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

import apps
from core.errors import Damaged
from core.task import Example
from finetune.evaluation.contamination import read_rows_of, rows_of, write_rows
from finetune.evaluation.contamination import training_rows as module

TASK = apps.load("spam")
LONG = (
    "Dear customer, your parcel number {0} waits at the post office until Friday evening at six, "
)
LONG += "please bring a card with your name on it, or send someone who can show us yours instead."


def mails(numbers, text: str = LONG) -> list[Example]:
    return [Example(input=TASK.input(text=text.format(n)), answers=("ham",)) for n in numbers]


def test_learned_rows_are_found_whatever_their_case_and_spaces(tmp_path: Path):
    rows = rows_of(TASK, mails(range(50)))
    asked = [*mails([3], LONG.upper().replace("{0}", "{0}  ")), *mails([99], "Quite another {0}")]
    found = rows.find(TASK, asked)
    assert [(one.row, one.similarity, one.source) for one in found] == [(0, 1.0, "training")]


def test_near_duplicates_are_found_by_their_sketch():
    rows = rows_of(TASK, mails(["nine"]))
    near, far = (
        mails(["ten"]),
        mails(["ten"], "We meet at {0} in the park to feed the ducks, bring bread."),
    )
    (one,) = rows.find(TASK, [*near, *far])
    assert one.row == 0 and 0.8 <= one.similarity < 1


def test_they_survive_their_file_and_an_altered_one_is_refused(tmp_path: Path):
    rows = rows_of(TASK, mails(range(30)), picked=mails([40]), scored=mails([41]))
    digest = write_rows(rows, tmp_path)
    again = read_rows_of(tmp_path, digest)
    assert again is not None and again.places(TASK, mails([40, 29, 41]), "picked") == [0]
    assert again.places(TASK, mails([40, 29, 41]), "scored") == [2]
    assert again.places(TASK, mails([40, 29, 41]), "learned") == [1]
    assert read_rows_of(tmp_path, "") is None
    write_rows(rows_of(TASK, mails(range(3))), tmp_path)
    with pytest.raises(Damaged, match="is missing or was altered"):
        read_rows_of(tmp_path, digest)
    (tmp_path / module.TRAINING_ROWS).unlink()
    with pytest.raises(Damaged, match="is missing or was altered"):
        read_rows_of(tmp_path, digest)


def test_a_file_holds_no_text(tmp_path: Path):
    write_rows(rows_of(TASK, mails(range(30))), tmp_path)
    assert b"parcel" not in (tmp_path / module.TRAINING_ROWS).read_bytes()


def test_what_a_parent_learned_was_learned():
    parent = rows_of(TASK, mails(range(10)), picked=mails([80]))
    child = rows_of(TASK, mails(range(20, 30)), parent=parent)
    assert child.places(TASK, mails([4, 25, 50, 80]), "learned") == [0, 1]
    assert child.places(TASK, mails([4, 25, 50, 80]), "picked") == [3]
    assert child.examples == 20 and child.ancestors_known
    blind = rows_of(TASK, mails(range(3)), known=False)
    assert not rows_of(TASK, mails(range(3)), parent=blind).ancestors_known


def test_the_other_side_of_a_translation_is_learned_too():
    task = apps.load("translation")
    pair = {"en": "The mill stands by the river.", "zh": "磨坊在河边。"}
    both = list(task.read(pair))
    rows = rows_of(task, both[:1])
    assert rows.places(task, both, "learned") == [0, 1]


def test_its_size_is_bounded_and_its_search_is_quick(monkeypatch):
    monkeypatch.setattr(module, "_MOST_SKETCHES", 500)
    rows = rows_of(TASK, mails(range(2000)))
    assert len(rows.learned) == 2000 and 250 < len(rows.sketches) <= 500
    began = time.perf_counter()
    assert len(rows.find(TASK, mails(range(1000, 1200)))) == 200
    assert time.perf_counter() - began < 10
