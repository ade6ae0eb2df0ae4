"""Kernels for weights in bf16 that oneDNN packed: the products of torch, and steps as near to fp32 as its own."""

from __future__ import annotations

import gc

import numpy as np
import pytest
import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

from core.adapters.factors import Factors
from core.backbone import few_tokens, packed
from core.backbone.loading import in_memory
from core.engine.cache import RowCache
from core.engine.compiled_step import CompiledStep
from core.engine.engine import Engine
from core.engine.forward import Forward
from core.kernels import low_rank

pytestmark = pytest.mark.skipif(
    not (packed.possible() and few_tokens.multiplies_halves()),
    reason="this CPU has no VDPBF16PS",
)
TOKENS = [1, 2, 3, 5, 6, 7, 13, 24]


def linear(width, out, **options):
    torch.manual_seed(out)
    return packed.PackedLinear(nn.Linear(width, out, **options).bfloat16())


@pytest.mark.parametrize("tokens", TOKENS)
def test_layers_that_read_the_same_are_multiplied_together(tokens, threads):
    from core.kernels import layers

    first, second = linear(576, 192, bias=False), linear(576, 64, bias=False)
    x, y = torch.randn(tokens, 576), torch.randn(tokens, 256)
    weights = torch.cat([first.weight, second.weight]).double()
    expected = y + (x.bfloat16().double() @ weights.t()).float()
    layers.add(y, x, layers.in_blocks([first.blocks, second.blocks]))
    torch.testing.assert_close(y, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("width", "out"), [(576, 200), (576, 9), (40, 64)])
@pytest.mark.parametrize("tokens", TOKENS)
def test_a_weight_that_lies_as_it_was_is_multiplied_the_same(tokens, width, out, threads):
    from core.kernels import layers

    torch.manual_seed(tokens)
    x, y = torch.randn(tokens, width), torch.randn(tokens, out)
    weight = torch.randn(out, width).bfloat16()
    expected = y + (x.bfloat16().double() @ weight.double().t()).float()
    layers.add(y, x, layers.as_it_lies(weight))
    exact = tokens > 1 and (width, out) == (576, 200)  # else x stays in fp32
    torch.testing.assert_close(y, expected, atol=1e-4 if exact else 0.3, rtol=1e-4)


def test_numbers_are_rounded_as_torch_rounds_them():
    from core.kernels.halves import pairs

    x = torch.randn(3, 64) * torch.logspace(-30, 30, 64)
    x[0, 0], x[0, 1] = 1 + 2**-8, 1 + 3 * 2**-8  # half way: to the even neighbour
    found = torch.from_numpy(pairs(x.numpy())[:3].view(np.int16)).view(torch.bfloat16)
    assert torch.equal(found, x.bfloat16())


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("out", [128, 80], ids=["in blocks", "otherwise"])
@pytest.mark.parametrize("tokens", TOKENS)
def test_a_packed_layer_computes_what_onednn_makes_of_it(tokens, out, bias, monkeypatch):
    layer, x = linear(96, out, bias=bias), torch.randn(tokens, 96).bfloat16()
    assert (layer.blocks is not None) == (out == 128)
    with torch.inference_mode():
        found = layer(x)
        monkeypatch.setattr(few_tokens, "compiles", lambda: False)
        expected = layer(x)
    assert found.dtype == torch.bfloat16
    assert torch.allclose(found.float(), expected.float(), atol=0.02, rtol=0.01)


def test_blocks_hold_the_weight_when_the_layer_is_gone():
    layer = linear(64, 64, bias=False)
    blocks, before = layer.blocks, layer.blocks.copy()
    layer.weight = torch.ones(64, 64, dtype=torch.bfloat16)
    del layer
    gc.collect()
    assert np.array_equal(blocks, before)


def test_blocks_that_lie_otherwise_are_left_to_onednn(monkeypatch):
    layout = few_tokens._in_blocks.__wrapped__
    assert layout(64, 128)
    arranged = few_tokens._memory
    monkeypatch.setattr(few_tokens, "_memory", lambda weight: arranged(weight)[::-1])
    assert not layout(64, 128)


