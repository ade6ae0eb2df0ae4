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
from core import store
from core.adapters.passport import PASSPORT, read_passport, seal_of
from core.engine.engine import Engine
from core.errors import Damaged, Mismatch, QuintetError
from core.service import Service
from finetune.data.training_data import Request, gather
from finetune.settings import FinetuneSettings
from finetune.workflows import finetuning
from finetune.workflows.renewing import renew
from finetune.workflows.verifying import verify

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
    with pytest.raises(Mismatch, match="was altered"):
        verify(served(backbone), copied)


def test_rows_are_read_before_torch_is_loaded():
    program = (
        "import sys, finetune.data.training_data, finetune.data.splits, commands.training, commands.evaluating;"
        "print([m for m in ('torch', 'transformers', 'sklearn', 'evaluate') if m in sys.modules])"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert loaded.stdout.strip() == "[]"


def edited(folder: Path, **changes) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}, indent=2))


@pytest.mark.parametrize(
    "changes",
    [
        {"lora_alpha": 1024},
        {"use_rslora": True},
        {"alpha_pattern": {"q_proj": 64}},
        {"rank_pattern": {"q_proj": 2}},
        {"target_modules": ["q_proj"]},
        {"use_dora": True},
        {"modules_to_save": ["lm_head"]},
        {"fan_in_fan_out": True},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_configuration_that_would_answer_otherwise_is_refused_at_load(copied, backbone, changes):
    edited(copied, **changes)
    with pytest.raises(Mismatch, match=r"adapter_config\.json was altered"):
        served(backbone).application("spam", copied)


def test_what_a_configuration_says_of_its_origin_does_not_count(copied, backbone):
    edited(copied, base_model_name_or_path="elsewhere", peft_version="9", lora_dropout=0.1)
    edited(copied, a_key_of_a_newer_peft=None)
    assert served(backbone).application("spam", copied)


def test_altered_weights_are_refused_at_load(copied, backbone):
    path = copied / "adapter_model.safetensors"
    save_file({key: tensor * 2 for key, tensor in load_file(path).items()}, path)
    with pytest.raises(Mismatch, match="was altered"):
        served(backbone).application("spam", copied)


def test_a_renewed_passport_fits_and_keeps_metrics_and_origin(copied, backbone):
    before = read_passport(copied)
    other = dataclasses.replace(TASK, prompt=lambda message: f"{message.text}\nIt is:")
    service = served(backbone, other)
    with pytest.raises(Mismatch, match="quintet adapters renew"):
        service.application("spam", copied)
    after = renew(service, copied)
    assert served(backbone, other).application("spam", copied)
    kept = ("metrics", "data", "data_hash", "created", "seed", "weights_hash", "baseline")
    assert all(getattr(before, name) == getattr(after, name) for name in kept)
    assert before.prompt_hash != after.prompt_hash == other.prompt_hash


def test_a_passport_of_an_earlier_version_is_renewed(copied, backbone):
    path = copied / PASSPORT
    values = json.loads(path.read_text())
    for name in ("configuration_hash", "dtype", "sources", "training_rows_hash"):
        values.pop(name, None)
    path.write_text(json.dumps({**values, "seal": seal_of(values)}))
    assert renew(served(backbone), copied).configuration_hash
    assert served(backbone).application("spam", copied)


def test_weights_that_do_not_fit_the_backbone_are_not_renewed(copied, tokenizer):
    other = backbones.create("mini", tokenizer, seed=0)
    before = (copied / PASSPORT).read_bytes()
    with pytest.raises(QuintetError):
        renew(served(other), copied)
    assert (copied / PASSPORT).read_bytes() == before


def test_weights_that_were_not_scored_are_not_renewed(copied, backbone):
    edited(copied, lora_alpha=1024)
    with pytest.raises(Mismatch, match="is not the one that was scored"):
        renew(served(backbone), copied)


SHIPPED = sorted((store.SHIPPED / "adapters").glob("*/*/passport.json"))


def test_every_backbone_of_the_package_has_its_adapters():
    found = {(path.parts[-3], path.parts[-2]) for path in SHIPPED}
    for backbone in ("mini", "smollm2"):
        assert {(backbone, name) for name in apps.names()} <= found
    assert ("gemma3", "translation") in found


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: "/".join(path.parts[-3:-1]))
def test_every_shipped_passport_fits_its_files_and_its_prompt(path):
    passport = read_passport(path.parent)
    passport.check_files(path.parent)
    assert passport.task == path.parts[-2] and passport.backbone == path.parts[-3]
    assert passport.prompt_hash == apps.load(passport.task).prompt_hash
    assert not any(one[0] == "/" for source in passport.learned for one in source.sources)
