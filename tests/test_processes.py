"""Two processes on one run: what one would have learned, written once."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from core import backbone as backbones
from core.adapters.lora import AdapterStack
from core.backbone import presets
from core.engine.prompting import Encoded
from core.errors import BadSetting
from finetune.training import processes, shards
from finetune.training.collation import answer_loss, collate, share
from tests.test_finetuning import reviews

ROOT = Path(__file__).parent.parent
KEYS = (
    *("--per-device-train-batch-size", "5", "--logging-steps", "1", "--eval-steps", "3"),
    *("--max-eval-rows", "16", "--bf16", "off", "--learning-rate", "0.02", "--max-test-rows", "0"),
)
SAVED = ("--max-steps", "7", "--save-steps", "3", "--save-total-limit", "9")


@pytest.mark.parametrize(
    ("kind", "way_out"),
    [("FSDP", "FSDP_VERSION=2"), ("DEEPSPEED", "ACCELERATE_USE_FSDP=true FSDP_VERSION=2")],
)
def test_what_the_loop_cannot_shard_is_refused_before_the_work(kind, way_out, monkeypatch):
    monkeypatch.setenv(f"ACCELERATE_USE_{kind}", "true")
    with pytest.raises(BadSetting, match=way_out):
        processes.start("cpu")


@pytest.mark.parametrize(
    "lora", [{"modules_to_save": ["lm_head"]}, {"target_modules": ["lm_head"]}]
)
def test_in_shards_only_the_layers_learn(lora, backbone):
    stack = AdapterStack(backbone)
    stack.create("layers", seed=0)
    with stack.training("layers"):
        shards.check_learned(backbone.model)
    stack.create("head", lora, seed=0)
    with stack.training("head"), pytest.raises(BadSetting, match=r"lm_head.* is in none"):
        shards.check_learned(backbone.model)


@pytest.mark.parametrize("world", [1, 2, 3, 7])
def test_the_parts_of_a_batch_are_the_batch(world, backbone):
    rows = [Encoded(list(range(20, 24 + n)), 2 + n % 2) for n in range(5)]
    batch = collate(rows, 1)
    whole = answer_loss(backbone.model, batch)
    parts = [answer_loss(backbone.model, share(batch, rank, world)) for rank in range(world)]
    assert sum(loss.item() for loss, _, _ in parts) == pytest.approx(whole[0].item(), rel=1e-5)
    assert [sum(column) for column in zip(*(part[1:] for part in parts), strict=True)] == [
        whole[1],
        whole[2],
    ]
    assert all(loss.requires_grad for loss, _, _ in parts)


def command(folder: Path, output: str, processes: int, *more: str) -> list[str]:
    launcher = ["-m", "torch.distributed.run", "--nproc_per_node", str(processes)]
    launcher += ["--rdzv_backend", "c10d", "--rdzv_endpoint", "localhost:0"]
    return [
        *(sys.executable, *(launcher if processes > 1 else []), "-m", "quintet"),
        *("finetune", "sentiment", "--backbone", str(folder / "nano"), "--from-base"),
        *("--data", str(folder / "data" / "train.jsonl"), "--output", str(folder / output)),
        *("--device", "cpu", *KEYS, *more),
    ]


def environment(**more: str) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        **more,
    }


def run(arguments: list[str], **more: str) -> tuple[str, str]:
    found = subprocess.run(
        arguments, env=environment(**more), capture_output=True, text=True, timeout=600
    )
    assert found.returncode == 0, found.stderr[-3000:]
    return found.stdout, found.stderr


def logged(folder: Path) -> list[dict[str, float]]:
    lines = map(json.loads, (folder / "log.jsonl").read_text().splitlines())
    return [{k: v for k, v in line.items() if k != "tokens_per_second"} for line in lines]


@pytest.fixture
def prepared(tmp_path, tokenizer) -> Path:
    torch.manual_seed(0)
    backbones.save(presets.create("nano", tokenizer), tmp_path / "nano")
    reviews(tmp_path / "data")
    return tmp_path


def test_two_processes_learn_what_one_learns_whole_or_in_shards(prepared):
    run(command(prepared, "one", 1, "--max-steps", "7"))
    said, _ = run(command(prepared, "two", 2, *SAVED))
    assert said.count("adapter: ") == 1
    agree(prepared / "one", prepared / "two")
    assert (prepared / "two" / "report" / "report.html").is_file()
    shards_go_on_as_the_whole_would(prepared)


def agree(one: Path, two: Path) -> None:
    left, right = logged(one), logged(two)
    assert [line["step"] for line in left] == [line["step"] for line in right]
    for a, b in zip(left, right, strict=True):
        assert b == pytest.approx(a, rel=1e-5, abs=1e-5)


def shards_go_on_as_the_whole_would(folder: Path) -> None:
    """From step 3 of "two"; its best step, 6, comes after that."""
    cut = shutil.copytree(folder / "two", folder / "shards")
    for name in ("checkpoint-6", "checkpoint-7", "adapter", "report"):
        shutil.rmtree(cut / name)
    shards = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2"}
    _, told = run(command(folder, "shards", 2, *SAVED, "--resume"), **shards)
    own, whole = re.search(r"holds ([\d,]+) of ([\d,]+) weights", told).groups()
    assert int(own.replace(",", "")) < 0.7 * int(whole.replace(",", ""))
    agree(folder / "two", cut)
    for name in ("adapter/adapter_model.safetensors", "checkpoint-7/weights.safetensors"):
        expected, found = load_file(folder / "two" / name), load_file(cut / name)
        assert expected.keys() == found.keys()
        assert all(torch.allclose(found[k], one, atol=1e-5) for k, one in expected.items())
    momenta = [
        torch.load(one / "checkpoint-7" / "optimizer.pt")["optimizers"][0]["state"]
        for one in (folder / "two", cut)
    ]
    for place, state in momenta[0].items():
        torch.testing.assert_close(momenta[1][place], state, rtol=1e-4, atol=1e-6)
    assert (cut / "report" / "report.html").is_file()


def test_shards_that_were_validated_first_can_learn(prepared):
    asked = command(prepared, "new", 2, "--max-steps", "1")
    run(asked, ACCELERATE_USE_FSDP="true", FSDP_VERSION="2")
    assert [line["step"] for line in logged(prepared / "new")][:2] == [0, 1]


def test_a_stop_signal_to_two_processes_is_resumable(prepared):
    started = subprocess.Popen(
        command(prepared, "two", 2, "--max-steps", "100000"),
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    log = prepared / "two" / "log.jsonl"
    deadline = time.monotonic() + 500
    while not (log.is_file() and '"step": 2,' in log.read_text()):
        assert started.poll() is None and time.monotonic() < deadline
        time.sleep(0.2)
    started.send_signal(signal.SIGINT)
    _, errors = started.communicate(timeout=120)
    assert started.returncode != 0 and "Go on with --resume" in errors
    found = list((prepared / "two").glob("checkpoint-*"))
    assert len(found) == 1
    state = json.loads((found[0] / "state.json").read_text())["state"]
    assert state["step"] == int(found[0].name.removeprefix("checkpoint-"))