@pytest.fixture(params=["tied", "a head of its own"])
def systems(request, tokenizer, tmp_path):
    """The same model with two adapters, in fp32 and in bf16, its heads in two groups."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=128, intermediate_size=192, num_hidden_layers=3,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=256,
        tie_word_embeddings=request.param == "tied",
    )  # fmt: skip
    model = LlamaForCausalLM(config).eval()
    model.resize_token_embeddings(-(-len(tokenizer) // 64) * 64)
    exact = Engine(in_memory(model, tokenizer, "grouped"))
    for seed, name in enumerate("ab"):
        exact.adapters.create(name, {"r": 4, "init_lora_weights": False}, seed=seed)
        exact.adapters.save(name, tmp_path / name)
        exact.adapters.delete(name)
    half = LlamaForCausalLM(config).bfloat16().eval()
    half.resize_token_embeddings(model.config.vocab_size)
    half.load_state_dict(exact.backbone.model.state_dict())
    packed.pack(half)
    made = exact, Engine(in_memory(half, tokenizer, "grouped"))
    for engine in made:
        for name in "ab":
            engine.adapters.load(name, tmp_path / name)
    yield made
    for engine in made:
        engine.close()


def written(engine):
    """Logits of the prompts and of six tokens of four rows with different adapters."""
    own = Forward(engine.backbone, engine.adapters)
    keys = [None, *(engine.adapters.hold(name) for name in "ab"), None]
    cache = RowCache(engine.backbone.model)
    cache.begin(4)
    prompts = [(1, 2, 3), tuple(range(60, 95)), (0, 70, 71, 72, 73), (5, 6)]
    with own.step():
        found = [own(prompts, keys, [1] * 4, cache)]
        cache.advance([len(one) for one in prompts])
        for token in range(10, 16):
            found.append(own([(token,)] * 4, keys, [1] * 4, cache))
            cache.advance([1] * 4)
    return torch.stack(found)


def test_reading_and_writing_are_no_further_from_fp32_than_by_torch(systems, monkeypatch):
    exact, half = systems
    steps, compute = [], CompiledStep.__call__
    monkeypatch.setattr(
        CompiledStep, "__call__", lambda self, *given: steps.append(self) or compute(self, *given)
    )
    runs, add = [], low_rank.add_runs
    monkeypatch.setattr(low_rank, "add_runs", lambda *given: runs.append(1) or add(*given))
    few_tokens.compiles()
    expected = written(exact)
    assert not runs
    steps.clear()
    ours = written(half)
    assert len(steps) == 6 and len(runs) == 7 * 3
    monkeypatch.setattr(few_tokens, "compiles", lambda: False)
    theirs = written(half)
    assert len(steps) == 6 and len(runs) == 7 * 3
    for place in (slice(0, 1), slice(1, None)):
        gaps = [(one - expected)[place].square().mean().sqrt() for one in (ours, theirs)]
        assert 0 < gaps[0] < 1.05 * gaps[1]


@pytest.mark.parametrize("ranks", [4, 16, 20])
def test_an_adapter_adds_to_many_tokens_what_torch_makes_of_it(ranks):
    torch.manual_seed(ranks)
    x, y = torch.randn(50, 96).bfloat16(), torch.randn(50, 128).bfloat16()
    factors = Factors(*(torch.randn(8 + ranks, size).bfloat16() / 8 for size in (96, 128)))
    assert few_tokens.compiles()
    runs = [(0, 13, 0, 8), (20, 50, 8, 8 + ranks)]
    expected = y.double()
    for start, end, low, high in runs:
        first, second = factors.first[low:high].double(), factors.second[low:high].double()
        expected[start:end] += x[start:end].double() @ first.t() @ second
    assert factors.add_runs(y, x, torch.tensor(runs))
    assert torch.allclose(y.double(), expected, atol=0.03, rtol=0.01)
    before = y.clone()
    assert not factors.add_runs(y, x, torch.tensor([(0, 50, 0, 7)]))  # no whole registers
    assert torch.equal(y, before)
