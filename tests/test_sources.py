"""Which rows of a source are meant: files, splits of a folder, hub ids, and what is held out."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

import apps
from core.errors import BadData
from finetune import data
from finetune.data.examples import read_examples
from finetune.data.holdout import hold_out


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


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train/0.jsonl", "test/0.jsonl"),
        ("a/training-set/x.jsonl", "a/eval/x.jsonl"),
        ("sms-train.jsonl", "sms-test.jsonl"),
        ("train_data.jsonl", "test_data.jsonl"),
        ("sms_train_1.jsonl", "sms_test_1.jsonl"),
        ("Train.jsonl", "TEST.jsonl"),
        ("train.jsonl.gz", "test.jsonl"),
    ],
)
def test_splits_are_told_from_folders_and_names(tmp_path, train, test):
    for name in (train, test):
        path = write(tmp_path / name, name)
        if name.endswith(".gz"):
            path.write_bytes(gzip.compress(path.read_bytes()))
    assert texts_of(tmp_path) == [train]
    assert texts_of(tmp_path, split="test") == [test]
    assert not data.has_split(str(tmp_path), "validation")


def test_files_of_no_split_beside_others_are_said(tmp_path):
    for name in ("train.jsonl", "more.jsonl"):
        (tmp_path / name).write_text('{"text": "a"}\n')
    told: list[str] = []
    assert len(list(data.read_rows(str(tmp_path), tell=told.append))) == 1
    assert len(told) == 1 and "left out" in told[0] and "more.jsonl" in told[0]


def test_the_words_for_splits_are_those_of_datasets():
    from datasets.data_files import SPLIT_KEYWORDS

    from finetune.data.reading.folders import KEYWORDS

    theirs = {str(split): tuple(words) for split, words in SPLIT_KEYWORDS.items()}
    assert {name: set(words) for name, words in theirs.items()} == {
        name: set(words) for name, words in KEYWORDS.items()
    }


def test_hidden_and_half_written_files_are_no_data(tmp_path):
    write(tmp_path / "mails.jsonl", "seen")
    for name in (".ipynb_checkpoints/mails-checkpoint.jsonl", ".out.jsonl.partial.jsonl",
                 "__MACOSX/mails.jsonl", "dataset_info.json"):  # fmt: skip
        write(tmp_path / name, "hidden")
    assert texts_of(tmp_path) == ["seen"]


@pytest.mark.parametrize("names", [("train.en.txt", "train.zh.txt"), ("a.en-zh.en", "a.en-zh.zh"),
                                   ("x.en.txt", "x.zh-CN.txt")])  # fmt: skip
def test_line_parallel_files_are_pairs(tmp_path, names):
    for name, lines in zip(names, (["One.", "Two."], ["一。", "二。"]), strict=True):
        (tmp_path / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    for source in (tmp_path, tmp_path / names[0]):
        found = read_examples(apps.load("translation"), [str(source)])
        assert [example.input.text for example in found.examples] == [
            "One.",
            "一。",
            "Two.",
            "二。",
        ]
    (tmp_path / names[0]).write_text("One.\n")
    with pytest.raises(BadData, match="differ in length"):
        read_examples(apps.load("translation"), [str(tmp_path)])


def chats(path: Path, *questions: str) -> Path:
    rows = [{"instruction": question, "output": "yes"} for question in questions]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def passages(path: Path, *texts: str) -> Path:
    rows = [{"context": f"{text} stood.", "question": f"Who? {n}", "answers": {"text": [text]}}
            for n, text in enumerate(texts)]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def qa(*sources: Path):
    return read_examples(apps.load("qa"), [str(source) for source in sources])


def test_chats_are_set_aside_row_by_row(tmp_path):
    reading = qa(chats(tmp_path / "x.jsonl", *(f"question {n}" for n in range(60))))
    kept, held = hold_out(reading, apps.load("qa"), 16, seed=0)
    assert (len(kept.examples), len(held.examples)) == (44, 16)


def test_passages_and_chats_are_on_both_sides(tmp_path):
    talk = chats(tmp_path / "a.jsonl", *(f"question {n}" for n in range(40)))
    read = passages(tmp_path / "b.jsonl", *(f"Mill {n % 10}" for n in range(20)))
    for side in hold_out(qa(talk, read), apps.load("qa"), 15, seed=0):
        assert {bool(example.input.passage) for example in side.examples} == {True, False}


def test_too_few_texts_are_said_unless_the_score_comes_from_elsewhere(tmp_path):
    reading = qa(passages(tmp_path / "x.jsonl", *["Mill"] * 20))
    with pytest.raises(BadData, match=r"Too few different passages \(1\).*--test"):
        hold_out(reading, apps.load("qa"), 16, seed=0)
    kept, held = hold_out(reading, apps.load("qa"), 16, seed=0, by_row=True)
    assert (len(kept.examples), len(held.examples)) == (14, 6)


def test_a_small_file_keeps_most_rows_to_learn(tmp_path):
    reading = sentiment(write(tmp_path / "x.jsonl", *(f"text {n}" for n in range(12))))
    kept, held = hold_out(reading, apps.load("sentiment"), 16, seed=0)
    assert (len(kept.examples), len(held.examples)) == (8, 4)


def texts_by_class(folder: Path, *splits: str, classes: tuple[str, ...] = ("neg", "pos")) -> Path:
    for split in splits:
        for name in classes:
            for number in range(3):
                path = folder / split / name / f"{number}_7.txt"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(f"{split} {name} {number}", encoding="utf-8")
    return folder


@pytest.mark.parametrize("splits", [("train", "test"), ("",)])
def test_texts_in_folders_of_classes_get_their_names_as_labels(splits, tmp_path):
    folder = texts_by_class(tmp_path / "imdb", *splits)
    rows = [found.row for found in data.read_rows(str(folder))]
    assert [(row["label"], row["text"].split()[-2]) for row in rows] == [
        ("neg", "neg"), ("pos", "pos"),
    ] * 3  # fmt: skip
    assert all(row["text"].startswith(splits[0]) for row in rows)


def test_the_first_texts_are_of_all_classes(tmp_path):
    folder = texts_by_class(tmp_path / "imdb", "train", classes=("neg", "pos", "unsup"))
    rows = [found.row["label"] for found in data.read_rows(str(folder), limit=4)]
    assert rows == ["neg", "pos", "unsup", "neg"]


def test_a_class_is_translated_to_ours_or_left_out(tmp_path):
    folder = texts_by_class(tmp_path / "imdb", "train", classes=("neg", "pos", "unsup"))
    layout = data.Layout(labels={"neg": "negative", "pos": "positive", "unsup": None})
    found = sentiment(folder, columns_map=layout)
    assert [one.answers for one in found.examples] == [("negative",), ("positive",)] * 3


def test_a_single_folder_of_texts_is_no_class(tmp_path):
    folder = texts_by_class(tmp_path / "books", "train", classes=("novels",))
    assert all("label" not in found.row for found in data.read_rows(str(folder)))


def test_line_parallel_files_in_several_folders_are_pairs_not_classes(tmp_path):
    for name in ("news", "talks"):
        for language in ("en", "zh"):
            path = tmp_path / name / f"train.{language}.txt"
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"{name} {language} 1\n{name} {language} 2\n", encoding="utf-8")
    rows = [found.row for found in data.read_rows(str(tmp_path), pairs=True)]
    assert [row["en"] for row in rows] == ["news en 1", "news en 2", "talks en 1", "talks en 2"]
    assert all("label" not in row for row in rows)
