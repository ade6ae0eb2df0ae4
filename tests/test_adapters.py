"""Adapters on and off disk, several on one backbone."""

from __future__ import annotations

import json
import time

import pytest
import torch
from safetensors.torch import load_file, save_file

from core.adapters.lora import AdapterStack
from core.errors import BadSetting, Damaged, Mismatch, MissingAdapter, QuintetError

IDS = torch.tensor([[0, 40, 50, 60]])


def trained(stack: AdapterStack, name: str, seed: int) -> None:
    """An adapter that changes the answers, as training would."""
    stack.create(name, seed=seed)
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in stack.parameters(name):
            parameter.copy_(torch.randn(parameter.shape, generator=source) * 0.1)


def logits(stack: AdapterStack, name: str | None) -> torch.Tensor:
    with torch.no_grad(), stack.use(name) as model:
        return model(input_ids=IDS).logits


@pytest.fixture
def stack(backbone) -> AdapterStack:
    return AdapterStack(backbone)


def test_a_new_adapter_changes_nothing_and_a_trained_one_does(stack):
    bare = logits(stack, None)
    stack.create("sentiment", seed=1)
    assert torch.equal(logits(stack, "sentiment"), bare)
    trained(stack, "sentiment", 1)
    assert not torch.allclose(logits(stack, "sentiment"), bare)
    assert torch.equal(logits(stack, None), bare)


