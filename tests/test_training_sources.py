"""What a passport says of the training sources is enough to read the same rows again."""

from __future__ import annotations

import dataclasses

import pytest
from test_store import passport

import apps
from core.adapters.passport import Learned
from finetune.data import Layout
from finetune.data.examples import read_examples
from finetune.evaluation.training_sources import described, own_training

STARS = "body,stars\n" + "".join(f"第{n}部电影很好看,{n % 5 + 1}\n" for n in range(40))
LAYOUT = Layout(
    columns={"text": "body", "label": "stars"},
    labels={"1": "negative", "2": "negative", "3": None, "4": "positive", "5": "positive"},
    encoding="gb18030",
)


@pytest.fixture()
def stars(tmp_path):
    path = tmp_path / "stars.csv"
    path.write_bytes(STARS.encode("gb18030"))
    return path


def test_labels_encoding_and_limit_are_recorded(stars):
    task = apps.load("sentiment")
    reading = read_examples(task, [str(stars)], columns_map=LAYOUT, limit=30)
    one = described([str(stars)], LAYOUT, 30, reading.digest)
    kept = Learned.model_validate_json(one.model_dump_json())
    assert own_training(task, passport(learned=(kept,))) == reading.examples
    assert len(reading.examples) == 24  # six of the thirty have three stars


@pytest.mark.parametrize("forgotten", [{"labels": {}}, {"columns": {}}, {"encoding": "latin-1"}])
def test_rows_that_read_otherwise_are_not_taken(stars, forgotten):
    task = apps.load("sentiment")
    digest = read_examples(task, [str(stars)], columns_map=LAYOUT).digest
    one = described([str(stars)], dataclasses.replace(LAYOUT, **forgotten), None, digest)
    assert own_training(task, passport(learned=(one,))) is None


def test_a_passport_of_before_reads_as_it_did(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("text,label\ngood,positive\nbad,negative\n")
    task = apps.load("sentiment")
    digest = read_examples(task, [str(path)]).digest
    old = {"sources": [str(path)], "columns_map": {}, "limit": None, "data_hash": digest}
    found = own_training(task, passport(learned=(Learned.model_validate(old),)))
    assert [one.answers for one in found or ()] == [("positive",), ("negative",)]
