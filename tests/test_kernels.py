"""Kernels for few tokens on a CPU: the products of torch, and the threads that it was given."""

from __future__ import annotations

import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from core import backbone as backbones
from core.backbone import few_tokens, packed
from core.backbone.int8 import Int8Linear, most_of_inputs
from core.backbone.loading import in_memory
from core.engine import llama_step
from core.engine.compiled_step import CompiledStep
from core.engine.engine import Engine
from core.engine.sequences import Request
from core.kernels import blocks, compiling, layers

PROMPTS = [(0, 40, 50), tuple(range(60, 95)), (0, 70, 71, 72, 73), (5, 6)]


@pytest.mark.parametrize("tokens", [1, 2, 3, 4, 5, 7, 8, 13, 24])
@pytest.mark.parametrize(("width", "out"), [(576, 96), (1200, 33), (17, 5), (40, 1000)])
def test_a_product_is_that_of_torch(tokens, width, out, threads):
    torch.manual_seed(tokens)
    x, weight, y = torch.randn(tokens, width), torch.randn(out, width), torch.randn(tokens, out)
    expected = y + x @ weight.t()
    layers.add(y, x, layers.as_it_lies(weight))
    torch.testing.assert_close(y, expected, atol=2e-4, rtol=1e-4)


def test_what_is_no_number_stays_none():
    x, weight = torch.ones(5, 64), torch.ones(3, 64)
    x[1, 7], weight[2, 9] = float("nan"), float("inf")
    y = torch.zeros(5, 3)
    layers.add(y, x, layers.as_it_lies(weight))
    assert y[1].isnan().all() and y[0, 2].isinf() and y[0, :2].isfinite().all()


@pytest.mark.parametrize("tokens", [1, 2])
@pytest.mark.parametrize(("width", "out"), [(576, 96), (1536, 40), (48, 1000)])
def test_a_product_in_int8_is_that_of_the_layer_to_the_last_bit(tokens, width, out, threads):
    torch.manual_seed(out)
    layer = Int8Linear(nn.Linear(width, out, bias=False).requires_grad_(False))
    x, y = torch.randn(tokens, width), torch.zeros(tokens, out)
    whole, scales = layer.whole
    one = whole.numpy(), scales.numpy(), np.float32(most_of_inputs())
    layers.onto(y.numpy(), x.numpy(), one, threads)
    with torch.inference_mode():
        assert torch.equal(y, layer(x))


def test_a_norm_is_that_of_torch():
    x, weight = torch.randn(3, 40), torch.randn(40)
    expected = nn.functional.rms_norm(x, (40,), weight, 1e-5)
    found = torch.from_numpy(blocks.normed(x.numpy(), weight.numpy(), 1e-5))
    torch.testing.assert_close(found, expected)


def test_the_exponential_is_that_of_numpy_where_it_is_a_number():
    from core.kernels.elements import exponential

    x = np.linspace(-87, 88, 5001, dtype=np.float32)
    found = np.array([exponential(one) for one in x])
    np.testing.assert_allclose(found, np.exp(x.astype(np.float64)), rtol=3e-7)
    assert exponential(np.float32(-1e9)) < 2e-38 and np.isnan(exponential(np.float32("nan")))