def test_the_seed_decides_the_weights_and_the_global_random_state_stays(stack):
    before = torch.get_rng_state()
    stack.create("a", seed=1)
    stack.create("b", seed=1)
    stack.create("c", seed=2)
    assert torch.equal(before, torch.get_rng_state())
    first, same, other = (stack.state(name) for name in "abc")
    assert all(torch.equal(first[key], same[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


def test_only_the_adapter_in_use_is_trainable(stack):
    stack.create("sentiment", seed=1)
    stack.create("spam", seed=2)
    with stack.use("spam") as model:
        learned = [name for name, weight in model.named_parameters() if weight.requires_grad]
    assert learned
    assert len(learned) == len(stack.parameters("spam"))
    assert all("task-spam" in name for name in learned)


def test_an_error_inside_use_brings_back_what_was_active(stack):
    trained(stack, "sentiment", 1)
    trained(stack, "spam", 2)
    bare, own = logits(stack, None), logits(stack, "sentiment")
    with stack.use("sentiment"):
        with pytest.raises(ZeroDivisionError), stack.use("spam"):
            raise ZeroDivisionError
        with torch.no_grad():
            assert torch.equal(stack.model(input_ids=IDS).logits, own)
    with torch.no_grad():
        assert torch.equal(stack.model(input_ids=IDS).logits, bare)


def test_saved_and_loaded_adapters_answer_equally_and_are_frozen(stack, backbone, tmp_path):
    trained(stack, "sentiment", 1)
    stack.save("sentiment", tmp_path / "adapter")
    stack.load("copy", tmp_path / "adapter")
    assert torch.allclose(logits(stack, "copy"), logits(stack, "sentiment"), atol=1e-5)
    with stack.use("copy"):
        assert not any(weight.requires_grad for weight in stack.parameters("copy"))
    configuration = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert configuration["base_model_name_or_path"] == backbone.name
    assert sorted(path.name for path in (tmp_path / "adapter").iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]


def test_an_adapter_can_be_loaded_to_be_trained_further(stack, tmp_path):
    trained(stack, "sentiment", 1)
    stack.save("sentiment", tmp_path / "adapter")
    stack.load("sentiment", tmp_path / "adapter", trainable=True)
    with stack.use("sentiment"):
        assert all(weight.requires_grad for weight in stack.parameters("sentiment"))


def test_state_is_a_copy_that_can_be_put_back(stack):
    trained(stack, "sentiment", 1)
    before, kept = logits(stack, "sentiment"), stack.state("sentiment")
    with torch.no_grad():
        for parameter in stack.parameters("sentiment"):
            parameter.zero_()
    assert not torch.equal(logits(stack, "sentiment"), before)
    stack.restore("sentiment", kept)
    assert torch.equal(logits(stack, "sentiment"), before)


def test_a_deleted_adapter_is_gone_and_the_others_stay(stack):
    bare = logits(stack, None)
    trained(stack, "sentiment", 1)
    trained(stack, "spam", 2)
    spam = logits(stack, "spam")
    stack.delete("sentiment")
    assert stack.names == ("spam",)
    assert torch.equal(logits(stack, "spam"), spam)
    stack.delete("spam")
    assert torch.equal(logits(stack, None), bare)
    with pytest.raises(MissingAdapter, match="loaded: none"), stack.use("spam"):
        pass


def test_two_stacks_on_one_backbone_do_not_mix_their_adapters(stack, backbone):
    other = AdapterStack(backbone)
    trained(stack, "sentiment", 1)
    own = logits(stack, "sentiment")
    trained(other, "sentiment", 2)
    assert torch.equal(logits(stack, "sentiment"), own)
    assert not torch.equal(logits(other, "sentiment"), own)


def test_names_may_hold_dots(stack, tmp_path):
    trained(stack, "spam@2.1", 1)
    stack.save("spam@2.1", tmp_path / "adapter")
    assert stack.names == ("spam@2.1",)


@pytest.mark.parametrize(
    ("lora", "message"),
    [
        ({"lora_alfa": 3}, "Did you mean 'lora_alpha'"),
        ({"r": 0}, "r is 0"),
        ({"r": "8"}, "r is '8'"),
        ({"lora_dropout": 1.0}, "lora_dropout is 1.0"),
        ({"lora_alpha": float("nan")}, "lora_alpha is nan"),
        ({"bias": "all"}, "bias is 'all'"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights is 'pissa'"),
        ({"target_modules": ["no_such_module"]}, "no_such_module"),
        ({"target_modules": ["q_proj", "v_porj"]}, "names 'v_porj'.* Did you mean 'v_proj'"),
        ({"target_modules": "(a+)+$"}, "may take forever"),
        ({"target_modules": ".*a.*b.*c.*d"}, "may take forever"),
        ({"target_modules": "(q"}, "is no pattern"),
        ({"modules_to_save": ["nrom"]}, "modules_to_save names 'nrom'"),
        ({"rank_pattern": {"nope": 4}}, "rank_pattern names 'nope'"),
        ({"rank_pattern": {"q_proj": -4}}, "rank_pattern must hold"),
        ({"alpha_pattern": {"(.*)+x": 4}}, "may take forever"),
        ({"task_type": "SEQ_CLS"}, "Unknown key 'task_type'"),
    ],
)
def test_settings_that_cannot_work_are_refused(stack, lora, message):
    with pytest.raises(BadSetting, match=message):
        stack.create("sentiment", lora, seed=0)
    assert stack.names == ()
    stack.create("sentiment", {"r": 2, "use_rslora": True}, seed=0)


def test_a_folder_without_an_adapter_is_named(stack, tmp_path):
    with pytest.raises(MissingAdapter, match=r"adapter_model\.safetensors is missing"):
        stack.load("sentiment", tmp_path)


def saved(stack: AdapterStack, folder) -> None:
    trained(stack, "sentiment", 1)
    stack.save("sentiment", folder)


def test_a_truncated_file_is_refused(stack, tmp_path):
    saved(stack, tmp_path / "adapter")
    path = tmp_path / "adapter" / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(Damaged, match="cannot be read"):
        stack.load("copy", tmp_path / "adapter")
    assert stack.names == ("sentiment",)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_numbers_are_refused(stack, tmp_path, value):
    saved(stack, tmp_path / "adapter")
    path = tmp_path / "adapter" / "adapter_model.safetensors"
    weights = load_file(path)
    weights[min(weights)][0, 0] = value
    save_file(weights, path)
    with pytest.raises(Damaged, match="not numbers"):
        stack.load("copy", tmp_path / "adapter")


def test_missing_tensors_are_refused_and_leave_nothing_behind(stack, tmp_path):
    saved(stack, tmp_path / "adapter")
    path = tmp_path / "adapter" / "adapter_model.safetensors"
    weights = load_file(path)
    weights.pop(min(weights))
    save_file(weights, path)
    with pytest.raises(Damaged, match="lacks 1 tensors"):
        stack.load("copy", tmp_path / "adapter")
    assert stack.names == ("sentiment",)


def test_an_adapter_of_another_rank_than_its_configuration_is_refused(stack, tmp_path):
    saved(stack, tmp_path / "adapter")
    path = tmp_path / "adapter" / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "r": 4}))
    with pytest.raises(Mismatch, match="another backbone"):
        stack.load("copy", tmp_path / "adapter")


@pytest.mark.parametrize(
    ("key", "value"),
    [("bias", "all"), ("init_lora_weights", "pissa"), ("layer_replication", [[0, 2], [1, 2]])],
)
def test_a_configuration_that_would_change_the_backbone_is_refused(stack, tmp_path, key, value):
    saved(stack, tmp_path / "adapter")
    bare = logits(stack, None)
    path = tmp_path / "adapter" / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(BadSetting, match=f"{key} is"):
        stack.load("copy", tmp_path / "adapter")
    assert torch.equal(logits(stack, None), bare)


def test_loading_leaves_the_global_random_state_alone(stack, tmp_path):
    saved(stack, tmp_path / "adapter")
    before = torch.get_rng_state()
    stack.load("copy", tmp_path / "adapter")
    assert torch.equal(before, torch.get_rng_state())


def test_broken_configuration_and_other_methods_are_refused(stack, tmp_path):
    saved(stack, tmp_path / "adapter")
    path = tmp_path / "adapter" / "adapter_config.json"
    path.write_text('{"peft_type": "IA3"}')
    with pytest.raises(Mismatch, match="not a LoRA"):
        stack.load("copy", tmp_path / "adapter")
    path.write_text("{")
    with pytest.raises(Damaged, match="cannot be read"):
        stack.load("copy", tmp_path / "adapter")


def test_frozen_and_trainable_adapters_take_turns(stack, tmp_path):
    trained(stack, "old", 1)
    trained(stack, "new", 2)
    stack.save("old", tmp_path / "adapter")
    expected = {name: logits(stack, name) for name in (None, "old", "new")}
    stack.load("old", tmp_path / "adapter")
    stack.load("copy", tmp_path / "adapter")
    expected["copy"] = expected["old"]
    for name in ("old", "new", None, "copy", "old", None, "new", "copy", "new"):
        assert torch.allclose(logits(stack, name), expected[name], atol=1e-5)
        with stack.use("new"), stack.use(name):
            assert all(w.requires_grad == (name == "new") for w in stack.parameters("new"))
            assert not any(w.requires_grad for w in stack.parameters("old"))


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("r", 10**9, "rank 64 at most"),
        ("rank_pattern", {"q_proj": 10**9}, "rank 64 at most"),
        ("target_modules", "(.*)*proj", "may take forever"),
        ("target_modules", ["q_proj", "nope"], "names 'nope'"),
        ("alora_invocation_tokens", [1, 2], "which is not served"),
        ("target_parameters", ["weight"], "which is not served"),
        ("of_a_later_peft", {"scale": 9}, "which is not served"),
        ("modules_to_save", "x" * 10**6, "no configuration"),
    ],
)
def test_a_configuration_of_a_stranger_is_refused_in_one_line(stack, tmp_path, key, value, words):
    saved(stack, tmp_path / "adapter")
    path = tmp_path / "adapter" / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    start = time.perf_counter()
    with pytest.raises(QuintetError, match=words) as caught:
        stack.load("copy", tmp_path / "adapter")
    assert time.perf_counter() - start < 5
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600
    assert stack.names == ("sentiment",)


