"""Feedback: rows in a database that many processes write, and files that can be learned from."""

from __future__ import annotations

import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import pytest

import apps
from commands import feedback as commands
from core import store
from core.errors import BadData, BadInput, BadSetting
from core.feedback import export
from core.feedback.database import URL, Feedback, Query
from core.feedback.entries import Entry, entries_of, input_of, row_of
from core.task import Example
from finetune.data.examples import read_examples

ANSWERS = {
    "sentiment": "positive",
    "spam": "ham",
    "translation": "你好 hello",
    "generation": "a quiet evening by the river, and more",
    "qa": "1820",
}


ROOM = apps.load("sentiment").input(text="房间干净，老板热情。")
MILL = {"passage": "The mill was built in 1820 and is a museum.", "question": "When?"}
TEA = {"passage": "茶馆六点开门。老板姓王。", "question": "几点？"}


def liked(name: str, answer: str, asked=None, **more) -> list[Entry]:
    task = apps.load(name)
    return entries_of(task, asked or task.samples[0], answer, right=True, **more)


@pytest.mark.parametrize("name", ANSWERS)
def test_what_is_right_is_read_back_by_the_task_as_it_was_said(name):
    task = apps.load(name)
    asked = task.samples[0]
    found = [
        one for one in task.read(row_of(task, asked, ANSWERS[name])) if isinstance(one, Example)
    ]
    assert found[0].answers == (ANSWERS[name],)
    assert task.prompt(found[0].input) == task.prompt(asked)


def test_a_continuation_is_learned_as_one_text():
    task = apps.load("generation")
    row = row_of(task, task.input(text="I love"), "long walks")
    assert row == {"text": "I love long walks"}


def test_a_conversation_is_learned_at_its_last_answer_only():
    task = apps.load("qa")
    history = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "wrong"}]
    asked = task.input.model_validate({"question": "And now?", "history": history})
    found = list(task.read(row_of(task, asked, "right")))
    assert [one.answers for one in found] == [("right",)]
    assert found[0].input == asked


def test_a_correction_stores_what_was_wrong_and_what_is_right():
    task = apps.load("spam")
    found = entries_of(
        task, task.samples[0], "spam", right=False, correction="ham", adapter="spam@2"
    )
    assert [(one.completion, one.label) for one in found] == [("spam", False), ("ham", True)]
    assert {one.adapter for one in found} == {"spam@2"}
    assert found[0].prompt == task.prompt(task.samples[0])
    assert input_of(task, found[0]) == task.samples[0]


@pytest.mark.parametrize(
    ("name", "correction", "message"),
    [
        ("spam", "junk", "no label of spam; labels: ham, spam"),
        ("qa", "not in the passage", "None of the 1 answers stands in the passage"),
    ],
)
def test_a_correction_that_cannot_be_learned_is_refused(name, correction, message):
    task = apps.load(name)
    with pytest.raises(BadInput, match=message):
        entries_of(task, task.samples[0], "x", right=False, correction=correction)


def test_rows_are_stored_searched_counted_and_deleted():
    book = Feedback()
    numbers = book.add([*liked("spam", "ham"), *liked("sentiment", "positive", ROOM)])
    assert [one.id for one in book.entries()] == numbers[::-1]
    assert [one.task for one in book.entries(Query(text="房间"))] == ["sentiment"]
    assert book.count(Query(text="100%")) == 0
    assert book.count(Query(task="spam", label=False)) == 0
    assert book.entries(Query(task="spam"))[0] == replace(liked("spam", "ham")[0], id=numbers[0],
        time=book.entries(Query(task="spam"))[0].time)  # fmt: skip
    assert book.delete(numbers[:1]) == 1
    assert book.count() == 1
    assert book.add(liked("spam", "spam"))[0] > numbers[1]


def _write(number: int) -> list[int]:
    book = Feedback()
    return [book.add(liked("spam", "ham", adapter=f"{number}"))[0] for _ in range(10)]


def test_several_writers_lose_nothing():
    with ProcessPoolExecutor(4) as pool:
        numbers = [number for found in pool.map(_write, range(4)) for number in found]
    assert sorted(numbers) == list(range(1, 41))
    assert Feedback().count() == 40