def test_torch_keeps_the_number_of_threads_it_was_given():
    code = (
        "import torch; torch.set_num_threads(1); from core.kernels import layers;"
        "layer = layers.as_it_lies(torch.ones(400, 400));"
        "layers.add(torch.zeros(2, 400), torch.ones(2, 400), layer);"
        "print(torch.get_num_threads())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"


def test_a_kernel_is_compiled_anew_when_one_that_it_calls_has_changed(tmp_path):
    folder = tmp_path / "core" / "kernels"
    folder.mkdir(parents=True)
    shutil.copy(compiling.__file__, folder)
    head = "from core.kernels.compiling import compiled\n"
    (folder / "outer.py").write_text(
        f"{head}from core.kernels.inner import inner\n@compiled\ndef outer(): return inner()\n"
    )

    def answer(value):
        (folder / "inner.py").write_text(f"{head}@compiled\ndef inner(): return {value}\n")
        code = "from core.kernels.outer import outer; print(outer(), sum(outer.stats.cache_hits.values()))"
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        return done.stdout.split()

    assert [answer(1), answer(1), answer(2)] == [["1", "0"], ["1", "1"], ["2", "0"]]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("tokens", [1, 24, 25])
def test_a_layer_in_fp32_computes_what_it_did(tokens, bias):
    assert few_tokens.compiles()
    torch.manual_seed(tokens)
    layer = nn.Linear(48, 80, bias=bias)
    x = torch.randn(1, tokens, 48)
    expected = layer(x)
    layer.__class__ = packed.PlainLinear
    with torch.inference_mode():
        torch.testing.assert_close(layer(x), expected)
    layer(x).sum().backward()  # it still learns
    assert layer.weight.grad is not None


def answered(engine, names=("a", "b", None)):
    asked = [
        Request(adapter=name, prompt=prompt, max_new_tokens=6, logprobs=3)
        for name in names
        for prompt in PROMPTS
    ]
    return [handle.result(timeout=120) for handle in engine.submit_all(asked)]


def same(found, expected, tolerance):
    for one, other in zip(found, expected, strict=True):
        assert one.ids == other.ids
        for mine, theirs in zip(one.logprobs, other.logprobs, strict=True):
            pair = [torch.tensor([value for _, value in each.top]) for each in (mine, theirs)]
            torch.testing.assert_close(*pair, atol=tolerance, rtol=0)


@pytest.mark.parametrize("kind", ["qwen2", "gpt_neox", "gemma3"])
def test_models_of_other_kinds_answer_the_same(kind, tokenizer, backbone):
    from transformers import AutoConfig, AutoModelForCausalLM

    vocabulary = backbone.model.config.vocab_size
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2}
    more = {"vocab_size": vocabulary, "max_position_embeddings": 64}
    name = "gemma3_text" if kind == "gemma3" else kind
    if kind == "gemma3":
        more["head_dim"] = 8
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(name, **shape, **heads, **more))
    plain = Engine(in_memory(model, tokenizer, name=kind))
    expected = answered(plain, (None,))
    plain.close()
    packed.pack(model)
    assert any(isinstance(one, packed.PlainLinear) for one in model.modules())
    quick = Engine(in_memory(model, tokenizer, name=kind))
    same(answered(quick, (None,)), expected, 1e-4)
    quick.close()
    packed.unpack(model)
    assert not any(isinstance(one, packed.PlainLinear) for one in model.modules())


def test_steps_by_kernels_and_by_torch_write_the_same(engine, monkeypatch):
    steps = []
    compute = CompiledStep.__call__

    def counted(self, *given):
        steps.append(len(given[0]))
        return compute(self, *given)

    monkeypatch.setattr(CompiledStep, "__call__", counted)
    found = answered(engine)
    assert max(steps) > 1
    taken = len(steps)
    monkeypatch.setattr(few_tokens, "compiles", lambda: False)
    engine.adapters.create("c", {"r": 4}, seed=0)  # the step is laid out anew
    same(found, answered(engine), 1e-4)
    assert len(steps) == taken


def test_weights_below_one_another_stay_the_parameters(engine):
    model = engine.backbone.model
    before = {name: one.clone() for name, one in model.state_dict().items()}
    answered(engine)
    after = model.state_dict()
    assert all(torch.equal(one, after[name]) for name, one in before.items())
    attention = model.model.layers[0].self_attn
    query, key = attention.q_proj.base_layer.weight, attention.k_proj.base_layer.weight
    assert key.data_ptr() == query.data_ptr() + 4 * query.numel()
    engine.adapters.create("c", {"r": 4}, seed=0)
    answered(engine)  # laid out anew, without a copy
    assert attention.q_proj.base_layer.weight.data_ptr() == query.data_ptr()


@pytest.mark.parametrize("dtype", ["fp32", "int8"])
def test_a_row_alone_writes_what_it_writes_among_others(dtype, backbone, tmp_path):
    backbones.save(backbone, tmp_path / "backbone")
    engine = Engine(backbones.load(tmp_path / "backbone", dtype=dtype))
    together = answered(engine, (None,))
    for place, prompt in enumerate(PROMPTS):
        request = Request(prompt=prompt, max_new_tokens=6, logprobs=3)
        alone = engine.submit(request).result(timeout=60)
        assert alone.ids == together[place].ids
    engine.close()


def test_without_kernels_torch_does_it(engine, monkeypatch, caplog):
    def broken(*given):
        raise RuntimeError("LLVM is another one\nand more")

    monkeypatch.setattr(layers, "add", broken)
    few_tokens.compiles.cache_clear()
    try:
        assert answered(engine, ("a",))
        assert llama_step.LlamaStep(engine.backbone.model, [])._compiled is None
        assert caplog.messages == ["Kernels cannot be compiled here: LLVM is another one"]
    finally:
        few_tokens.compiles.cache_clear()
