"""Backbones in bf16 with packed weights: the same answers, and a way back."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from core import backbone as backbones
from core import opening
from core.adapters.lora import AdapterStack
from core.backbone import few_tokens, packed
from core.engine.engine import Engine
from core.engine.scheduler import Limits
from core.engine.sequences import Request
from core.errors import BadSetting

PROMPTS = [(0, 40, 50), tuple(range(60, 95)), (0, 70, 71, 72, 73), (5, 6)]

pytestmark = pytest.mark.skipif(not packed.possible(), reason="this CPU multiplies no bf16")


@pytest.fixture
def folder(backbone, tmp_path):
    """A backbone, and in it the folders of two adapters."""
    backbones.save(backbone, tmp_path / "backbone")
    stack = AdapterStack(backbone)
    for seed, name in enumerate("ab"):
        stack.create(name, {"r": 4, "init_lora_weights": False}, seed=seed)
        stack.save(name, tmp_path / "backbone" / name)
    return tmp_path / "backbone"


def opened(folder, *, pack):
    loaded = backbones.load(folder, dtype="bf16")
    if pack:
        packed.pack(loaded.model)
    engine = Engine(loaded)
    for name in "ab":
        engine.adapters.load(name, folder / name)
    return engine


def answered(engine):
    asked = [
        Request(adapter=name, prompt=prompt, max_new_tokens=4, logprobs=3)
        for name in ("a", "b", None)
        for prompt in PROMPTS
    ]
    asked.append(Request(adapter="b", prompt=PROMPTS[1], label_tokens=(3, 4, 5)))
    return [handle.result(timeout=60) for handle in engine.submit_all(asked)]


@pytest.mark.parametrize("tokens", [1, 2, 50, 200])
@pytest.mark.parametrize("bias", [True, False])
def test_a_packed_layer_computes_what_it_did(tokens, bias):
    torch.manual_seed(tokens)
    layer = nn.Linear(48, 80, bias=bias).bfloat16()
    x = torch.randn(2, tokens, 48).bfloat16()
    expected = layer(x)
    with torch.inference_mode():
        found = packed.PackedLinear(layer)(x)
    assert found.shape == expected.shape
    assert torch.allclose(found.float(), expected.float(), atol=0.02, rtol=0.01)
    assert torch.equal(packed.PackedLinear(layer).weight, layer.weight)


@pytest.mark.parametrize("tokens", [1, 2, 64, 65])
def test_a_weight_that_lies_as_it_was_gives_the_same_product(tokens):
    torch.manual_seed(tokens)
    x, weight = torch.randn(tokens, 48).bfloat16(), torch.randn(80, 48).bfloat16()
    expected = x.float() @ weight.float().t()
    found = few_tokens.product(x, weight)
    assert found.is_contiguous()
    assert torch.allclose(found.float(), expected, atol=0.3, rtol=0.02)


def test_answers_are_those_of_the_model_as_it_was(folder):
    plain, fast = (answered(opened(folder, pack=pack)) for pack in (False, True))
    for one, other in zip(plain, fast, strict=True):
        for mine, theirs in zip(one.logprobs[:1], other.logprobs[:1], strict=True):
            values = [torch.tensor([value for _, value in each.top]) for each in (mine, theirs)]
            assert torch.allclose(*values, atol=0.05)
    assert plain[-1].probabilities == pytest.approx(fast[-1].probabilities, abs=0.02)


def test_a_head_that_is_the_embeddings_stays_one_tensor_with_them(folder):
    model = opened(folder, pack=True).backbone.model
    tied = model.get_output_embeddings()
    assert isinstance(tied, packed.PlainLinear)
    assert tied.weight is model.get_input_embeddings().weight
    assert packed.layers(model)


def test_weights_come_back_as_they_were_and_size_stays(folder):
    backbone = backbones.load(folder, dtype="bf16")
    before = {name: one.clone() for name, one in backbone.model.state_dict().items()}
    size = backbone.size
    packed.pack(backbone.model)
    assert backbone.size == size
    packed.unpack(backbone.model)
    after = backbone.model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(one, after[name]) for name, one in before.items())
    assert not packed.layers(backbone.model)


def test_what_is_saved_is_whole(folder, tmp_path):
    backbone = backbones.load(folder, dtype="bf16")
    expected = {name: one.clone() for name, one in backbone.model.state_dict().items()}
    packed.pack(backbone.model)
    backbones.save(backbone, tmp_path / "again")
    again = backbones.load(tmp_path / "again", dtype="bf16").model.state_dict()
    assert all(torch.equal(one, again[name]) for name, one in expected.items())


def test_an_adapter_that_learns_finds_weights_to_learn_through(folder):
    engine = opened(folder, pack=True)
    before = answered(engine)
    engine.adapters.create("c", {"r": 4}, seed=0)
    assert not packed.layers(engine.backbone.model)
    x = torch.tensor([[5, 6, 7]])
    with engine.adapters.training("c") as model:
        model(input_ids=x, labels=x).loss.backward()
    assert all(one.grad is not None for one in engine.adapters.parameters("c"))
    again = answered(engine)
    assert before[-1].probabilities == pytest.approx(again[-1].probabilities, abs=0.02)


def test_gradients_are_refused_not_lost(folder):
    model = opened(folder, pack=True).backbone.model
    (layer, *_) = packed.layers(model)
    x = torch.ones(1, layer.in_features, dtype=torch.bfloat16, requires_grad=True)
    with pytest.raises(BadSetting, match="unpack"):
        layer(x)


@pytest.mark.parametrize(("dtype", "expected"), [("bf16", True), ("fp32", False), ("int8", False)])
def test_a_service_packs_what_is_in_bf16(folder, dtype, expected):
    service = opening.open_service({}, str(folder), device="cpu", dtype=dtype)
    assert bool(packed.layers(service.engine.backbone.model)) is expected


def test_what_is_in_int8_is_not_stored(folder, tmp_path):
    with pytest.raises(BadSetting, match="int8"):
        backbones.save(backbones.load(folder, dtype="int8"), tmp_path / "out")


@pytest.mark.parametrize("dtype", ["bf16", "int8", "fp32"])
def test_a_prompt_that_is_read_in_parts_asks_the_head_for_no_token(folder, dtype):
    backbone = backbones.load(folder, dtype=dtype)
    packed.pack(backbone.model)
    engine = Engine(backbone, limits=Limits(prefill_tokens=8))
    (handle,) = engine.submit_all([Request(prompt=PROMPTS[1], max_new_tokens=2)])
    assert handle.result(timeout=60).prompt_tokens == len(PROMPTS[1])
