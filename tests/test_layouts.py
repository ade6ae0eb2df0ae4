"""Columns and labels under other names: aliases, --map, --labels, chat formats, nested files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import apps
from commands.options import gathered, mapping
from core.errors import BadColumns, BadData, BadSetting
from finetune.data import Layout
from finetune.data.examples import Reading, read_examples
from finetune.data.inspection import remarks


def jsonl(path: Path, *rows: dict) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def read(task: str, *sources: Path, **options) -> Reading:
    return read_examples(apps.load(task), [str(source) for source in sources], **options)


def answers(reading: Reading) -> list[str]:
    return [example.answers[0] for example in reading.examples]


def labelled(path: Path, *labels, column: str = "label") -> Path:
    return jsonl(path, *({"text": f"text {n}", column: one} for n, one in enumerate(labels)))


@pytest.mark.parametrize(
    ("task", "no", "yes"),
    [
        ("spam", "False", "True"),
        ("spam", "0.0", "1.0"),
        ("spam", "no", "Yes"),
        ("spam", "not spam", "SPAM"),
        ("spam", "not_spam", "junk"),
        ("spam", "正常", "垃圾"),
        ("spam", "否", "是"),
        ("spam", "LABEL_0", "LABEL_1"),
        ("sentiment", "neg", "pos"),
        ("sentiment", "负面", "正面"),
        ("sentiment", False, True),
    ],
)
def test_labels_are_known_by_their_other_names(tmp_path, task, no, yes):
    first, second = apps.load(task).answer.labels
    assert answers(read(task, labelled(tmp_path / "x.jsonl", no, yes))) == [first, second]


@pytest.mark.parametrize("stars", [(1, 4, 5), ("1", "3", "5"), (1, 1, 1), (2, 1, 1)])
def test_stars_are_no_indices(tmp_path, stars):
    path = labelled(tmp_path / "x.jsonl", *stars, column="stars")
    with pytest.raises(BadData, match=r"'stars' holds .*may be stars.*--labels 1,2=negative"):
        read("sentiment", path, columns_map={"label": "stars"})


def test_indices_alone_are_none_of_stars(tmp_path):
    assert answers(read("sentiment", labelled(tmp_path / "x.jsonl", 1, 1))) == ["positive"] * 2
    assert answers(read("sentiment", labelled(tmp_path / "y.jsonl", 0, 1)))[0] == "negative"


def test_a_person_says_which_label_is_which(tmp_path):
    path = labelled(tmp_path / "x.jsonl", 1, "2", 3.0, 4, 5, column="stars")
    layout = mapping("label=stars", "1,2=negative 4,5=positive 3=skip")
    reading = read("sentiment", path, columns_map=layout)
    assert answers(reading) == ["negative"] * 2 + ["positive"] * 2
    assert reading.notes == ("left out, label 3: 1",) and not reading.problems
    assert layout.described()["labels"]["3"] == "skip"


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ("1=glad", "'glad'; allowed: negative, positive and skip"),
        ("1", "--labels takes"),
        ("1=negative 1=positive", "names '1' twice"),
    ],
)
def test_a_wrong_word_for_labels_is_refused(tmp_path, labels, words):
    with pytest.raises(BadSetting, match=words):
        read("sentiment", labelled(tmp_path / "x.jsonl", 1), columns_map=mapping("", labels))


def test_a_cell_that_nobody_named_is_a_problem(tmp_path):
    with pytest.raises(BadData, match="does not say what '9' is"):
        read("sentiment", labelled(tmp_path / "x.jsonl", 9), columns_map=mapping("", "1=negative"))
    with pytest.raises(BadSetting, match="for tasks with labels"):
        pair = jsonl(tmp_path / "y.jsonl", {"en": "a", "zh": "b"})
        read("translation", pair, columns_map=mapping("", "1=negative"))


def test_labels_may_be_typed_without_quotes():
    typed = ["finetune", "--labels", "1,2=negative", "4=positive", "--lora.r", "8"]
    assert gathered(typed) == ["finetune", "--labels", "1,2=negative 4=positive", "--lora.r", "8"]
    assert gathered(["--labels=1=a", "2=b", "x"]) == ["--labels=1=a 2=b", "x"]
    assert gathered(["--labels", "-1=a", "1=b", "-c", "x=y"]) == [
        "--labels",
        "-1=a 1=b",
        "-c",
        "x=y",
    ]
    assert gathered(["predict", "a=b"]) == ["predict", "a=b"]


def test_a_column_that_is_nowhere_is_named(tmp_path):
    path = jsonl(tmp_path / "x.jsonl", {"text": "a", "label": 0, "annotator2": 1})
    with pytest.raises(BadColumns, match=r"'annotater2', which is not among .*'annotator2'"):
        read("sentiment", path, columns_map={"label": "annotater2"})
    with pytest.raises(BadColumns, match=r"names 'lable', which .*Did you mean 'label'"):
        read("sentiment", path, columns_map={"lable": "annotator2"})
    assert answers(read("sentiment", path, columns_map={"label": "annotator2"})) == ["positive"]


def test_a_row_without_the_mapped_column_is_not_read_from_another(tmp_path):
    rows = [{"text": "a", "label": 0, "mine": 1}] * 2 + [{"text": "a", "label": 0}]
    path = jsonl(tmp_path / "x.jsonl", *rows)
    found = read("sentiment", path, columns_map={"label": "mine"}, tolerate=1.0)
    assert answers(found) == ["positive"] * 2
    assert "no column 'mine'" in found.problems[0].reason


CHATS = {
    "ShareGPT": {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Ho"}]},
    "OpenAI": {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]},
    "parts": {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]},
                           {"role": "assistant", "content": "Ho"}]},
    "Alpaca": {"instruction": "Hi", "input": "", "output": "Ho"},
    "ms-swift": {"query": "Hi", "response": "Ho"},
}  # fmt: skip


@pytest.mark.parametrize("name", CHATS)
def test_a_chat_is_read_in_every_shape(tmp_path, name):
    example = read("qa", jsonl(tmp_path / "x.jsonl", CHATS[name])).examples[0]
    assert (example.input.question, example.answers, example.input.history) == ("Hi", ("Ho",), ())


def test_the_history_and_the_system_are_turns_before_the_question(tmp_path):
    row = {"instruction": "How deep?", "input": "", "output": "Nine metres.",
           "system": "You are a guide.", "history": [["Which lake?", "Mirror Lake."]]}  # fmt: skip
    asked = read("qa", jsonl(tmp_path / "x.jsonl", row)).examples[0].input
    assert [(turn.role, turn.content) for turn in asked.history] == [
        ("system", "You are a guide."), ("user", "Which lake?"), ("assistant", "Mirror Lake."),
    ]  # fmt: skip


def test_a_greeting_is_skipped_and_counted(tmp_path):
    turns = [{"role": "assistant", "content": "Hello"}, *CHATS["OpenAI"]["messages"]]
    reading = read("qa", jsonl(tmp_path / "x.jsonl", {"messages": turns}))
    assert answers(reading) == ["Ho"] and not reading.problems
    assert any("greeting: 1" in note for note in reading.notes)


PASSAGE = "The gate opens at six."
NESTED = {
    "SQuAD": {"version": "1.1", "data": [{"title": "Gate", "paragraphs": [{"context": PASSAGE, "qas": [
        {"id": "1", "question": "When?", "answers": [{"text": "six", "answer_start": 18}]},
        {"id": "2", "question": "What?", "answers": [{"text": "The gate", "answer_start": 0}]}]}]}]},
    "CMRC": [{"context_id": "1", "context_text": PASSAGE, "qas": [
        {"query_id": "1", "query_text": "When?", "answers": ["six", "six"]},
        {"query_id": "2", "query_text": "What?", "answers": ["The gate"]}]}],
}  # fmt: skip


@pytest.mark.parametrize("name", NESTED)
def test_a_nested_file_is_a_row_a_question(tmp_path, name):
    path = tmp_path / "x.json"
    path.write_text(json.dumps(NESTED[name]))
    found = read("qa", path)
    assert [example.input.question for example in found.examples] == ["When?", "What?"]
    assert {example.input.passage for example in found.examples} == {PASSAGE}
    assert answers(found) == ["six", "The gate"] and found.rows == 2


def test_unanswerable_questions_are_counted_and_left_out(tmp_path):
    none = {"context": PASSAGE, "question": "Why?", "answers": {"text": [], "answer_start": []}}
    some = {"context": PASSAGE, "question": "When?", "answers": {"text": ["six"]}}
    reading = read("qa", jsonl(tmp_path / "x.jsonl", some, none, none))
    assert len(reading.examples) == 1 and not reading.problems
    assert any("no answer in the passage (SQuAD 2.0): 2" in note for note in reading.notes)
    with pytest.raises(BadData, match="No row is left to learn from; left out, no answer"):
        read("qa", jsonl(tmp_path / "y.jsonl", none))


@pytest.mark.parametrize("name", ["zh-CN", "zh_CN", "zh-Hans", "chinese"])
def test_chinese_has_many_names(tmp_path, name):
    for row in ({"en": "Yes.", name: "是。"}, {"translation": {"en": "Yes.", name: "是。"}}):
        found = read("translation", jsonl(tmp_path / "x.jsonl", row)).examples
        assert [example.answers[0] for example in found] == ["是。", "Yes."]


def test_swapped_languages_and_missing_labels_are_said(tmp_path):
    path = jsonl(tmp_path / "x.jsonl", {"en": "车站在哪里？", "zh": "Where is it?"})
    said = remarks(apps.load("translation"), read("translation", path))
    assert len(said) == 1 and f"{path}, line 1" in said[0] and "--map en=zh,zh=en" in said[0]
    mended = read("translation", path, columns_map={"en": "zh", "zh": "en"})
    assert remarks(apps.load("translation"), mended) == []
    said = remarks(apps.load("spam"), read("spam", labelled(tmp_path / "y.jsonl", "ham")))
    assert said == ["no row has the label 'spam': it cannot be learned from these data"]


def test_a_layout_is_its_columns_as_a_mapping():
    layout = Layout(columns={"text": "body"}, encoding="gb18030")
    assert dict(layout) == {"text": "body"} and layout["text"] == "body" and len(layout) == 1
    assert layout.described() == {"map": {"text": "body"}, "encoding": "gb18030"}
