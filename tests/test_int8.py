"""Backbones in int8: near fp32, each row as it is alone, and no learning."""

from __future__ import annotations

import pytest
import torch

import quintet
from commands import options
from core import backbone as backbones
from core.adapters.lora import AdapterStack
from core.backbone import int8
from core.engine import forward
from core.engine.engine import Engine
from core.engine.sequences import Request
from core.errors import BadSetting

PROMPTS = [(0, 40, 50), tuple(range(60, 95)), (0, 70, 71, 72, 73), (5, 6)]


@pytest.fixture
def folder(backbone, tmp_path):
    """A backbone, and in it the folders of two adapters."""
    backbones.save(backbone, tmp_path / "backbone")
    stack = AdapterStack(backbone)
    for seed, name in enumerate("ab"):
        stack.create(name, {"r": 4, "init_lora_weights": False}, seed=seed)
        stack.save(name, tmp_path / "backbone" / name)
    return tmp_path / "backbone"


def opened(folder, dtype="int8"):
    engine = Engine(backbones.load(folder, dtype=dtype))
    for name in "ab":
        engine.adapters.load(name, folder / name)
    return engine


def requests():
    free = [
        Request(adapter=name, prompt=prompt, max_new_tokens=8, logprobs=3)
        for name in ("a", "b", None)
        for prompt in PROMPTS
    ]
    return [*free, Request(adapter="b", prompt=PROMPTS[1], label_tokens=(3, 4, 5))]


def answered(engine, asked):
    return [handle.result(timeout=60) for handle in engine.submit_all(asked)]


def nearest(one, other, tolerance):
    pairs = zip(one.logprobs, other.logprobs, strict=True)
    values = [[[value for _, value in each.top] for each in pair] for pair in pairs]
    return all(
        torch.allclose(torch.tensor(mine), torch.tensor(theirs), atol=tolerance)
        for mine, theirs in values
    )


@pytest.mark.parametrize("kind", [int8.Blocks, int8.Fbgemm, int8.Dequantized])
@pytest.mark.parametrize("most", [63, 127])
def test_a_product_is_that_of_whole_numbers(kind, most, monkeypatch):
    if kind is int8.Fbgemm and not int8.fbgemm_here():
        pytest.skip("torch has no fbgemm here")
    if kind is int8.Blocks and (most < 127 or not int8.Blocks.fit(64, 40)):
        pytest.skip("it is for VNNI")
    if most > int8.most_of_inputs():
        pytest.skip("sums overflow without VNNI")
    monkeypatch.setattr(int8, "most_of_inputs", lambda: most)
    generator = torch.Generator().manual_seed(0)
    whole = torch.randint(-127, 128, (64, 40), generator=generator).to(torch.int8)
    inputs = torch.randint(-most, most + 1, (7, 40), generator=generator)
    inputs[:, 3] = most  # each is as large as a token gets
    scales = torch.linspace(0.1, 2, 64)
    product = kind(whole, scales)
    assert torch.allclose(product.weight(), whole * scales[:, None])
    assert torch.equal(product.whole()[0], whole)
    expected = (inputs @ whole.long().t()) * scales.double() / most
    assert torch.allclose(product(inputs / most).double(), expected, rtol=1e-5)


def test_a_token_is_computed_alike_whoever_stands_beside_it():
    torch.manual_seed(0)
    plain = torch.nn.Linear(96, 32)
    layer = int8.Int8Linear(plain)
    x = torch.randn(6, 96) * torch.tensor([1.0, 50, 0.01, 3, 0, 1])[:, None]
    with torch.inference_mode():
        together = layer(x)
        assert all(torch.equal(layer(x[n : n + 1]), together[n : n + 1]) for n in range(6))
        error = (together - plain(x)).norm(dim=1) / plain(x).norm(dim=1)
    assert 0 < error.max() < 0.03


def test_what_is_not_a_number_stays_so():
    x = torch.full((1, 8), float("nan"))
    with torch.inference_mode():
        assert int8.Int8Linear(torch.nn.Linear(8, 3))(x).isnan().all()


