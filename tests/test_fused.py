"""The fused LoRA layers give what peft's own give: outputs, gradients, and nothing afterwards."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForCausalLM, Qwen2Config

from core import backbone as backbones
from core.adapters.lora import AdapterStack

IDS = torch.tensor([[0, 40, 50, 60, 70], [0, 41, 51, 61, 71]])


def stack_on(backbone, lora: dict | None = None) -> AdapterStack:
    stack = AdapterStack(backbone)
    stack.create("own", {"r": 4, "lora_alpha": 12, **(lora or {})}, seed=0)
    source = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in stack.parameters("own"):
            parameter.copy_(torch.randn(parameter.shape, generator=source) * 0.2)
    return stack


def step(stack: AdapterStack, *, fused: bool, mixed: bool = False):
    """Logits, and the gradients of the adapter's weights."""
    chosen = stack.training("own") if fused else stack.use("own")
    with chosen as model:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=mixed):
            logits = model(input_ids=IDS, use_cache=False).logits.float()
        logits.logsumexp(-1).sum().backward()
    gradients = [parameter.grad.clone() for parameter in stack.parameters("own")]
    for parameter in stack.parameters("own"):
        parameter.grad = None
    return logits.detach(), gradients


def alike(one: torch.Tensor, other: torch.Tensor) -> float:
    """The cosine of the angle between them."""
    return float(torch.cosine_similarity(one.flatten(), other.flatten(), dim=0))


def apart(one: torch.Tensor, other: torch.Tensor) -> float:
    """The difference as a share of the size."""
    return float((one - other).norm() / other.norm())


@pytest.mark.parametrize(
    "lora", [{}, {"use_rslora": True}, {"target_modules": ["q_proj", "down_proj"]}]
)
def test_fused_layers_compute_what_peft_computes(backbone, lora):
    stack = stack_on(backbone, lora)
    own, own_gradients = step(stack, fused=False)
    ours, gradients = step(stack, fused=True)
    assert torch.allclose(ours, own, atol=1e-5)
    assert len(gradients) == len(own_gradients) > 0
    for one, other in zip(gradients, own_gradients, strict=True):
        assert one.dtype == torch.float32 and apart(one, other) < 1e-4


def test_layers_with_a_bias_are_fused_too(tokenizer):
    config = Qwen2Config(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, intermediate_size=64, max_position_embeddings=64,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.ones_(parameter)
    stack = stack_on(backbones.loading.in_memory(model.eval(), tokenizer, "qwen"))
    assert torch.allclose(step(stack, fused=True)[0], step(stack, fused=False)[0], atol=1e-5)


def test_half_weights_learn_through_gradients_in_full_precision(backbone):
    exact, exact_gradients = step(stack_on(backbone), fused=True)
    backbone.model.to(torch.bfloat16)
    stack = stack_on(backbone)
    rough, gradients = step(stack, fused=True)
    assert 0 < apart(rough, exact) < 0.1
    for one, other in zip(gradients, exact_gradients, strict=True):
        assert one.dtype == torch.float32 and alike(one, other) > 0.95


def test_mixed_precision_learns_too(backbone):
    stack = stack_on(backbone)
    exact, exact_gradients = step(stack, fused=True)
    mixed, gradients = step(stack, fused=True, mixed=True)
    assert 0 < apart(mixed, exact) < 0.1
    for one, other in zip(gradients, exact_gradients, strict=True):
        assert alike(one, other) > 0.95


def test_dropout_is_left_to_peft(backbone):
    stack = stack_on(backbone, {"lora_dropout": 0.5})
    backbone.model.train()
    with stack.training("own") as model:
        first = model(input_ids=IDS, use_cache=False).logits
        assert not torch.equal(first, model(input_ids=IDS, use_cache=False).logits)


def test_nothing_of_it_is_left_afterwards(backbone):
    stack = stack_on(backbone)
    stack.create("other", {"r": 2}, seed=3)
    before, _ = step(stack, fused=False)
    with pytest.raises(RuntimeError, match="inside"), stack.training("own"):
        raise RuntimeError("inside")
    assert torch.equal(step(stack, fused=False)[0], before)
    with stack.use(None) as model, torch.no_grad():
        assert not torch.equal(model(input_ids=IDS).logits.float(), before)
