"""Tiny GGUF files, written with the gguf package from real models with random weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from transformers import (
    AutoModelForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    Qwen2Config,
    Qwen3Config,
)

SHAPE = {
    "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128,
    "num_key_value_heads": 2, "max_position_embeddings": 256, "tie_word_embeddings": True,
}  # fmt: skip
CONFIGURATIONS = {
    "llama": lambda size: LlamaConfig(vocab_size=size, **SHAPE),
    "qwen2": lambda size: Qwen2Config(vocab_size=size, **SHAPE),
    "qwen3": lambda size: Qwen3Config(vocab_size=size, **SHAPE, head_dim=128),
    "gemma3": lambda size: Gemma3TextConfig(vocab_size=size, **SHAPE, head_dim=32),
}


def write_gguf(path: Path, architecture: str, tokenizer: Any, kind: str = "F32") -> Path:
    """A model of that architecture with random weights, its matrices in the quantisation `kind`."""
    config = CONFIGURATIONS[architecture](len(tokenizer))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config)
    writer = gguf.GGUFWriter(path, architecture)
    _write_shape(writer, config)
    _write_tokenizer(writer, tokenizer)
    names = gguf.get_tensor_name_map(getattr(gguf.MODEL_ARCH, architecture.upper()), 2)
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight":
            continue
        values = _as_llama_cpp(architecture, name, tensor, config).float().numpy()
        _write_tensor(writer, names.get_name(name, try_suffixes=(".weight", ".bias")), values, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _as_llama_cpp(architecture: str, name: str, tensor: Any, config: Any) -> Any:
    """Llama's rotary halves are interleaved in GGUF; Gemma's norms hold 1 + w there."""
    if architecture == "gemma3" and name.endswith("norm.weight"):
        return tensor + 1
    heads = {
        "q_proj.weight": config.num_attention_heads,
        "k_proj.weight": config.num_key_value_heads,
    }
    count = next((n for end, n in heads.items() if name.endswith(end)), 0)
    if architecture != "llama" or not count:
        return tensor
    rows, columns = tensor.shape
    split = tensor.reshape(count, 2, rows // count // 2, columns)
    return split.swapaxes(1, 2).reshape(rows, columns).contiguous()


def _write_tensor(writer: Any, name: str, values: Any, kind: str) -> None:
    if kind == "F32" or values.ndim == 1:
        writer.add_tensor(name, values)
        return
    of = getattr(gguf.GGMLQuantizationType, kind)
    writer.add_tensor(name, gguf.quantize(values, of), raw_dtype=of)


def _write_shape(writer: Any, config: Any) -> None:
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(10_000.0)
    writer.add_vocab_size(config.vocab_size)
    if head := getattr(config, "head_dim", None):
        writer.add_key_length(head)
        writer.add_value_length(head)
        writer.add_sliding_window(128)


def _write_tokenizer(writer: Any, tokenizer: Any) -> None:
    backend = json.loads(tokenizer.backend_tokenizer.to_str())
    merges = [
        pair if isinstance(pair, str) else " ".join(pair) for pair in backend["model"]["merges"]
    ]
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda pair: pair[1])
    special = set(tokenizer.all_special_ids)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([token for token, _ in vocabulary])
    writer.add_token_types([3 if place in special else 1 for _, place in vocabulary])
    writer.add_token_scores(np.zeros(len(vocabulary)).tolist())
    writer.add_token_merges(merges)
    writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_pad_token_id(tokenizer.pad_token_id)