def test_the_export_is_what_finetune_reads_and_the_last_word_counts(tmp_path):
    task, book = apps.load("qa"), Feedback()
    asked = [task.input(**one) for one in (MILL, TEA, {"question": "Name a colour."})]
    for one, answer in zip(asked, ["1820", "六点", "red"], strict=True):
        book.add(liked("qa", answer, one))
    book.add(entries_of(task, asked[0], "1820", right=False, correction="in 1820"))
    made = export.training_rows(task, book.entries())
    assert (len(made.rows), made.wrong, made.unusable) == (3, 1, 0)
    path = export.write(made.rows, tmp_path / "qa.jsonl")
    found = read_examples(task, [str(path)])
    assert {one.answers[0] for one in found.examples} == {"in 1820", "六点", "red"}
    assert not found.problems
    with pytest.raises(BadData, match="is there already"):
        export.write(made.rows, path)


def test_a_fifth_of_the_inputs_is_kept_from_training_and_stays_there():
    task = apps.load("spam")
    entries = [
        one
        for number in range(200)
        for answer in ("ham", "spam")
        for one in entries_of(task, task.input(text=f"message {number}"), answer, right=True)
    ]
    sides = {
        side: export.training_rows(task, entries, side=side).rows for side in ("train", "test")
    }
    assert 20 <= len(sides["test"]) <= 60
    assert len(sides["train"]) + len(sides["test"]) == 200
    texts = {side: {row["text"] for row in rows} for side, rows in sides.items()}
    assert not texts["train"] & texts["test"]


def test_preferences_are_prompt_completion_and_label():
    task = apps.load("spam")
    said = entries_of(task, task.samples[0], "spam", right=False, correction="ham")
    rows = export.preferences(said)
    prompt = task.prompt(task.samples[0])
    assert rows[0] == {"prompt": prompt, "completion": "spam", "label": False}


def test_preferences_keep_the_inputs_of_the_test_apart(tmp_path, capsys):
    task = apps.load("spam")
    said = [
        entry
        for number in range(40)
        for entry in entries_of(task, task.input(text=f"Call {number} now"), "spam", right=True)
    ]
    Feedback().add(said)
    held = sum(entry.held_out for entry in said)
    assert 0 < held < 40
    for side, count in (("train", 40 - held), ("test", held), ("all", 40)):
        path = tmp_path / f"{side}.jsonl"
        commands.export_feedback("spam", path, side=side, preferences=True)
        assert len(path.read_text().splitlines()) == count
    assert capsys.readouterr().err == f"kept for 'adapters promote': {held}\n"
    with pytest.raises(BadSetting, match="None of these rows"):
        commands.delete_feedback([999], task=None, everything=False)


def test_an_entry_of_another_time_is_left_out_and_counted():
    task = apps.load("spam")
    old = replace(liked("spam", "ham")[0], input={"body": "text"})
    assert export.training_rows(task, [old]).unusable == 1


@pytest.mark.parametrize(
    ("url", "message"),
    [("nonsense", "must be a URL of SQLAlchemy"), ("mysql+mysqldb://a@b/c", "is not installed")],
)
def test_a_database_that_cannot_be_had_is_told_in_one_line(monkeypatch, url, message):
    monkeypatch.setenv(URL, url)
    with pytest.raises(BadSetting, match=message):
        Feedback()


def test_the_commands_list_export_and_delete(tmp_path, capsys):
    Feedback().add([*liked("spam", "ham"), *liked("sentiment", "positive")])
    commands.list_feedback(task="spam", right=None, search="", limit=50, as_json=True)
    assert [one["completion"] for one in json.loads(capsys.readouterr().out)] == ["ham"]
    commands.export_feedback("spam", tmp_path / "spam.jsonl", side="all", preferences=False)
    assert json.loads((tmp_path / "spam.jsonl").read_text())["label"] == "ham"
    with pytest.raises(BadSetting, match="Give the numbers of rows"):
        commands.delete_feedback(None, task=None, everything=False)
    commands.delete_feedback(None, task="spam", everything=True)
    assert Feedback().count() == 1
    assert (store.home() / "feedback.db").is_file()
