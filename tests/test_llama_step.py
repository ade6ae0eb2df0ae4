"""Single tokens through a Llama, in fewer calls: the same logits as through the model's modules."""

from __future__ import annotations

import pytest
import torch

from core import backbone as backbones
from core.backbone import few_tokens
from core.backbone.loading import in_memory
from core.engine import forward
from core.engine.cache import RowCache
from core.engine.compiled_attention import CompiledAttention
from core.engine.engine import Engine
from core.engine.llama_prompts import LlamaPrompts
from core.engine.llama_step import LlamaStep, fits
from core.engine.sequences import Request

PROMPTS = [(0, 40, 50), tuple(range(60, 95)), (0, 70, 71, 72, 73), (5, 6)]


def written(engine, names):
    requests = [
        Request(adapter=name, prompt=prompt, max_new_tokens=8, logprobs=5)
        for name in names
        for prompt in PROMPTS
    ]
    return [handle.result(timeout=60) for handle in engine.submit_all(requests)]


@pytest.mark.parametrize("names", [(None,), ("a",), ("b",), ("a", "b", None)], ids=str)
def test_it_computes_what_the_modules_compute(engine, names, monkeypatch):
    steps = []
    compute = LlamaStep.__call__

    def counted(self, *given):
        steps.append(len(given[0]))
        return compute(self, *given)

    monkeypatch.setattr(LlamaStep, "__call__", counted)
    found = written(engine, names)
    assert sum(steps) >= 7 * len(found)
    monkeypatch.setattr(forward, "fits", lambda model: False)
    plain = Engine(engine.backbone, engine.adapters)
    taken = len(steps)
    expected = written(plain, names)
    plain.close()
    assert len(steps) == taken
    for one, other in zip(found, expected, strict=True):
        assert one.ids == other.ids
        for mine, theirs in zip(one.logprobs, other.logprobs, strict=True):
            pairs = [torch.tensor([value for _, value in each.top]) for each in (mine, theirs)]
            assert torch.allclose(*pairs, atol=1e-4)


def test_a_single_row_is_computed_as_among_others(engine):
    together = written(engine, ("a", "b"))
    for place, name in enumerate(("a", "b")):
        request = Request(adapter=name, prompt=PROMPTS[1], max_new_tokens=8)
        alone = engine.submit(request).result(timeout=60)
        assert alone.ids == together[place * len(PROMPTS) + 1].ids


def test_only_plain_llamas_fit(backbone, tokenizer):
    from transformers import GPT2Config, GPT2LMHeadModel

    assert fits(backbone.model)
    assert not fits(GPT2LMHeadModel(GPT2Config(n_layer=1, n_head=2, n_embd=16, vocab_size=600)))
    other = backbones.create("nano", tokenizer, seed=0).model
    other.config.hidden_act = "gelu"
    assert not fits(other)


def test_who_hooks_into_the_model_sees_every_token(engine):
    seen = []
    hook = engine.backbone.model.register_forward_hook(lambda *_: seen.append(1))
    request = Request(adapter="a", prompt=PROMPTS[0], max_new_tokens=5)
    answer = engine.submit(request).result(timeout=60)
    hook.remove()
    assert len(seen) == len(answer.ids) == 5


@pytest.fixture
def grouped(tokenizer):
    """Four heads that ask, two that are asked."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=96, num_hidden_layers=3,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=256,
    )  # fmt: skip
    return Engine(in_memory(LlamaForCausalLM(config).eval(), tokenizer, "grouped"))


def read_in_pieces(engine, keys):
    """Logits without a cache, and of two pieces into one; rows of all lengths."""
    own = forward.Forward(engine.backbone, engine.adapters)
    with own.step():
        whole = own(PROMPTS, keys, [1, 35, 2, 0], None)
        cache = RowCache(engine.backbone.model)
        cache.begin(len(PROMPTS))
        first = [prompt[:4] for prompt in PROMPTS]
        assert not len(own(first, keys, [0, 0, 0, 0], cache))
        cache.advance([len(one) for one in first])
        return torch.cat([whole, own([(9, 8, 7)] * 4, keys, [3, 1, 2, 1], cache)])


@pytest.fixture
def keys(grouped, tmp_path):
    for seed, name in enumerate("ab"):
        grouped.adapters.create(name, {"r": 4, "init_lora_weights": False}, seed=seed)
        grouped.adapters.save(name, tmp_path / name)
        grouped.adapters.delete(name)
        grouped.adapters.load(name, tmp_path / name)
    return [None, *(grouped.adapters.hold(name) for name in "ab"), None]


def test_prompts_of_all_lengths_are_read_as_by_the_modules(grouped, keys, monkeypatch):
    calls, read = [], LlamaPrompts.__call__
    monkeypatch.setattr(
        LlamaPrompts, "__call__", lambda self, *given: calls.append(1) or read(self, *given)
    )
    found = read_in_pieces(grouped, keys)
    assert len(calls) == 3
    monkeypatch.setattr(forward, "fits", lambda model: False)
    assert torch.allclose(found, read_in_pieces(grouped, keys), atol=1e-5)
    assert len(calls) == 3


def test_prompts_by_kernels_are_read_as_by_torch(grouped, keys, threads, monkeypatch):
    calls, find = [], CompiledAttention.__call__
    monkeypatch.setattr(
        CompiledAttention, "__call__", lambda self, *given: calls.append(1) or find(self, *given)
    )
    monkeypatch.setattr(few_tokens, "loaded", lambda: False)
    expected = read_in_pieces(grouped, keys)
    assert not calls
    monkeypatch.setattr(few_tokens, "loaded", few_tokens.compiles)
    assert torch.allclose(read_in_pieces(grouped, keys), expected, atol=1e-5)
    assert len(calls) == 3 * len(grouped.backbone.model.model.layers)


def test_who_has_read_many_prompts_loads_kernels(grouped, keys, monkeypatch):
    asked = []
    monkeypatch.setattr(few_tokens, "compiles", lambda: asked.append(1) or False)
    own = forward.Forward(grouped.backbone, grouped.adapters)
    with own.step():
        own(PROMPTS, keys, [1] * 4, None)
        before = len(asked)
        monkeypatch.setattr(forward, "_MANY", 50)
        own(PROMPTS, keys, [1] * 4, None)
    assert len(asked) > before


def test_prompts_in_bf16_are_no_further_from_fp32_than_by_the_modules(grouped, keys, monkeypatch):
    exact = read_in_pieces(grouped, keys)
    grouped.adapters.routing.refresh()
    grouped.backbone.model.bfloat16()
    ours = read_in_pieces(grouped, keys)
    monkeypatch.setattr(forward, "fits", lambda model: False)
    theirs = read_in_pieces(grouped, keys)
    far, as_far = ((one - exact).square().mean().sqrt() for one in (ours, theirs))
    assert 0 < far < 1.1 * as_far