@pytest.mark.parametrize(
    "lora",
    [{"modules_to_save": ["norm"]}, {"trainable_token_indices": [1, 2]}, {"use_dora": True}],
)
def test_every_kind_of_adapter_comes_and_goes(stack, lora):
    bare, before = logits(stack, None), dict(stack.model.named_parameters())
    for first, second in (({}, lora), (lora, {}), (lora, lora)):
        stack.create("one", first, seed=1)
        stack.create("two", second, seed=2)
        stack.delete("one")
        stack.create("one", first, seed=3)
        assert torch.allclose(logits(stack, "two"), bare, atol=1e-5)
        stack.delete("two")
        stack.delete("one")
        assert torch.equal(logits(stack, None), bare)
    assert dict(stack.model.named_parameters()).keys() == before.keys()


def test_modules_trained_whole_belong_to_their_adapter(stack, tmp_path):
    bare = logits(stack, None)
    stack.create("head", {"modules_to_save": ["norm"]}, seed=0)
    with torch.no_grad():
        for parameter in stack.parameters("head"):
            parameter.add_(0.1)
    own = logits(stack, "head")
    stack.save("head", tmp_path / "adapter")
    stack.load("copy", tmp_path / "adapter")
    assert not torch.allclose(own, bare)
    assert torch.equal(logits(stack, "copy"), own)
    assert torch.equal(logits(stack, None), bare)
