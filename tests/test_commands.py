"""The command as a person types it: in a process of its own, with a tiny backbone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core import backbone as backbones

ROOT = Path(__file__).parents[1]
SIXTH = """
from core.labels import label_of, text_of
from core.task import Choice, Criterion, Example, Input, Task

class Line(Input):
    text: str

task = Task(
    title="Shouting", description="Is it loud?", input=Line, columns=(("text", "label"),),
    sources=(), read=lambda row: [
        Example(input=Line(text=text_of(row, "text")), answers=(label_of(row["label"], ("no", "yes")),))
    ],
    prompt=lambda line: f"{line.text}\\nLoud:", answer=Choice(labels=("no", "yes")),
    metrics=("classification",), select_by=Criterion(metric="macro_f1"), samples=(Line(text="HELLO"),),
)
"""


def quintet(*arguments: object, cwd: Path = ROOT, **environment: str):
    return subprocess.run(
        [sys.executable, "-m", "quintet", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200", **environment},
        timeout=400,
    )


def fails(found, *words: str) -> None:
    """One clear line on stderr, nothing on stdout, a non-zero exit."""
    assert found.returncode == 2, found
    assert found.stdout == ""
    lines = [line for line in found.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, lines
    for word in words:
        assert word in lines[0]


def write(path: Path, *rows: dict) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


LOUD = [{"text": f"{'STOP' if n % 2 else 'stop'} number {n}", "label": n % 2} for n in range(40)]


@pytest.fixture(scope="module")
def nano(tokenizer, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("backbone") / "nano"
    backbones.save(backbones.create("nano", tokenizer), folder)
    return folder


@pytest.fixture
def apps_folder(tmp_path: Path) -> str:
    (tmp_path / "apps").mkdir()
    (tmp_path / "apps" / "shouting.py").write_text(SIXTH)
    return str(tmp_path / "apps")


def test_help_is_there_at_once():
    times = []
    for _ in range(3):
        start = time.perf_counter()
        found = quintet("--help")
        assert found.returncode == 0 and "finetune" in found.stdout
        times.append(time.perf_counter() - start)
    program = (
        "import sys, commands.table; "
        "print([m for m in ('torch', 'pydantic', 'rich', 'numpy') if m in sys.modules])"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT
    )
    assert loaded.stdout.strip() == "[]"


def test_a_sixth_task_is_one_new_file(tmp_path, nano, apps_folder):
    data = write(tmp_path / "rows.jsonl", *LOUD)
    run = tmp_path / "run"
    made = quintet(
        "finetune", "shouting", "--data", data, "--backbone", nano, "--output", run, "--install",
        "--max-steps", "30", "--learning-rate", "0.01", QUINTET_APPS=apps_folder,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    assert "installed:" in made.stdout
    said = quintet("predict", "shouting", "STOP number 3", "--backbone", nano, "--json",
                   QUINTET_APPS=apps_folder)  # fmt: skip
    assert json.loads(said.stdout)["text"] in ("no", "yes")
    scored = quintet("evaluate", "shouting", "--data", data, "--backbone", nano, "--json",
                     QUINTET_APPS=apps_folder)  # fmt: skip
    found = json.loads(scored.stdout)
    assert list(found) == ["task", "data", "rows", "metrics", "signatures"]
    assert found["rows"] == 40 and 0 <= found["metrics"]["f1_yes"] <= 1
    listed = json.loads(quintet("adapters", "list", "--json", QUINTET_APPS=apps_folder).stdout)
    assert any(row["name"] == "shouting@1" and row["served"] for row in listed)
    verified = quintet(
        "adapters", "verify", "shouting", "--backbone", nano, QUINTET_APPS=apps_folder
    )
    assert "fits" in verified.stdout


def test_a_dry_run_learns_nothing(tmp_path, nano):
    data = write(tmp_path / "rows.jsonl", *LOUD)
    seen = quintet("finetune", "sentiment", "--data", data, "--backbone", nano, "--dry-run",
                   cwd=tmp_path)  # fmt: skip
    assert seen.returncode == 0, seen.stderr
    assert (
        "27 to learn, 13 to pick" in seen.stderr and "0 left with nothing to learn" in seen.stderr
    )
    assert not (tmp_path / "runs").exists()


BAD = {
    "a missing file": ("nowhere.jsonl", None, ("No file or folder",)),
    "an empty file": ("empty.jsonl", b"", ("empty.jsonl", "no rows")),
    "a wrong column": ("c.csv", b"txt,label\nhello,0\n", ("'text'", "Did you mean 'txt'")),
    "broken JSON": (
        "b.jsonl",
        b'{"text": "a", "label": 0}\n' * 16 + b'{"text": "a", \n',
        ("b.jsonl, line 17", "broken JSON"),
    ),
    "an unknown label": ("l.csv", b"text,label\nhello,glad\n", ("line 2", "'glad'", "negative")),
    "a very long line": ("m.csv", b"text,label\n" + b"x" * 2**20 + b",1\n", ("line 2", "bytes")),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("command", ["finetune", "evaluate"])
def test_bad_data_is_one_line_and_nothing_half_written(command, name, tmp_path, nano):
    file, content, words = BAD[name]
    if content is not None:
        (tmp_path / file).write_bytes(content)
    output = tmp_path / "out"
    found = quintet(command, "sentiment", "--data", tmp_path / file, "--backbone", nano,
                    "--output", output)  # fmt: skip
    fails(found, *words)
    assert not output.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("evaluate", "sentimant"), ("Unknown task", "Did you mean 'sentiment'")),
        (("finetune", "spam", "--learning-rat", "1"), ("Unknown key", "'learning_rate'")),
        (("finetune", "spam", "--learning-rate", "fast"), ("learning_rate", "number")),
        (("finetune", "spam", "--lora.rank", "4"), ("Unknown key 'rank' under lora",)),
        (("predict", "spam"), ("--input",)),
        (("evaluate", "spam", "--map", "text"), ("OURS=THEIRS",)),
        (("evaluate", "spam", "--limit", "0"), ("limit",)),
        (("evaluate", "spam", "--nonsense"), ("nonsense",)),
        (("evaluate", "spam", "--backbone", "./nowhere"), ("No folder",)),
        (("data", "check", "nowhere.csv", "--task", "spam"), ("No file or folder",)),
        (("adapters", "show", "spam@9"), ("No version",)),
        (("pretrain", "--preset", "huge"), ("No texts",)),
        (
            ("pretrain", "--data", str(ROOT / "docs"), "--tokenizer", "runs/none"),
            ("No tokenizer in runs/none", "quintet tokenizer train"),
        ),
        (("predict", "qa", "Who?", "--pasage", "x"), ("flag --pasage", "Did you mean 'passage'")),
        (
            ("predict", "qa", "--input", "a.csv", "--output", "b.csv", "--passage", "x"),
            ("flag --pas",),
        ),
        (("demo", "--port", "99999"), ("--port", "65535")),
        (("quickstart", "--seed", "-1"), ("--seed", "0")),
        (("finetune", "spam", "--seeds", "1,1"), ("two or more different",)),
        (("finetune", "spam", "--output", f"{__file__}/run"), ("is a file where a folder",)),
        (("evaluate", "spam", "--output", __file__), ("is a file where a folder",)),
        (("tokenizer", "train", "--output", str(ROOT / "docs")), ("something else",)),
    ],
)
def test_bad_arguments_are_one_line(arguments, words, nano):
    if arguments[0] in ("finetune", "data"):
        arguments = (*arguments, "--backbone", str(nano))
    fails(quintet(*arguments), *words)


def test_bad_rows_are_named_by_data_check(tmp_path, nano):
    data = write(tmp_path / "rows.jsonl", *LOUD, {"text": "hm", "label": "glad"}, {"text": "x"})
    found = quintet("data", "check", data, "--task", "sentiment", "--backbone", nano)
    assert found.returncode == 1
    assert "line 41: Unknown label 'glad'" in found.stdout
    assert "line 42: lacks columns" in found.stdout


def test_from_raw_text_to_an_answer(tmp_path, texts):
    (tmp_path / "texts").mkdir()
    for number, text in enumerate(texts):
        (tmp_path / "texts" / f"{number}.txt").write_text(text * 40, encoding="utf-8")
    made = quintet("tokenizer", "train", "--data", tmp_path / "texts", "--vocab-size", "400",
                   "--output", tmp_path / "tokenizer")  # fmt: skip
    assert "bytes per token" in made.stdout, made.stderr
    trained = quintet(
        "pretrain", "--data", tmp_path / "texts", "--preset", "nano", "--tokenizer",
        tmp_path / "tokenizer", "--output", tmp_path / "run", "--max-steps", "6",
        "--block-size", "64", "--per-device-train-batch-size", "4",
    )  # fmt: skip
    assert trained.returncode == 0, trained.stderr
    assert {"backbone", "log.jsonl", "loss.png", "config.yaml"} <= {
        path.name for path in (tmp_path / "run").iterdir()
    }
    again = quintet("pretrain", "--data", tmp_path / "texts", "--preset", "nano", "--tokenizer",
                    tmp_path / "tokenizer", "--output", tmp_path / "run")  # fmt: skip
    fails(again, "holds a run", "--resume")
    rows = write(tmp_path / "rows.jsonl", *LOUD)
    tuned = quintet("finetune", "spam", "--data", rows, "--backbone", tmp_path / "run/backbone",
                    "--max-steps", "2", "--output", tmp_path / "ft")  # fmt: skip
    assert tuned.returncode == 0, tuned.stderr
    said = quintet("predict", "spam", "STOP", "--adapter", tmp_path / "ft/adapter",
                   "--backbone", tmp_path / "run/backbone")  # fmt: skip
    assert said.stdout.split()[0] in ("ham", "spam"), said.stderr


def test_doctor_says_what_is_missing(nano):
    found = json.loads(quintet("doctor", "--json").stdout)
    assert found["torch"] and "GFLOP/s" in found["matrix products, fp32"]


def test_ctrl_c_says_where_the_run_stands_and_how_it_goes_on(tmp_path, nano):
    data = write(tmp_path / "rows.jsonl", *LOUD)
    run = subprocess.Popen(
        [sys.executable, "-m", "quintet", "finetune", "sentiment", "--data", str(data),
         "--backbone", str(nano), "--output", str(tmp_path / "run"), "--max-steps", "100000"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    log = tmp_path / "run" / "log.jsonl"
    while run.poll() is None and not (log.is_file() and '"step": 1,' in log.read_text()):
        time.sleep(0.05)
    run.send_signal(signal.SIGINT)
    _, said = run.communicate(timeout=100)
    assert run.returncode == 130, said
    last = said.strip().splitlines()[-1]
    assert last.startswith("Stopped at step") and "Go on with --resume" in last
    assert any((tmp_path / "run").glob("checkpoint-*"))


@pytest.mark.parametrize("asked", [["spam"], ["--matrix", "--json"]])
def test_where_a_report_cannot_be_written_nothing_is_scored(asked, tmp_path):
    (tmp_path / "runs").write_text("a file")
    found = quintet("evaluate", *asked, "--backbone", "no-such-backbone", cwd=tmp_path)
    fails(found, "a file where a folder is meant")
