"""A file in, a file out: the answers of the application, and nothing lost on the way."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from rich.console import Console

import apps
from commands.answering import tell_empty
from commands.fields import text_among
from core.adapters.lora import AdapterStack
from core.adapters.passport import OperatingPoint
from core.application import Application
from core.engine.engine import Engine
from core.errors import BadColumns, BadData, BadSetting, Busy, Stopped
from finetune.data.inputs import input_of
from finetune.data.tables import check_output
from finetune.workflows import progress
from finetune.workflows.batch_prediction import predict_file

TEXTS = [
    f"The {word} was {mood}." for word in ("film", "book", "mill") for mood in ("warm", "cold")
]


@pytest.fixture
def engine(backbone) -> Engine:
    stack = AdapterStack(backbone)
    stack.create("own", seed=0)
    source = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in stack.parameters("own"):
            parameter.copy_(torch.randn(parameter.shape, generator=source) * 0.2)
    return Engine(backbone, stack)


def rows(path: Path, found: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in found), encoding="utf-8")
    return path


def written(path: Path) -> list[dict]:
    match path.suffix:
        case ".parquet":
            return pq.read_table(path).to_pylist()
        case ".jsonl":
            return [json.loads(line) for line in path.read_text().splitlines()]
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t" if path.suffix == ".tsv" else ","))


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
def test_the_file_holds_what_the_application_says(engine, tmp_path, suffix):
    application = Application(apps.load("sentiment"), engine, "own")
    source = rows(tmp_path / "in.jsonl", [{"id": n, "text": t} for n, t in enumerate(TEXTS)])
    output = tmp_path / f"out.{suffix}"
    assert predict_file(application, source, output, batch_size=2) == len(TEXTS)
    found = written(output)
    expected = list(application.predict([application.input(text) for text in TEXTS], batch_size=2))
    assert [row["prediction"] for row in found] == [one.text for one in expected]
    assert [str(row["id"]) for row in found] == [str(n) for n in range(len(TEXTS))]
    for row, one in zip(found, expected, strict=True):
        stated = float(row["probability_positive"])
        # Rows that share a batch move one another in the last bit of fp32.
        assert stated == pytest.approx(one.probabilities["positive"], abs=1e-6)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_gold_rows_of_squad_are_asked_with_their_passage(engine, tmp_path):
    application = Application(apps.load("qa"), engine, "own")
    row = {"context": "The mill stood near the river.", "question": "Where?",
           "answers": {"text": ["near the river"], "answer_start": [15]}}  # fmt: skip
    predict_file(application, rows(tmp_path / "in.jsonl", [row]), tmp_path / "out.jsonl")
    found = written(tmp_path / "out.jsonl")[0]
    assert row["context"][found["span_start"] : found["span_end"]] == found["prediction"]


def test_a_stopped_run_goes_on_and_ends_byte_by_byte_the_same(engine, tmp_path):
    application = Application(apps.load("generation"), engine, "own")
    source = rows(tmp_path / "in.jsonl", [{"text": text} for text in TEXTS * 4])
    options = {"batch_size": 2, "max_new_tokens": 6}
    predict_file(application, source, tmp_path / "whole.jsonl", **options)

    def stop(done: int, total: int) -> None:
        if done >= 12:
            raise KeyboardInterrupt

    with pytest.raises(Stopped, match="same command"):
        predict_file(application, source, tmp_path / "out.jsonl", progress=stop, **options)
    assert not (tmp_path / "out.jsonl").exists()
    with (tmp_path / ".out.jsonl.partial.jsonl").open("a") as file:
        file.write('{"prediction": "half a li')
    seen: list[int] = []
    predict_file(
        application, source, tmp_path / "out.jsonl",
        progress=lambda done, total: seen.append(done), **options,
    )  # fmt: skip
    assert seen[0] == 16
    assert (tmp_path / "out.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("row", "error", "words"),
    [
        ({"txt": "hello"}, BadColumns, "Did you mean 'txt'"),
        ({"text": "hello", "prediction": "x"}, BadColumns, "'prediction' already"),
        ({"text": 3}, BadData, "line 1"),
    ],
)
def test_bad_rows_leave_no_file(engine, tmp_path, row, error, words):
    application = Application(apps.load("sentiment"), engine, "own")
    source = rows(tmp_path / "in.jsonl", [row])
    with pytest.raises(error, match=words):
        predict_file(application, source, tmp_path / "out.jsonl")
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_every_row_is_checked_before_the_first_is_computed(engine, tmp_path, monkeypatch):
    application = Application(apps.load("sentiment"), engine, "own")
    found = [{"text": text} for text in TEXTS] * 3
    found[12] = {"text": " "}
    source = rows(tmp_path / "in.jsonl", found)
    asked: list[int] = []
    with pytest.raises(BadData, match=r"1 of 18 rows .*line 13: 'text' is empty.*--skip-bad"):
        predict_file(application, source, tmp_path / "out.csv", progress=lambda *n: asked.append(1))
    assert not asked
    assert predict_file(application, source, tmp_path / "out.csv", skip_bad=True) == 18
    answered = written(tmp_path / "out.csv")
    assert [bool(row["prediction"]) for row in answered] == [True] * 12 + [False] + [True] * 5
    assert "line 13" in answered[12]["problem"] and not answered[0]["problem"]


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
def test_every_column_of_every_row_is_kept(engine, tmp_path, suffix):
    application = Application(apps.load("sentiment"), engine, "own")
    source = rows(tmp_path / "in.jsonl", [{"text": "a"}, {"text": "b", "extra": 5}])
    output = tmp_path / f"out.{suffix}"
    predict_file(application, source, output)
    assert [str(row.get("extra") or "") for row in written(output)] == ["", "5"]


def test_what_parquet_cannot_hold_is_told_before_the_work(engine, tmp_path):
    application = Application(apps.load("sentiment"), engine, "own")
    source = rows(tmp_path / "in.jsonl", [{"text": "a", "id": 1}, {"text": "b", "id": "x"}])
    asked: list[int] = []
    with pytest.raises(BadSetting, match=r"'id' holds int and str.*\.jsonl"):
        predict_file(
            application, source, tmp_path / "out.parquet", progress=lambda *n: asked.append(1)
        )
    assert not asked and [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_a_later_row_with_a_column_of_ours_is_refused(engine, tmp_path):
    application = Application(apps.load("sentiment"), engine, "own")
    source = rows(tmp_path / "in.jsonl", [{"text": "a"}, {"text": "b", "prediction": "mine"}])
    with pytest.raises(BadColumns, match="'prediction' already"):
        predict_file(application, source, tmp_path / "out.jsonl")


def test_other_weights_do_not_go_on_with_a_stopped_run(engine, tmp_path):
    source = rows(tmp_path / "in.jsonl", [{"text": text} for text in TEXTS * 4])
    application = Application(apps.load("sentiment"), engine, "own")

    def stop(done: int, total: int) -> None:
        if done >= 8:
            raise KeyboardInterrupt

    def first_step(**options) -> int:
        seen: list[int] = []

        def look(done: int, total: int) -> None:
            seen.append(done)
            raise KeyboardInterrupt

        with pytest.raises(Stopped):
            predict_file(source=source, output=tmp_path / "out.csv", batch_size=2, progress=look,
                         **options)  # fmt: skip
        return seen[0]

    with pytest.raises(Stopped):
        predict_file(application, source, tmp_path / "out.csv", batch_size=2, progress=stop)
    assert first_step(application=application) == 8
    point = OperatingPoint(label="positive", threshold=0.9)
    other = Application(apps.load("sentiment"), engine, "own", operating_point=point)
    assert first_step(application=other) == 0
    with pytest.raises(Stopped):
        predict_file(application, source, tmp_path / "out.csv", batch_size=2, progress=stop)
    with torch.no_grad():
        engine.adapters.parameters("own")[0].add_(0.1)
    assert first_step(application=application) == 0


@pytest.mark.parametrize("suffix", ["csv", "tsv"])
def test_cells_that_spreadsheets_run_are_written_as_text(engine, tmp_path, suffix):
    application = Application(apps.load("sentiment"), engine, "own")
    cells = ["=1+1", "+cmd", "-cmd", "@sum", "-5", "+3.5", "plain"]
    source = rows(tmp_path / "in.jsonl", [{"text": "a", "cell": cell} for cell in cells])
    predict_file(application, source, tmp_path / f"out.{suffix}")
    found = [row["cell"] for row in written(tmp_path / f"out.{suffix}")]
    assert found == ["'=1+1", "'+cmd", "'-cmd", "'@sum", "-5", "+3.5", "plain"]


@pytest.mark.parametrize("answers", [None, {"text": []}, {"text": ["elsewhere"]}])
def test_questions_without_an_answer_are_asked_with_their_passage(tmp_path, answers):
    row = {"context": "The mill stood near the river.", "question": "Where?", "answers": answers}
    row = {name: cell for name, cell in row.items() if cell is not None}
    assert input_of(apps.load("qa"), row, "x").passage == row["context"]


def test_columns_keep_their_names_in_the_output(engine, tmp_path):
    application = Application(apps.load("sentiment"), engine, "own")
    source = rows(tmp_path / "in.jsonl", [{"body": "a"}])
    predict_file(application, source, tmp_path / "out.jsonl", columns_map={"text": "body"})
    assert written(tmp_path / "out.jsonl")[0]["body"] == "a"


def test_an_output_that_cannot_be_is_told_at_once(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder.csv").mkdir()
    for name, words in (
        ("file/out.csv", "is a file"),
        ("folder.csv", "is a folder.*folder.csv/answered.csv"),
        (".", "is a folder"),
    ):
        with pytest.raises(BadSetting, match=words):
            check_output(tmp_path / name, overwrite=False)


def test_an_output_is_not_overwritten_unasked(engine, tmp_path):
    application = Application(apps.load("sentiment"), engine, "own")
    source = rows(tmp_path / "in.jsonl", [{"text": "hello"}])
    output = tmp_path / "out.jsonl"
    output.write_text("mine")
    with pytest.raises(BadSetting, match="--overwrite"):
        predict_file(application, source, output)
    predict_file(application, source, output, overwrite=True)
    with pytest.raises(BadSetting, match="must end in"):
        predict_file(application, source, tmp_path / "out.docx")


@pytest.mark.parametrize("terminal", [False, True])
def test_progress_leaves_no_line_behind(terminal):
    said = io.StringIO()
    with progress.counting(Console(file=said, force_terminal=terminal), "predicting") as told:
        told(1, 2)
        told(2, 2)
    assert terminal == ("predicting" in said.getvalue())
    assert said.getvalue().count("\n") <= terminal


def test_an_output_has_one_writer(engine, tmp_path):
    source = rows(tmp_path / "in.jsonl", [{"text": f"a film {n}"} for n in range(3)])
    application = Application(apps.load("sentiment"), engine, "own")
    output = tmp_path / "out.jsonl"
    said = []

    def second(done: int, total: int) -> None:
        if not said:
            said.append(total)
            with pytest.raises(Busy, match="Another process writes"):
                predict_file(application, source, output)

    assert predict_file(application, source, output, progress=second) == 3
    assert said == [3]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl"]


def test_an_empty_answer_is_told_with_the_choices_left(capsys):
    asked = apps.load("generation").input(text="name[The Mill], food[Italian]")
    tell_empty("The Mill is Italian.", asked)
    assert capsys.readouterr().err == ""
    tell_empty(" ", asked)
    told = capsys.readouterr().err
    assert "empty" in told and "--mode complete" in told and "--mode continue" not in told
    tell_empty("", apps.load("translation").input(text="hello"))
    assert "empty" in capsys.readouterr().err


@pytest.mark.parametrize(
    "typed, text, flags",
    [
        (("a b",), "a b", []),
        (("a b", "--mode", "complete"), "a b", ["--mode", "complete"]),
        (("--mode", "complete", "a b"), "a b", ["--mode", "complete"]),
        (("--mode=complete", "a b"), "a b", ["--mode=complete"]),
        (("--mode", "complete"), None, ["--mode", "complete"]),
        (("--passage", "p", "a b", "--mode", "complete"), "a b", "--passage p --mode complete"),
        (("--mode", "complete", "a", "b"), None, ["--mode", "complete", "a", "b"]),
    ],
    ids=str,
)
def test_fields_may_stand_before_the_text(typed, text, flags):
    wanted = flags.split() if isinstance(flags, str) else flags
    assert text_among(typed[0], typed[1:]) == (text, wanted)
