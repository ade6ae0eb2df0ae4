"""Other causal language models: GPT-2, Llama, Qwen3, Gemma 3 and GPT-NeoX take an adapter and answer."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import (
    AutoModelForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    Qwen3Config,
)

import apps
from core import backbone as backbones
from core.adapters.lora import AdapterStack
from core.application import Application
from core.engine.engine import Engine
from core.engine.prompting import Encoded

WIDTH = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
ROPE = {**WIDTH, "intermediate_size": 64, "max_position_embeddings": 128}
FAMILIES = {
    "gpt2": lambda size: GPT2Config(
        vocab_size=size, n_embd=32, n_layer=2, n_head=4, n_positions=128
    ),
    "llama": lambda size: LlamaConfig(vocab_size=size, **ROPE, num_key_value_heads=2),
    "qwen3": lambda size: Qwen3Config(vocab_size=size, **ROPE, num_key_value_heads=2, head_dim=8),
    # A window shorter than the prompts; every other layer sees all.
    "gemma3": lambda size: Gemma3TextConfig(
        vocab_size=size,
        **ROPE,
        num_key_value_heads=2,
        head_dim=8,
        sliding_window=8,
        layer_types=["sliding_attention", "full_attention"],
        query_pre_attn_scalar=8,
    ),
    "gpt_neox": lambda size: GPTNeoXConfig(vocab_size=size, **ROPE),
}
PROMPTS = [[0, 40, 50, 60], [0, 70], [0, *range(100, 120)]]


@pytest.fixture(params=FAMILIES)
def checkpoint(request, tokenizer, tmp_path) -> Path:
    config = FAMILIES[request.param](len(tokenizer))
    config.bos_token_id = config.eos_token_id = tokenizer.eos_token_id
    config.pad_token_id = tokenizer.pad_token_id
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config)
    model.save_pretrained(tmp_path / request.param)
    tokenizer.save_pretrained(tmp_path / request.param)
    return tmp_path / request.param


def adapted(checkpoint: Path) -> Engine:
    backbone = backbones.load(checkpoint)
    stack = AdapterStack(backbone)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stack.create("own", seed=0)
    source = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in stack.parameters("own"):
            parameter.copy_(torch.randn(parameter.shape, generator=source) * 0.2)
    return Engine(backbone, stack)


def test_an_adapter_survives_the_disk_and_stock_peft_reads_it(checkpoint, tmp_path):
    engine = adapted(checkpoint)
    engine.adapters.save("own", tmp_path / "adapter")
    again = Engine(backbones.load(checkpoint))
    again.adapters.load("own", tmp_path / "adapter")
    label_tokens = list(range(20, 40))
    expected = engine.rank("own", PROMPTS, label_tokens)
    assert torch.allclose(again.rank("own", PROMPTS, label_tokens), expected, atol=1e-6)
    assert not torch.allclose(again.rank(None, PROMPTS, label_tokens), expected)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        plain = AutoModelForCausalLM.from_pretrained(checkpoint)
        stock = PeftModel.from_pretrained(plain, tmp_path / "adapter").eval()
    ids = torch.tensor([PROMPTS[2]])
    with torch.no_grad(), again.adapters.use("own") as model:
        found, expected = model(input_ids=ids).logits, stock(input_ids=ids).logits
    assert torch.allclose(found, expected, atol=1e-5)


def test_padding_changes_no_answer(checkpoint):
    engine = adapted(checkpoint)
    label_tokens = list(range(20, 40))
    together = engine.rank("own", PROMPTS, label_tokens)
    written = engine.write("own", PROMPTS, max_new_tokens=8)
    rows = [Encoded(prompt, 1) for prompt in PROMPTS]
    weighed = engine.log_likelihood("own", rows)
    for place, prompt in enumerate(PROMPTS):
        assert torch.allclose(
            engine.rank("own", [prompt], label_tokens)[0], together[place], atol=1e-5
        )
        assert engine.write("own", [prompt], max_new_tokens=8)[0] == written[place]
        assert engine.log_likelihood("own", [rows[place]])[0] == pytest.approx(
            weighed[place], abs=1e-3
        )


def test_writing_is_what_generate_writes(checkpoint):
    engine = adapted(checkpoint)
    written = engine.write("own", PROMPTS, max_new_tokens=14)
    with engine.adapters.use("own") as model:
        for prompt, ids in zip(PROMPTS, written, strict=True):
            whole = model.generate(
                torch.tensor([prompt]),
                attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
                max_new_tokens=14,
                do_sample=False,
            )
            expected = whole[0, len(prompt) :].tolist()
            assert ids == expected[: len(ids)]
            assert len(ids) == 14 or expected[len(ids)] == engine.backbone.tokenizer.eos_token_id


def test_writing_stops_at_the_last_position(checkpoint):
    engine = adapted(checkpoint)
    long = [0, *([40] * 119)]
    written = engine.write("own", [long, [0]], max_new_tokens=100)
    assert len(written[0]) <= 8


@pytest.mark.parametrize("name", ["sentiment", "qa", "generation"])
def test_applications_answer(checkpoint, name):
    application = Application(apps.load(name), adapted(checkpoint), "own")
    found = list(application.predict(application.task.samples, max_new_tokens=12))
    assert len(found) == len(application.task.samples)
    streamed = application.stream(application.task.samples[0], max_new_tokens=12)
    assert list(streamed)[-1] == found[0].text
