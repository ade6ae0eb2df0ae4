"""See inside: the worked example by hand, and any model beside what transformers itself gives."""

from __future__ import annotations

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    CohereConfig,
    Gemma2Config,
    Gemma3TextConfig,
    GPT2Config,
    GPTNeoXConfig,
    GraniteConfig,
    LlamaConfig,
    OPTConfig,
)

from core.adapters.lora import AdapterStack
from core.backbone import loading
from core.engine.engine import Engine
from core.engine.llama_step import hooked
from core.engine.prompting import encode_text, first_token
from core.errors import BadInput
from core.inspection.look import look
from core.inspection.worked_example import self_attention

WIDTH = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4}
ROPE = {**WIDTH, "intermediate_size": 64, "max_position_embeddings": 128}
GROUPED = {**ROPE, "num_key_value_heads": 2}
NORMS = {
    "gpt2": "transformer.ln_f",
    "llama": "model.norm",
    "gpt_neox": "gpt_neox.final_layer_norm",
    "gemma3": "model.norm",
}
FAMILIES = {
    "gpt2": lambda n: GPT2Config(vocab_size=n, n_embd=32, n_layer=3, n_head=4, n_positions=128),
    "llama": lambda n: LlamaConfig(vocab_size=n, **GROUPED),
    "gpt_neox": lambda n: GPTNeoXConfig(vocab_size=n, **ROPE),
    "gemma3": lambda n: Gemma3TextConfig(vocab_size=n, **GROUPED, head_dim=8, sliding_window=8),
    "gemma2": lambda n: Gemma2Config(
        vocab_size=n, **GROUPED, head_dim=8, final_logit_softcapping=2.0
    ),
    "granite": lambda n: GraniteConfig(vocab_size=n, **GROUPED, logits_scaling=4.0),
    "cohere": lambda n: CohereConfig(vocab_size=n, **GROUPED, logit_scale=0.25),
    "opt": lambda n: OPTConfig(
        vocab_size=n, hidden_size=32, ffn_dim=64, num_hidden_layers=3, num_attention_heads=4,
        word_embed_proj_dim=16, max_position_embeddings=128,
    ),
}  # fmt: skip
TEXT = "She bought 12 apples. 今天的天气很好。"


def engine_of(family: str, tokenizer) -> Engine:
    config = FAMILIES[family](len(tokenizer))
    config.bos_token_id = config.eos_token_id = tokenizer.eos_token_id
    config.pad_token_id = tokenizer.pad_token_id
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config).eval()
        for parameter in model.parameters():  # so that nothing is zero or one by construction
            parameter.data += 0.1 * torch.randn(parameter.shape)
    backbone = loading.in_memory(model, tokenizer, family)
    stack = AdapterStack(backbone)
    stack.create("own", seed=0)
    drawn = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in stack.parameters("own"):
            parameter.copy_(torch.randn(parameter.shape, generator=drawn) * 0.3)
    return Engine(backbone, stack)


@pytest.fixture(params=FAMILIES)
def engine(request, tokenizer) -> Engine:
    return engine_of(request.param, tokenizer)


def directly(engine: Engine, adapter: str | None):
    """What transformers gives when it is asked itself."""
    tokenizer = engine.backbone.tokenizer
    ids = torch.tensor([[first_token(tokenizer), *encode_text(TEXT, tokenizer)]])
    with engine.exclusive(adapter) as model:
        before = engine.backbone.model.config._attn_implementation
        engine.backbone.model.set_attn_implementation("eager")
        output = model(
            input_ids=ids, use_cache=False, output_attentions=True, output_hidden_states=True
        )
        engine.backbone.model.set_attn_implementation(before)
    return output


def count_hooks(engine: Engine) -> int:
    """transformers keeps some of its own once hidden states were asked for."""
    modules = list(engine.backbone.model.modules())
    return sum(len(one._forward_hooks) + len(one._forward_pre_hooks) for one in modules)


@pytest.mark.parametrize("adapter", [None, "own"])
def test_attention_and_probabilities_are_those_of_the_model(engine, adapter):
    output = directly(engine, adapter)
    found = look(engine, adapter, TEXT)
    torch.testing.assert_close(found.attention, torch.cat(output.attentions))
    assert found.layers == (1, 2, 3)
    rows = found.attention.sum(-1)
    torch.testing.assert_close(rows, torch.ones_like(rows))
    assert not found.attention.triu(1).any()
    shares = torch.softmax(output.logits[0, -1], -1)
    top, tokens = shares.max(-1)
    first = found.next_tokens[0]
    assert first.text == engine.backbone.tokenizer.decode([int(tokens)]).replace("\ufffd", "□")
    assert first.probability == pytest.approx(float(top), rel=1e-4)
    through = torch.exp(torch.tensor(first.logit - found.log_normaliser))
    assert float(through) == pytest.approx(float(top), rel=1e-4)


