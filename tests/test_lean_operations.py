"""Lean operations give the losses and gradients of transformers' own."""

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, Qwen3Config

from finetune.training.lean_operations import lean

SHAPE = {
    "vocab_size": 90,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "attn_implementation": "eager",
}
FAMILIES = {"llama": LlamaConfig(**SHAPE), "qwen3": Qwen3Config(**SHAPE, head_dim=8)}


def learned(model, ids, mask, dtype):
    """Loss and gradients of the embeddings, a norm and a key's projection."""
    model.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "mixed"):
        found = model(input_ids=ids, attention_mask=mask, labels=ids, use_cache=False)
    found.loss.backward()
    layer = model.model.layers[0]
    weights = (model.model.embed_tokens, layer.input_layernorm, layer.self_attn.k_proj)
    return found.loss.detach(), *(one.weight.grad.clone() for one in weights)


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize(("dtype", "near"), [("fp32", 1e-5), ("mixed", 2e-2)])
@pytest.mark.parametrize("family", FAMILIES)
def test_losses_and_gradients_are_those_of_transformers(family, dtype, near, padded):
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(FAMILIES[family]).train()
    for name, weight in model.named_parameters():
        if "norm" in name:
            torch.nn.init.normal_(weight, 1.0, 0.2)
    ids = torch.randint(90, (3, 11))
    mask = torch.ones_like(ids)
    if padded:
        mask[1, :4] = 0  # on the left, where causal attention looks
    own = learned(model, ids, mask, dtype)
    with lean(model, attention=True):
        changed = [m for m in model.modules() if "forward" in vars(m)]
        ours = learned(model, ids, mask, dtype)
    assert len(changed) == {"llama": 7, "qwen3": 9}[family]
    assert not any("forward" in vars(module) for module in model.modules())
    for one, other in zip(own, ours, strict=True):
        assert (one - other).abs().max() <= near * one.abs().max()


def test_what_is_cached_is_read_by_the_model_itself():
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(FAMILIES["llama"]).eval()
    ids = torch.randint(90, (2, 7))
    with torch.no_grad(), lean(model, attention=True):
        whole = model(input_ids=ids, use_cache=False).logits
        first = model(input_ids=ids[:, :5], use_cache=True)
        rest = model(input_ids=ids[:, 5:], past_key_values=first.past_key_values).logits
    assert torch.allclose(whole[:, 5:], rest, atol=1e-5)
