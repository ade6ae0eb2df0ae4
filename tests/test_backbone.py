"""A backbone has one fingerprint wherever it lies, and what is damaged is never served."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from core import backbone as backbones
from core.adapters.lora import AdapterStack
from core.backbone import fingerprint as identity
from core.backbone import presets
from core.backbone import tokenizer as tokenizers
from core.errors import BadSetting, Damaged, MissingBackbone, QuintetError

IDS = torch.tensor([[0, 40, 50, 300, 301, 7]])


def logits(backbone) -> torch.Tensor:
    with torch.no_grad():
        return backbone.model(input_ids=IDS).logits


def cut(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


@pytest.fixture
def saved(backbone, tmp_path) -> Path:
    backbones.save(backbone, tmp_path / "saved")
    return tmp_path / "saved"


@pytest.mark.parametrize(
    ("preset", "vocabulary", "least", "most"),
    [("nano", 600, 0.05e6, 1e6), ("mini", 16_384, 30e6, 31e6), ("small", 50_257, 122e6, 126e6)],
)
def test_a_preset_has_the_size_it_is_named_for(preset, vocabulary, least, most, tokenizer):
    configuration = presets._configuration(preset, tokenizer)
    configuration.vocab_size = vocabulary
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(configuration)
    assert least < sum(parameter.numel() for parameter in model.parameters()) < most


def test_small_has_the_shape_of_gpt2(tokenizer):
    shape = presets._configuration("small", tokenizer)
    assert (shape.num_hidden_layers, shape.hidden_size, shape.num_attention_heads) == (12, 768, 12)
    assert shape.max_position_embeddings == 1024


def test_an_unknown_preset_is_refused_with_the_nearest(tokenizer):
    with pytest.raises(BadSetting, match=r"'smal'; allowed: nano, mini, small.*mean 'small'"):
        backbones.create("smal", tokenizer)


def test_the_seed_decides_the_weights_and_nothing_else_changes(tokenizer):
    torch.manual_seed(7)
    before = torch.get_rng_state()
    one, again, other = (backbones.create("nano", tokenizer, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state())
    assert one.fingerprint == again.fingerprint != other.fingerprint
    assert torch.equal(logits(one), logits(again))


def test_a_backbone_says_what_it_is(backbone):
    assert (backbone.name, backbone.context) == ("quintet-nano", 256)
    assert backbone.device == torch.device("cpu")
    assert backbone.size < 1e6
    embedding = backbone.model.get_input_embeddings().weight
    assert backbone.model.get_output_embeddings().weight is embedding
    assert not backbone.model.training


def test_one_weight_changes_the_fingerprint(backbone):
    with torch.no_grad():
        backbone.model.model.norm.weight[5] += 1e-6
    changed = backbones.refreshed(backbone)
    assert changed.fingerprint != backbone.fingerprint
    assert changed.model is backbone.model


def test_another_tokenizer_changes_the_fingerprint(backbone, texts):
    other = tokenizers.train((*texts, "zebra " * 99), vocab_size=600)
    assert identity.fingerprint(backbone.model, other) != backbone.fingerprint


def test_the_path_and_the_name_do_not_count(saved, backbone):
    moved = saved.rename(saved.parent / "elsewhere")
    (moved / "quintet.json").write_text('{"name": "other"}')
    loaded = backbones.load(moved)
    assert loaded.name == "other"
    assert loaded.fingerprint == backbone.fingerprint
    (moved / "quintet.json").unlink()
    assert backbones.load(moved).name == "elsewhere"


def test_what_is_saved_and_loaded_answers_the_same(saved, backbone):
    loaded = backbones.load(saved)
    assert torch.equal(logits(loaded), logits(backbone))
    assert loaded.fingerprint == backbone.fingerprint
    assert loaded.name == backbone.name
    assert loaded.tokenizer.get_vocab() == backbone.tokenizer.get_vocab()
    again = saved.parent / "again"
    backbones.save(loaded, again)
    assert backbones.load(again).fingerprint == backbone.fingerprint


def test_half_the_bytes_reload_to_one_fingerprint(backbone, saved, tmp_path):
    backbones.save(backbone, tmp_path / "half", half=True)
    assert backbone.model.dtype == torch.float32
    sizes = [(f / "model.safetensors").stat().st_size for f in (saved, tmp_path / "half")]
    assert sizes[1] < 0.55 * sizes[0]
    first, second = (backbones.load(tmp_path / "half") for _ in range(2))
    assert first.fingerprint == second.fingerprint != backbone.fingerprint
    assert first.model.dtype == torch.float32
    backbones.save(first, tmp_path / "whole")
    assert backbones.load(tmp_path / "whole").fingerprint == first.fingerprint
    assert torch.allclose(logits(first), logits(backbone), atol=1e-2)


def test_a_bf16_checkpoint_is_loaded_in_fp32(backbone, saved):
    backbone.model.to(torch.bfloat16).save_pretrained(saved)
    assert json.loads((saved / "config.json").read_text())["dtype"] == "bfloat16"
    assert backbones.load(saved).model.dtype == torch.float32


def test_saving_replaces_the_folder_and_leaves_nothing_beside_it(saved, tokenizer):
    (saved / "old.txt").write_text("old")
    other = backbones.create("nano", tokenizer, seed=3)
    backbones.save(other, saved)
    assert [path.name for path in saved.parent.iterdir()] == ["saved"]
    assert not (saved / "old.txt").exists()
    assert backbones.load(saved).fingerprint == other.fingerprint


@pytest.mark.parametrize("half", [False, True])
def test_a_model_with_adapters_is_refused_and_what_was_saved_stays(saved, backbone, half):
    AdapterStack(backbone).create("spam", seed=0)
    with pytest.raises(
        BadSetting, match=r"'quintet-nano' holds adapters, in model\.layers\.0\."
    ) as caught:
        backbones.save(backbone, saved, half=half)
    assert "\n" not in str(caught.value)
    assert [path.name for path in saved.parent.iterdir()] == ["saved"]
    assert backbones.load(saved).fingerprint == backbone.fingerprint


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(MissingBackbone, match=r"No folder .*nowhere.*--backbone"):
        backbones.load(tmp_path / "nowhere")
    with pytest.raises(MissingBackbone, match="some-body/no-model") as caught:
        backbones.load("some-body/no-model")
    assert "\n" not in str(caught.value)


def drop_weight(folder: Path) -> None:
    path = folder / "model.safetensors"
    weights = load_file(path)
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, path, {"format": "pt"})


def widen(folder: Path) -> None:
    text = (folder / "config.json").read_text()
    (folder / "config.json").write_text(text.replace('"hidden_size": 64', '"hidden_size": 128'))


DAMAGE = {
    "truncated weights": (lambda f: cut(f / "model.safetensors"), Damaged, "damaged"),
    "empty weights": (lambda f: (f / "model.safetensors").write_bytes(b""), Damaged, "damaged"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), MissingBackbone, "model"),
    "a weight left out": (
        drop_weight,
        Damaged,
        "lacks 1 weights of its model, as model.layers.1.mlp.up_proj.weight",
    ),
    "weights of another shape": (widen, Damaged, "damaged"),
    "no configuration": (lambda f: (f / "config.json").unlink(), MissingBackbone, "model_type"),
    "half a configuration": (lambda f: cut(f / "config.json"), MissingBackbone, "config.json"),
    "no tokenizer": (
        lambda f: [path.unlink() for path in f.glob("tokenizer*")],
        MissingBackbone,
        "No tokenizer",
    ),
    "half a tokenizer": (lambda f: cut(f / "tokenizer.json"), MissingBackbone, "No tokenizer"),
    "an empty tokenizer": (
        lambda f: (f / "tokenizer.json").write_text("{}"),
        MissingBackbone,
        "No tokenizer",
    ),
    "half a name": (lambda f: cut(f / "quintet.json"), Damaged, "quintet.json is damaged"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_folder_is_one_line(name, saved):
    damage, kind, words = DAMAGE[name]
    damage(saved)
    with pytest.raises(QuintetError, match=words) as caught:
        backbones.load(saved)
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)


def test_a_copy_without_a_shipped_backbone_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr("core.store.SHIPPED", tmp_path)
    with pytest.raises(MissingBackbone, match="quintet pretrain"):
        backbones.shipped()
