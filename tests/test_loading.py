"""Backbones from anywhere: GGUF files, shards, odd tokenizers, dtypes, a fingerprint that stays."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from gguf_fixtures import write_gguf
from transformers import AutoModelForCausalLM, AutoTokenizer

import apps
from core import backbone as backbones
from core import store
from core.adapters.lora import AdapterStack
from core.application import Application
from core.backbone import fingerprint as identity
from core.engine.engine import Engine
from core.errors import BadSetting, Damaged, MissingBackbone

IDS = torch.tensor([[0, 40, 50, 60, 70]])


def logits(model) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=IDS).logits


@pytest.fixture
def saved(backbone, tmp_path) -> Path:
    backbones.save(backbone, tmp_path / "saved")
    return tmp_path / "saved"


@pytest.mark.parametrize("kind", ["F32", "Q8_0", "Q4_1"])
@pytest.mark.parametrize("architecture", ["llama", "qwen2", "qwen3"])
def test_a_gguf_file_gives_the_logits_of_transformers_own_loader(
    architecture, kind, tokenizer, tmp_path
):
    path = write_gguf(tmp_path / "tiny.gguf", architecture, tokenizer, kind)
    loaded = backbones.load(path)
    own = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file=path.name, dtype=torch.float32)
    assert torch.equal(logits(loaded.model), logits(own))
    assert loaded.name == "tiny" and loaded.model.config.model_type == architecture
    if kind == "F32":
        again = write_gguf(tmp_path / "again.gguf", architecture, tokenizer)
        assert backbones.load(again).fingerprint == loaded.fingerprint


def test_a_backbone_from_gguf_is_saved_as_stock_files(tokenizer, tmp_path):
    loaded = backbones.load(write_gguf(tmp_path / "tiny.gguf", "llama", tokenizer, "Q8_0"))
    backbones.save(loaded, tmp_path / "stock")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "stock", dtype=torch.float32)
    assert torch.equal(logits(again), logits(loaded.model))
    text = "The weather in the small town was cold."
    stock = AutoTokenizer.from_pretrained(tmp_path / "stock")
    assert stock(text)["input_ids"] == loaded.tokenizer(text)["input_ids"]


def test_an_adapter_learns_on_a_gguf_backbone_and_is_found_again(tokenizer, tmp_path):
    path = write_gguf(tmp_path / "tiny.gguf", "qwen3", tokenizer, "Q8_0")
    answers = []
    for turn in range(2):
        backbone = backbones.load(path)
        stack = AdapterStack(backbone)
        if turn == 0:
            stack.create("own", seed=1)
            for parameter in stack.parameters("own"):
                torch.nn.init.normal_(parameter, std=0.1)
            stack.save("own", tmp_path / "adapter")
        else:
            stack.load("own", tmp_path / "adapter")
        application = Application(apps.load("sentiment"), Engine(backbone, stack), "own")
        answers.append(application("A good film.").probabilities)
    assert answers[0] == pytest.approx(answers[1], abs=1e-5)


@pytest.mark.parametrize("content", [b"", b"GGUF", b"no gguf at all" * 100])
def test_a_gguf_that_cannot_be_read_is_one_line(content, tmp_path):
    path = tmp_path / "broken.gguf"
    path.write_bytes(content)
    with pytest.raises((MissingBackbone, Damaged), match=r"broken\.gguf") as caught:
        backbones.load(path)
    assert "\n" not in str(caught.value)


def test_a_gguf_that_is_not_there_is_named(tmp_path):
    with pytest.raises(MissingBackbone, match="quintet backbone list"):
        backbones.load(tmp_path / "none.gguf")


def test_shards_are_one_backbone(backbone, saved, tmp_path):
    backbone.model.save_pretrained(tmp_path / "shards", max_shard_size="100KB")
    backbone.tokenizer.save_pretrained(tmp_path / "shards")
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 1
    loaded = backbones.load(tmp_path / "shards")
    assert torch.equal(logits(loaded.model), logits(backbone.model))
    assert loaded.fingerprint == backbones.load(saved).fingerprint == backbone.fingerprint


def _with_rules(saved: Path, **rules: object) -> None:
    path = saved / "tokenizer.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **rules}))


def test_truncation_and_padding_saved_with_a_tokenizer_change_nothing(backbone, saved, tmp_path):
    shutil.copytree(saved, tmp_path / "odd")
    _with_rules(
        tmp_path / "odd",
        truncation={"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0},
        padding={
            "strategy": {"Fixed": 9}, "direction": "Right", "pad_to_multiple_of": None,
            "pad_id": 1, "pad_type_id": 0, "pad_token": "<|padding|>",
        },
    )  # fmt: skip
    odd = backbones.load(tmp_path / "odd")
    text = "The weather in the small town was cold, and nobody wanted to leave."
    assert odd.tokenizer(text)["input_ids"] == backbone.tokenizer(text)["input_ids"]
    assert odd.tokenizer_hash == backbone.tokenizer_hash  # after its first use, too
    assert odd.fingerprint == backbones.load(saved).fingerprint


def test_a_tokenizer_is_hashed_again_only_where_its_files_changed(backbone, saved, monkeypatch):
    first = backbones.load(saved)
    with monkeypatch.context() as patched:
        patched.delattr(identity, "_rules")
        again = backbones.load(saved)
        assert (again.fingerprint, again.tokenizer_hash) == (
            backbone.fingerprint,
            first.tokenizer_hash,
        )
    _with_rules(saved, normalizer={"type": "Lowercase"})
    other = backbones.load(saved)
    assert other.fingerprint != first.fingerprint
    assert other.tokenizer_hash != first.tokenizer_hash
    other.tokenizer.add_tokens(["<|more|>"])
    assert other.tokenizer_hash != backbones.load(saved).tokenizer_hash


@pytest.mark.parametrize("lacking", ["bos_token", "pad_token"])
def test_a_tokenizer_without_a_special_token_answers(backbone, saved, lacking):
    path = saved / "tokenizer_config.json"
    about = json.loads(path.read_text())
    del about[lacking]
    path.write_text(json.dumps(about))
    loaded = backbones.load(saved)
    task = apps.load("sentiment")
    expected = Application(task, Engine(backbone))("A good film.").probabilities
    found = Application(task, Engine(loaded))("A good film.").probabilities
    assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("dtype", "kind"), [("bf16", torch.bfloat16), ("fp16", torch.float16)])
def test_a_dtype_is_that_of_the_weights_and_of_no_adapter(saved, backbone, dtype, kind):
    loaded = backbones.load(saved, dtype=dtype)
    assert loaded.model.dtype == kind and loaded.dtype == dtype
    assert loaded.fingerprint == backbone.fingerprint
    stack = AdapterStack(loaded)
    stack.create("own", seed=0)
    assert {parameter.dtype for parameter in stack.parameters("own")} == {torch.float32}


def test_auto_leaves_a_small_backbone_in_fp32(saved):
    assert backbones.load(saved, dtype="auto").dtype == "fp32"


def test_an_unknown_dtype_is_refused(saved):
    with pytest.raises(BadSetting, match="it must be auto, fp32, bf16, fp16"):
        backbones.load(saved, dtype="int3")


def test_weights_are_read_once_for_their_fingerprint(saved, monkeypatch):
    from core.backbone import fingerprint

    first = backbones.load(saved)
    known = json.loads((store.home() / "fingerprints.json").read_text())
    assert len(known) == 2  # of the weights, and of the whole with its tokenizer

    def read_again(paths: object) -> str:
        raise AssertionError("the weights were read again")

    monkeypatch.setattr(fingerprint, "_digest_of_files", read_again)
    assert backbones.load(saved).fingerprint == first.fingerprint


def test_a_fingerprint_does_not_know_the_version_of_transformers(saved, backbone):
    path = saved / "config.json"
    about = json.loads(path.read_text())
    path.write_text(json.dumps({**about, "transformers_version": "6.0.0", "use_cache": False}))
    assert backbones.load(saved).fingerprint == backbone.fingerprint
