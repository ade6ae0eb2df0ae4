"""The five tasks and their registry."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import apps
from core.errors import BadData, BadSetting, UnknownTask
from core.labels import label_of
from core.language import language_of
from core.task import Choice, Span

ROOT = Path(__file__).parents[1]

SIXTH = """
from __future__ import annotations
from core.task import Choice, Criterion, Example, Input, Task

class Line(Input):
    text: str

task = Task(
    title="Shouting", description="Is it loud?", input=Line, columns=(("text", "label"),), sources=(),
    read=lambda row: [Example(input=Line(text=row["text"]), answers=(row["label"],))],
    prompt=lambda line: f"{line.text}\\nLoud:", answer=Choice(labels=("no", "yes")),
    metrics=("classification",), select_by=Criterion(metric="macro_f1"), samples=(Line(text="HEY"),),
)
"""


def test_there_are_five_tasks_named_as_their_files():
    assert apps.names() == ("generation", "qa", "sentiment", "spam", "translation")
    assert [apps.load(name).name for name in apps.names()] == list(apps.names())


def test_importing_and_loading_brings_no_heavy_library():
    program = (
        "import sys, apps; [apps.load(name) for name in apps.names()];"
        "print([name for name in ('torch', 'transformers', 'peft', 'datasets', 'evaluate', 'gradio')"
        " if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_an_unknown_task_gets_the_nearest_name():
    with pytest.raises(UnknownTask, match=r"known: generation, .* Did you mean 'sentiment'"):
        apps.load("sentimant")


def test_a_sixth_task_is_one_file(tmp_path, monkeypatch):
    (tmp_path / "shouting.py").write_text(SIXTH)
    (tmp_path / "_notes.py").write_text("raise SystemExit")
    monkeypatch.setenv("QUINTET_APPS", str(tmp_path))
    assert "shouting" in apps.names()
    task = apps.load("shouting")
    assert task.name == "shouting"
    assert task.prompt(task.input(text="HEY")) == "HEY\nLoud:"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("x = 1", "defines no `task`"),
        ("1 / 0", "ZeroDivisionError"),
        ("def", "SyntaxError"),
    ],
)
def test_a_file_that_is_no_task_is_named(tmp_path, monkeypatch, content, message):
    (tmp_path / "broken.py").write_text(content)
    monkeypatch.setenv("QUINTET_APPS", str(tmp_path))
    with pytest.raises(BadSetting, match=f"broken.py .*{message}"):
        apps.load("broken")


def test_a_folder_that_is_missing_or_repeats_a_name_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("QUINTET_APPS", str(tmp_path / "none"))
    with pytest.raises(BadSetting, match="no folder"):
        apps.names()
    (tmp_path / "spam.py").write_text(SIXTH)
    monkeypatch.setenv("QUINTET_APPS", str(tmp_path))
    with pytest.raises(BadSetting, match="have one name"):
        apps.names()


def test_bundled_rows_that_are_missing_are_named():
    with pytest.raises(BadData, match="No bundled rows 'validation' for 'spam'"):
        apps.samples("spam", "validation")


@pytest.mark.parametrize("name", apps.names())
def test_every_task_shows_samples_and_translation_those_of_both_languages(name):
    task = apps.load(name)
    first = next(iter(task.input.model_fields))
    languages = [language_of(getattr(sample, first)) for sample in task.samples]
    assert languages.count("en") >= (2 if name == "translation" else 3)
    assert languages.count("zh") >= 2 or name != "translation"
    assert task.shorten in task.input.model_fields
    assert isinstance(task.answer, Choice) or task.trivial is not None


@pytest.mark.parametrize(
    ("value", "label"),
    [("spam", "spam"), (" SPAM ", "spam"), (1, "spam"), ("0", "ham"), (True, "spam"), (0.0, "ham")],
)
def test_labels_may_be_names_or_indices(value, label):
    assert label_of(value, ("ham", "spam")) == label


@pytest.mark.parametrize("value", ["spma", 2, -1, None, 0.5, "", "９９", [1]])
def test_other_labels_are_refused(value):
    with pytest.raises(BadData, match="allowed: ham or 0, spam or 1"):
        label_of(value, ("ham", "spam"))


def examples(name: str, row: dict):
    return list(apps.load(name).read(row))


@pytest.mark.parametrize(
    "row", [{"en": "Hi", "zh": "你好"}, {"translation": {"en": "Hi", "zh": "你好"}}]
)
def test_a_pair_teaches_both_directions(row):
    there, back = examples("translation", row)
    prompt = apps.load("translation").prompt
    assert (prompt(there.input), there.answers, there.part) == (
        "English: Hi\nChinese:",
        ("你好",),
        "en_zh",
    )
    assert (prompt(back.input), back.answers, back.part) == (
        "Chinese: 你好\nEnglish:",
        ("Hi",),
        "zh_en",
    )


def test_the_direction_follows_the_script_unless_it_is_given():
    task = apps.load("translation")
    assert task.prompt(task.input(text="你好")) == "Chinese: 你好\nEnglish:"
    assert task.prompt(task.input(text="Hi")) == "English: Hi\nChinese:"
    assert task.prompt(task.input(text="Hi", direction="zh-en")) == "Chinese: Hi\nEnglish:"


def test_answers_of_a_passage_are_those_that_stand_in_it():
    row = {
        "context": "The mill was built in 1820.",
        "question": "When?",
        "answers": {"text": ["1820", "1820", "in 1820", "1821"], "answer_start": [22, 22, 19, 0]},
    }
    (example,) = examples("qa", row)
    task = apps.load("qa")
    assert example.answers == ("1820", "in 1820")
    assert example.part == ""
    assert task.prompt(example.input) == "The mill was built in 1820.\nQuestion: When?\nAnswer:"
    assert isinstance(task.answer, Span)
    assert task.answer.passage(example.input) == row["context"]


def test_an_instruction_is_a_turn_of_a_conversation():
    (example,) = examples("qa", {"instruction": "Add.", "input": "1, 2", "output": "3"})
    assert apps.load("qa").prompt(example.input) == "User: Add.\n1, 2\nAssistant:"
    assert example.part == "chat"
    (bare,) = examples("qa", {"instruction": "Add.", "input": None, "output": "3"})
    assert apps.load("qa").prompt(bare.input) == "User: Add.\nAssistant:"


def test_every_turn_of_the_assistant_is_an_example():
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "Bye"},
        {"role": "assistant", "content": "See you"},
    ]
    first, second = examples("qa", {"messages": messages})
    assert first.answers == ("Hello",)
    assert apps.load("qa").prompt(second.input) == (
        "System: Be brief.\nUser: Hi\nAssistant: Hello\nUser: Bye\nAssistant:"
    )


@pytest.mark.parametrize(
    ("text", "opening", "rest"),
    [
        ("I love a cup of tea.", "I love a", "cup of tea."),
        ("One two\nthree four", "One two\n", "three four"),
        ("今天我们去公园", "今天我", "们去公园"),
        ("word", "", "word"),
        ("one two three four five six seven eight nine ten eleven twelve thirteen",
         "one two three four five six", "seven eight nine ten eleven twelve thirteen"),
    ],
)  # fmt: skip
def test_a_text_is_split_into_its_opening_and_the_rest(text, opening, rest):
    (example,) = examples("generation", {"text": text})
    assert (example.input.text, example.answers, example.part) == (opening, (rest,), "text")


def test_a_request_is_completed():
    (example,) = examples("generation", {"prompt": "food: noodles", "completion": "Eat noodles."})
    assert apps.load("generation").prompt(example.input) == "food: noodles\nText:"
    assert (example.answers, example.part) == (("Eat noodles.",), "")


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("sentiment", {"text": " ", "label": 1}),
        ("spam", {"text": None, "label": 1}),
        ("spam", {"text": "Hi", "label": None}),
        ("translation", {"en": "Hi", "zh": ""}),
        ("translation", {"translation": None}),
        ("qa", {"context": "a", "question": "b", "answers": {"text": ["c"]}}),
        ("qa", {"context": "a", "question": "b", "answers": 3}),
        ("qa", {"messages": []}),
        ("qa", {"messages": [{"role": "user", "content": "a"}]}),
        ("qa", {"messages": [{"role": "robot", "content": "a"}]}),
        ("qa", {"instruction": "a", "output": ""}),
        ("generation", {"text": "\n"}),
        ("generation", {"prompt": "", "completion": "a"}),
    ],
)
def test_rows_that_teach_nothing_are_refused(name, row):
    with pytest.raises(BadData):
        examples(name, row)


@pytest.mark.parametrize("content", ["task = 1", "import nowhere", "raise SystemExit", "def"])
def test_a_broken_file_is_named_and_costs_no_other_task(tmp_path, monkeypatch, caplog, content):
    (tmp_path / "broken.py").write_text(content)
    monkeypatch.setenv("QUINTET_APPS", str(tmp_path))
    assert sorted(apps.usable()) == ["generation", "qa", "sentiment", "spam", "translation"]
    assert "broken.py" in caplog.text and caplog.text.count("Left out") == 1
    with pytest.raises(BadSetting, match=r"broken\.py"):
        apps.load("broken")
