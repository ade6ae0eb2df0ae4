"""Single tokens through a Llama, in fewer calls: the same logits as through the model's modules."""

from __future__ import annotations

import pytest
import torch

from core import backbone as backbones
from core.engine import forward
from core.engine.engine import Engine
from core.engine.llama_step import LlamaStep, fits
from core.engine.sequences import Request

PROMPTS = [(0, 40, 50), tuple(range(60, 95)), (0, 70, 71, 72, 73), (5, 6)]


@pytest.fixture
def engine(backbone, tmp_path):
    engine = Engine(backbone)
    for seed, lora in enumerate(({"r": 4}, {"r": 8, "target_modules": ["k_proj", "up_proj"]})):
        name = "ab"[seed]
        engine.adapters.create(name, {**lora, "init_lora_weights": False}, seed=seed)
        engine.adapters.save(name, tmp_path / name)
        engine.adapters.delete(name)
        engine.adapters.load(name, tmp_path / name)
    yield engine
    engine.close()


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