def test_the_lens_reads_each_layer_through_what_follows_the_last(engine):
    """Whatever the last layer gives is read as the model itself reads it."""
    output = directly(engine, "own")
    caught = {}
    stack = next(
        module for name, module in engine.backbone.model.named_modules()
        if isinstance(module, torch.nn.ModuleList) and len(module) == 3
    )  # fmt: skip

    def replace(module, inputs, made):
        state = output.hidden_states[1]
        return (state, *made[1:]) if isinstance(made, tuple) else state

    with engine.exclusive("own") as model:
        hook = stack[-1].register_forward_hook(replace)
        ids = [
            first_token(engine.backbone.tokenizer),
            *encode_text(TEXT, engine.backbone.tokenizer),
        ]
        caught = torch.softmax(model(input_ids=torch.tensor([ids])).logits[0], -1)
        hook.remove()
    found = look(engine, "own", TEXT)
    assert len(found.lens) == 4
    expected = caught.max(-1).values.tolist()
    assert [one.probability for one in found.lens[1]] == pytest.approx(expected, rel=1e-3)
    said = output.logits[0].argmax(-1)
    of_final = caught.gather(-1, said[:, None])[:, 0].tolist()
    assert [one.of_final for one in found.lens[1]] == pytest.approx(of_final, rel=1e-3)


@pytest.mark.parametrize("family", NORMS)
def test_the_final_norm_is_found_without_its_name(family, tokenizer):
    engine = engine_of(family, tokenizer)
    states = directly(engine, None).hidden_states[2][0]
    model = engine.backbone.model
    logits = model.get_output_embeddings()(model.get_submodule(NORMS[family])(states))
    found = [one.probability for one in look(engine, None, TEXT).lens[2]]
    assert found == pytest.approx(torch.softmax(logits, -1).max(-1).values.tolist(), rel=1e-3)


def test_an_adapter_changes_what_is_seen_and_leaves_no_trace(tokenizer):
    engine = engine_of("llama", tokenizer)
    hooks = count_hooks(engine)
    before = look(engine, None, TEXT)
    own = look(engine, "own", TEXT)
    after = look(engine, None, TEXT)
    assert not torch.equal(before.attention, own.attention)
    assert torch.equal(before.attention, after.attention)
    assert engine.backbone.model.config._attn_implementation == "sdpa"
    assert count_hooks(engine) == hooks


def test_a_look_leaves_no_hook_behind_and_the_next_one_sees_as_much(tokenizer):
    engine = engine_of("llama", tokenizer)
    assert not hooked(engine.backbone.model)
    once = look(engine, None, TEXT)
    assert not any(module._forward_hooks for module in engine.backbone.model.modules())
    again = look(engine, None, TEXT)
    assert torch.equal(once.attention, again.attention)
    assert once.lens == again.lens


def test_of_a_long_text_the_end_is_looked_at(tokenizer):
    engine = engine_of("llama", tokenizer)
    found = look(engine, None, TEXT * 20, most=10)
    short = look(engine, None, TEXT, most=48)
    assert (len(found.tokens), found.tokens[-3:]) == (10, short.tokens[-3:])
    assert found.dropped > 100
    assert len(look(engine, None, "").tokens) == 1


def test_the_worked_example_has_the_softmax_right():
    found = self_attention([1, 2, 3])
    assert [round(weight, 2) for weight in found.steps[0].weights] == [0.09, 0.24, 0.67]
    assert found.steps[0].scores == (1, 2, 3)
    assert found.steps[0].output == pytest.approx(0.0900 * 1 + 0.2447 * 2 + 0.6652 * 3, abs=1e-3)
    assert [round(weight, 3) for weight in found.steps[1].weights] == [0.016, 0.117, 0.867]


def test_the_worked_example_follows_its_weights_and_its_mask():
    found = self_attention([1, 2, 3], query_weight=0.5, key_weight=2, value_weight=-1, causal=True)
    assert (found.keys, found.values) == ((2, 4, 6), (-1, -2, -3))
    assert found.steps[0].weights == (1, 0, 0)
    assert found.steps[0].scores == (1.0, None, None)
    assert found.steps[2].query == 1.5
    assert sum(found.steps[2].weights) == pytest.approx(1)


@pytest.mark.parametrize(
    ("inputs", "weight"), [([], 1), ([1] * 7, 1), ([9], 1), ([float("nan")], 1), ([1], 3)]
)
def test_the_worked_example_stays_small(inputs, weight):
    with pytest.raises(BadInput):
        self_attention(inputs, query_weight=weight)
