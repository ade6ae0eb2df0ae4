"""Which rows of a source are meant: files, splits of a folder, hub ids, and what is held out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import apps
from core.errors import BadData
from finetune import data
from finetune.examples import read_examples
from finetune.holdout import hold_out


def write(path: Path, *texts: str, label: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [json.dumps({"text": text, "label": label}) + "\n" for text in texts]
    path.write_text("".join(rows), encoding="utf-8")
    return path


def texts_of(source: Path, **options) -> list[str]:
    return [found.row["text"] for found in data.read_rows(str(source), **options)]


def sentiment(*sources: Path, **options):
    return read_examples(apps.load("sentiment"), [str(source) for source in sources], **options)


@pytest.fixture
def folder(tmp_path) -> Path:
    for name in ("train", "train_human", "news.train", "dev", "test-00000-of-00001", "train-0002"):
        write(tmp_path / "data" / f"{name}.jsonl", name)
    return tmp_path / "data"


@pytest.mark.parametrize(
    ("split", "files"),
    [
        ("train", ["news.train", "train-0002", "train"]),
        ("validation", ["dev"]),
        ("test", ["test-00000-of-00001"]),
        ("train_human", ["train_human"]),
    ],
)
def test_a_split_is_the_files_named_after_it(folder, split, files):
    assert sorted(texts_of(folder, split=split)) == sorted(files)
    assert data.has_split(str(folder), split)


def test_a_split_that_is_not_there_is_named_with_those_that_are(tmp_path, folder):
    write(tmp_path / "two" / "train.jsonl", "a")
    assert not data.has_split(str(tmp_path / "two"), "validation")
    with pytest.raises(BadData, match=r"No split 'validation' in .*two; there: train\."):
        texts_of(tmp_path / "two", split="validation")
    with pytest.raises(BadData, match=r"'trane'.*Did you mean 'train'"):
        texts_of(folder, split="trane")


def test_files_of_no_split_are_for_training(tmp_path):
    for name in ("a", "b/c", "trained"):
        write(tmp_path / "x" / f"{name}.jsonl", name)
    (tmp_path / "x" / "trained.jsonl").unlink()
    assert texts_of(tmp_path / "x") == ["a", "b/c"]
    assert not data.has_split(str(tmp_path / "x"), "test")


def test_a_single_file_is_every_split(tmp_path):
    path = write(tmp_path / "test.jsonl", "a", "b")
    for split in ("train", "validation", "test"):
        assert texts_of(path, split=split) == ["a", "b"]
    assert not data.has_split(str(path), "test")


def test_the_limit_holds_for_each_source(tmp_path):
    one = write(tmp_path / "one.jsonl", *"abcde")
    two = write(tmp_path / "two.jsonl", *"fgh")
    assert texts_of(one, limit=2) == ["a", "b"]
    found = sentiment(one, two, limit=2)
    assert [example.input.text for example in found.examples] == ["a", "b", "f", "g"]
    assert len(sentiment(one, two, limit=100).examples) == 8


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("rows.cvs", "unknown kind of file; read are csv"),
        ("row.jsonl", r"No file or folder .*Did you mean 'rows\.jsonl'"),
        ("nowhere/rows.jsonl", "No file or folder"),
        ("empty", "No data in .*; read are files that end in csv"),
    ],
)
def test_a_source_that_is_none_is_one_line(tmp_path, name, words):
    write(tmp_path / "rows.jsonl", "a")
    (tmp_path / "rows.cvs").write_text("text\na\n")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadData, match=words) as caught:
        texts_of(tmp_path / name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("source", ["stanfordnlp/imdb", "some-body/nothing@v1"])
def test_a_hub_id_without_a_network_is_one_line(source):
    for ask in (lambda: list(data.read_rows(source)), lambda: data.has_split(source, "test")):
        with pytest.raises(BadData, match=f"'{source}', and not to be had from the hub") as caught:
            ask()
        assert "\n" not in str(caught.value)


def test_rows_about_one_text_are_held_out_together(tmp_path):
    rows = [f"text {number % 20}" for number in range(60)]
    reading = sentiment(write(tmp_path / "x.jsonl", *rows))
    task = apps.load("sentiment")
    kept, held = hold_out(reading, task, 10, seed=0)
    sides = [{example.input.text for example in side.examples} for side in (kept, held)]
    assert not sides[0] & sides[1]
    assert len(kept.examples) + len(held.examples) == 60
    assert 10 <= len(held.examples) <= 12
    again, other = (hold_out(reading, task, 10, seed=seed)[1].digest for seed in (0, 1))
    assert again == held.digest != other


def test_a_file_in_another_order_holds_the_same_rows_out(tmp_path):
    rows = [f"text {number}" for number in range(30)]
    task = apps.load("sentiment")
    held = [
        hold_out(sentiment(write(tmp_path / "x.jsonl", *order)), task, 5, seed=0)[1]
        for order in (rows, rows[::-1])
    ]
    assert held[0].digest == held[1].digest


def test_the_digest_is_that_of_inputs_and_answers(tmp_path):
    one = sentiment(write(tmp_path / "one.jsonl", "a", "b"))
    same = sentiment(write(tmp_path / "elsewhere.jsonl", "a", "b"))
    other = sentiment(write(tmp_path / "one.jsonl", "a", "b", label=0))
    assert one.digest == same.digest != other.digest
    assert (one.rows, len(one.by_row)) == (2, 2)
