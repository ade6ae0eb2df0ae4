"""Every hash of a passport is computed again, and what was altered is refused."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file, save_file

import apps
from core import backbone as backbones
from core.adapters.passport import PASSPORT, read_passport
from core.engine import Engine
from core.errors import Damaged, Mismatch
from core.service import Service
from finetune import finetuning
from finetune.material import Request, gather
from finetune.settings import FinetuneSettings
from finetune.verifying import verify

TASK = apps.load("spam")
ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def run(tmp_path_factory, tokenizer) -> Path:
    folder = tmp_path_factory.mktemp("verify")
    rows = [{"text": f"{'WIN' if n % 2 else 'tea'} {n}", "label": n % 2} for n in range(40)]
    data = folder / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    request = Request(
        task=TASK,
        sources=(str(data),),
        settings=FinetuneSettings(max_steps=2, bf16="off"),
        output=folder / "run",
        device="cpu",
    )
    engine = Engine(backbones.create("nano", tokenizer, seed=0))
    finetuning.finetune(request, engine, gather(request), Console(quiet=True))
    return folder


@pytest.fixture
def copied(run: Path, tmp_path: Path) -> Path:
    import shutil

    return Path(shutil.copytree(run / "run" / "adapter", tmp_path / "adapter"))


def served(backbone, task=TASK) -> Service:
    return Service(backbone, {"spam": task})


def test_what_was_not_altered_fits(run, copied, backbone):
    found = verify(served(backbone), copied, [str(run / "rows.jsonl")])
    passport = read_passport(copied)
    assert found["data"] == passport.data_hash and found["code"] == passport.code_version
    assert found["metrics"] == passport.seal != ""
    assert verify(served(backbone), copied)["data"] == "not checked: give --data"


def test_other_rows_are_told(run, copied, backbone):
    with pytest.raises(Mismatch, match="trained on other rows"):
        verify(served(backbone), copied, [str(run / "rows.jsonl")], limit=39)


def test_a_flipped_byte_of_the_prompt_is_refused_at_load(copied, backbone):
    other = dataclasses.replace(TASK, prompt=lambda message: f"{message.text}\nThis message is;")
    with pytest.raises(Mismatch, match=r"does not fit: prompt \("):
        served(backbone, other).application("spam", copied)


def test_another_backbone_and_another_tokenizer_are_told_apart(copied, backbone, texts):
    from core.backbone import tokenizer as tokenizers

    with torch.no_grad():
        next(backbone.model.parameters())[0, 0] += 1
    with pytest.raises(Mismatch, match=r"does not fit: backbone \("):
        served(backbones.refreshed(backbone)).application("spam", copied)
    other = tokenizers.train(texts, vocab_size=500)
    with pytest.raises(Mismatch, match=r"does not fit: tokenizer \("):
        served(backbones.create("nano", other)).application("spam", copied)


def test_an_edited_metric_breaks_the_seal(copied, backbone):
    path = copied / PASSPORT
    passport = json.loads(path.read_text())
    passport["metrics"]["accuracy"] = 0.999
    path.write_text(json.dumps(passport))
    with pytest.raises(Damaged, match="was altered after it was written"):
        served(backbone).application("spam", copied)


def test_altered_weights_are_found(copied, backbone):
    path = copied / "adapter_model.safetensors"
    weights = {key: tensor + 1e-3 for key, tensor in load_file(path).items()}
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(Mismatch, match="is not the file that was trained"):
        verify(served(backbone), copied)


def test_rows_are_read_before_torch_is_loaded():
    program = (
        "import sys, finetune.material, finetune.splits, commands.training, commands.evaluating;"
        "print([m for m in ('torch', 'transformers', 'sklearn', 'evaluate') if m in sys.modules])"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert loaded.stdout.strip() == "[]"