def test_rows_of_all_adapters_answer_as_they_do_alone(folder):
    engine = opened(folder)
    together = answered(engine, requests())
    for request, written in zip(requests(), together, strict=True):
        (alone,) = answered(engine, [request])
        assert alone.ids == written.ids
        assert alone.probabilities == pytest.approx(written.probabilities, abs=1e-5)
    engine.close()


@pytest.mark.parametrize("fbgemm", [True, False], ids=["fbgemm", "without"])
def test_the_quick_step_computes_what_the_modules_compute(folder, monkeypatch, fbgemm):
    if not fbgemm:
        monkeypatch.setattr(int8, "fbgemm_here", lambda: False)
    engine = opened(folder)
    found = answered(engine, requests())
    monkeypatch.setattr(forward, "fits", lambda model: False)
    plain = Engine(engine.backbone, engine.adapters)
    for one, other in zip(found, answered(plain, requests()), strict=True):
        assert one.ids == other.ids and nearest(one, other, 1e-4)
    engine.close()
    plain.close()


def test_it_is_the_same_backbone_and_near_to_fp32(folder):
    quick, full = opened(folder), opened(folder, "fp32")
    assert quick.backbone.dtype == "int8" and quick.backbone.place == "cpu, int8"
    assert quick.backbone.fingerprint == full.backbone.fingerprint
    assert quick.backbone.size == full.backbone.size
    request = requests()[:1]
    ours, theirs = (answered(engine, request)[0] for engine in (quick, full))
    assert nearest(ours, theirs, 0.1) and not nearest(ours, theirs, 1e-6)
    layers = int8.layers(quick.backbone.model)
    for name in "ab":
        quick.adapters.delete(name)
    assert int8.layers(quick.backbone.model) == layers
    for engine in (quick, full):
        engine.close()


def test_other_architectures_write_in_int8():
    from transformers import GPT2Config, GPT2LMHeadModel, Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(0)
    shape = {"num_hidden_layers": 2, "hidden_size": 32, "intermediate_size": 64, "vocab_size": 90}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16}
    for model, number in (
        (Qwen3ForCausalLM(Qwen3Config(**shape, **heads)).eval(), 15),
        (GPT2LMHeadModel(GPT2Config(n_layer=1, n_head=2, n_embd=16, vocab_size=90)).eval(), 1),
    ):
        ids = torch.arange(12)[None]
        with torch.inference_mode():
            before = model(ids).logits
            int8.quantize(model)
            after = model(ids).logits
        assert len(int8.layers(model)) == number
        assert 0 < (after - before).norm() / before.norm() < 0.05


def test_it_does_not_learn(folder):
    backbone = backbones.load(folder, dtype="int8")
    with pytest.raises(BadSetting, match="cannot learn"):
        AdapterStack(backbone).create("c", seed=0)
    with pytest.raises(BadSetting, match="cannot be trained through"):
        int8.layers(backbone.model)[0](torch.ones(1, 64, requires_grad=True))


def test_it_is_for_cpus(folder):
    with pytest.raises(BadSetting, match="int8 is for the CPU"):
        backbones.load(folder, device="cuda", dtype="int8")


def test_an_evaluation_holds_it_against_fp32():
    asked = {"limit": 8, "backbone": "mini", "against": ["base", "fp32"], "resamples": 100}
    results = quintet.evaluate("sentiment", dtype="int8", **asked)
    assert [entry.name for entry in results.entries] == ["base", "fp32", "adapter"]
    assert {one.against for one in results.comparisons} == {"base", "fp32"}
    with pytest.raises(BadSetting, match="compares with itself"):
        quintet.evaluate("sentiment", dtype="fp32", **asked)


def test_a_cpu_with_seven_bits_is_told_before_it_answers(monkeypatch, capsys):
    monkeypatch.setattr(int8, "most_of_inputs", lambda: 63)
    options.open_service("mini", "cpu", "int8")
    assert "no VNNI" in capsys.readouterr().err
    options.open_service("mini", "cpu", "fp32")
    assert not capsys.readouterr().err
