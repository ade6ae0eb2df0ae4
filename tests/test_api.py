"""`import quintet`: light, typed, and each of its four functions does its work on a tiny backbone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState
from safetensors.torch import load_file

import quintet
from core import backbone as backbones
from core.errors import BadSetting, MissingAdapter, UnknownTask

ROOT = Path(__file__).parents[1]
ROWS = [{"text": f"{'STOP' if n % 2 else 'stop'} number {n}", "label": n % 2} for n in range(40)]


@pytest.fixture(scope="module")
def nano(tokenizer, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("backbone") / "nano"
    backbones.save(backbones.create("nano", tokenizer), folder)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("data") / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    return path


@pytest.fixture(autouse=True)
def a_process_of_its_own():
    yield
    quintet._service.cache_clear()
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture
def run(nano, data, tmp_path):
    return quintet.finetune(
        "sentiment", data, backbone=nano, output=tmp_path / "run", max_steps=8, learning_rate=0.01,
        lora={"r": 4},
    )  # fmt: skip


def test_importing_loads_nothing():
    program = "import sys; before = set(sys.modules); import quintet; print(sorted(sys.modules))"
    found = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", program],
        capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    heavy = ("torch", "transformers", "pydantic", "typer", "rich", "numpy", "core", "apps")
    assert [name for name in heavy if f"'{name}'" in found.stdout] == []


def test_a_run_is_learned_scored_installed_and_answers(nano, data, tmp_path):
    made = quintet.finetune(
        "sentiment", [data], backbone=nano, output=tmp_path / "run", install=True,
        max_steps=30, learning_rate=0.01,
    )  # fmt: skip
    assert (made.folder / "report" / "report.html").is_file()
    assert made.results.task == "sentiment" and made.passport.rows > 0
    application = quintet.load("sentiment", backbone=nano)
    found = application("STOP number 3")
    assert set(found.probabilities) == {"negative", "positive"}
    assert found.text == max(found.probabilities, key=found.probabilities.__getitem__)
    assert quintet.load("sentiment@1", backbone=nano)("STOP number 3") == found
    again = quintet.load("sentiment", adapter=made.folder / "adapter", backbone=nano)
    assert again("STOP number 3") == found
    assert again.engine is application.engine


def test_settings_are_those_of_the_command(run):
    adapter = json.loads((run.folder / "adapter" / "adapter_config.json").read_text())
    assert adapter["r"] == 4
    assert "max_steps: 8" in (run.folder / "config.yaml").read_text()


def test_an_evaluation_holds_the_verdict(run, nano, data, tmp_path):
    found = quintet.evaluate(
        "sentiment", data, adapter=run.folder / "adapter", backbone=nano, resamples=100,
        output=tmp_path / "report",
    )  # fmt: skip
    assert found.rows == len(ROWS)
    assert found.entries[-1].name == found.subject == "adapter"
    assert {"base", "majority"} <= {entry.name for entry in found.entries}
    written = json.loads((tmp_path / "report" / "results.json").read_text())
    assert written["verdict"]["sentence"] == found.verdict.sentence


@pytest.mark.parametrize(("dtype", "name"), [("bf16", "bfloat16"), ("auto", "float32")])
def test_a_backbone_in_half_learns_with_an_adapter_in_full(nano, data, tmp_path, dtype, name):
    made = quintet.finetune(
        "sentiment", data, backbone=nano, output=tmp_path / "run", max_steps=4, dtype=dtype
    )
    assert made.passport.dtype == name
    kept = load_file(made.folder / "adapter" / "adapter_model.safetensors")
    assert {tensor.dtype for tensor in kept.values()} == {torch.float32}
    saved = next(next(made.folder.glob("checkpoint-*")).glob("*.pt"))
    memory = torch.load(saved, weights_only=True)["optimizers"][0]["state"]
    moments = [one for state in memory.values() for one in state.values()]
    assert {one.dtype for one in moments} == {torch.float32}
    short = {"bfloat16": "bf16", "float32": "fp32"}[name]
    assert made.results.environment.device == f"cpu, {short}"
    assert f"dtype: {short}" in (made.folder / "config.yaml").read_text()
    application = quintet.load(
        "sentiment", adapter=made.folder / "adapter", backbone=nano, dtype=dtype
    )
    assert str(application.engine.backbone.model.dtype) == f"torch.{name}"


def test_labels_and_columns_are_renamed(nano, tmp_path):
    rows = [{"review": row["text"], "stars": str(1 + 4 * row["label"])} for row in ROWS]
    (tmp_path / "r.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    made = quintet.finetune(
        "sentiment", tmp_path / "r.jsonl", backbone=nano, output=tmp_path / "run", max_steps=1,
        columns={"text": "review", "label": "stars"}, labels={"1": "negative", "5": "positive"},
    )  # fmt: skip
    assert made.passport.rows > 0


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: quintet.load("sentimant", backbone="mini"), UnknownTask, "mean 'sentiment'"),
        (lambda: quintet.finetune("spam", learning_rat=1), BadSetting, "mean 'learning_rate'"),
        (lambda: quintet.evaluate("spam", against=["bse"]), BadSetting, "--against names 'bse'"),
    ],
)
def test_what_is_wrong_is_said_before_the_work(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_a_backbone_without_adapters_says_so(nano):
    with pytest.raises(MissingAdapter, match="quintet finetune spam"):
        quintet.load("spam", backbone=nano)


def test_serve_opens_the_pages(nano, unused_port):
    import gradio

    options = {"backbone": nano, "port": unused_port}
    serving = threading.Thread(target=quintet.serve, args=("spam",), kwargs=options, daemon=True)
    serving.start()
    page = b""
    for _ in range(60):  # slowly: gradio asks itself meanwhile, and gives up after 3 s
        time.sleep(1)
        with suppress(OSError):
            page = urllib.request.urlopen(f"http://127.0.0.1:{unused_port}", timeout=5).read()
            break
    assert b"Quintet" in page
    gradio.close_all(verbose=False)
    serving.join(timeout=20)
    assert not serving.is_alive()


@pytest.fixture
def unused_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_program_of_a_user_is_type_checked(tmp_path):
    (tmp_path / "program.py").write_text(
        "import quintet\n"
        'reveal_type(quintet.load("spam"))\n'
        'reveal_type(quintet.finetune("spam"))\n'
        'reveal_type(quintet.evaluate("spam"))\n'
    )
    found = subprocess.run(
        [sys.executable, "-m", "mypy", "--no-error-summary", f"--config-file={ROOT}/pyproject.toml",
         f"--cache-dir={ROOT}/.mypy_cache", "program.py"],
        capture_output=True, text=True, cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(ROOT)},
    )  # fmt: skip
    for kind in ("Application[Any]", "finetuning.Run", "results.Results"):
        assert kind in found.stdout, found.stdout
