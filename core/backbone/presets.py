"""Backbones with random weights: three shapes of a Llama."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

from core.backbone.loading import Backbone, in_memory
from core.errors import BadSetting, nearest

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedTokenizerBase

Preset = Literal["nano", "mini", "small"]

_LLAMA: dict[str, Any] = {"rms_norm_eps": 1e-5, "rope_theta": 10_000.0, "attention_bias": False}
_SHAPES: dict[str, dict[str, Any]] = {
    # nano: a real model that trains in seconds, for tests.
    "nano": dict(hidden_size=64, num_hidden_layers=2, num_attention_heads=4,
                 num_key_value_heads=4, intermediate_size=176, max_position_embeddings=256),
    # mini: what a GPU feeds in minutes and two cores still answer from at once.
    "mini": dict(hidden_size=512, num_hidden_layers=7, num_attention_heads=8,
                 num_key_value_heads=8, intermediate_size=1408, max_position_embeddings=1024),
    # small: the shape of GPT-2 124M (Radford et al. 2019, table 2), with SwiGLU at 8/3 width.
    "small": dict(hidden_size=768, num_hidden_layers=12, num_attention_heads=12,
                  num_key_value_heads=12, intermediate_size=2048, max_position_embeddings=1024),
}  # fmt: skip


def create(preset: str, tokenizer: PreTrainedTokenizerBase, *, seed: int = 0) -> Backbone:
    """A backbone with random weights; the same seed gives the same weights."""
    import torch
    from transformers import AutoModelForCausalLM

    configuration = _configuration(preset, tokenizer)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(configuration, dtype=torch.float32)
    return in_memory(model.eval(), tokenizer, f"quintet-{preset}")


def _configuration(preset: str, tokenizer: PreTrainedTokenizerBase) -> PretrainedConfig:
    from transformers import LlamaConfig

    if preset not in get_args(Preset):
        allowed = ", ".join(get_args(Preset))
        raise BadSetting(
            f"Unknown preset {preset!r}; allowed: {allowed}.{nearest(preset, _SHAPES)}"
        )
    return LlamaConfig(
        vocab_size=len(tokenizer),
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **_LLAMA,
        **_SHAPES[preset],
    )
