"""llama.cpp through llama-cpp-python: one model in fp32, an adapter set for each request."""

from __future__ import annotations

import ctypes
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy
import torch

from benchmarks.peers.contract import Answered, Precision, until
from core import backbone as backbones
from core.engine.sequences import Request
from core.errors import BadSetting

Array = numpy.ndarray[Any, Any]
_NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "embed_tokens": "token_embd",
    "norm": "output_norm",
    "lm_head": "output",
}
"""Of transformers' Llama, and of llama.cpp's."""


class LlamaCpp:
    """Answers one request after another, greedily, from its logits."""

    def __init__(self, folder: str, adapters: Mapping[str, Path], precision: Precision) -> None:
        import llama_cpp  # type: ignore[import-not-found, import-untyped, unused-ignore]

        loaded = backbones.load(folder)
        self._end = loaded.tokenizer.eos_token_id
        self._lib = llama_cpp
        with tempfile.TemporaryDirectory() as temporary:
            file = Path(temporary) / "backbone.gguf"
            write_backbone(loaded.model, file)
            threads = torch.get_num_threads()
            self._llama = llama_cpp.Llama(
                str(file), n_ctx=min(loaded.context, 2048), n_threads=threads,
                n_threads_batch=threads, use_mmap=False, verbose=False,
            )  # fmt: skip
            self._adapters = {
                name: self._adapter(path, loaded.model.config, Path(temporary) / f"{name}.gguf")
                for name, path in adapters.items()
            }

    def answer(self, requests: Sequence[Request]) -> Answered:
        rows = [self._row(one) for one in requests]
        return Answered(ids=[ids for ids, _ in rows], tokens=sum(tokens for _, tokens in rows))

    def _row(self, request: Request) -> tuple[tuple[int, ...], int]:
        adapter = self._adapters[str(request.adapter)]
        self._lib.llama_set_adapters_lora(
            self._llama.ctx,
            (self._lib.llama_adapter_lora_p_ctypes * 1)(adapter),
            1,
            (ctypes.c_float * 1)(1.0),
        )
        self._llama.reset()
        self._llama.eval(list(request.prompt))
        if request.label_tokens:
            return (int(self._logits()[list(request.label_tokens)].argmax()),), 1
        ids: list[int] = []
        while len(ids) < request.max_new_tokens:
            logits = self._logits()
            allowed = list(request.allowed(ids)) if request.allowed else None
            best = int(logits.argmax()) if allowed is None else allowed[logits[allowed].argmax()]
            ids.append(best)
            if best == self._end:
                break
            self._llama.eval([best])
        return until(ids, self._end)

    def _logits(self) -> Array:
        found = self._lib.llama_get_logits_ith(self._llama.ctx, -1)
        return numpy.ctypeslib.as_array(found, shape=(self._llama.n_vocab(),))

    def _adapter(self, folder: Path, config: Any, file: Path) -> Any:
        write_adapter(folder, config, file)
        return self._lib.llama_adapter_lora_init(self._llama.model, str(file).encode())


def write_backbone(model: Any, file: Path) -> None:
    """A Llama as GGUF in fp32, without its tokenizer; raises `BadSetting` for other models."""
    from gguf import GGUFWriter

    config = model.config
    if config.model_type != "llama":
        raise BadSetting(f"llama.cpp is measured on Llama models only, not {config.model_type!r}.")
    writer = GGUFWriter(file, "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("no_vocab")
    tied = config.tie_word_embeddings
    for name, weight in model.state_dict().items():
        if not (tied and name.startswith("lm_head")):
            array = weight.detach().float().numpy()
            place = name.removesuffix(".weight").removeprefix("model.")
            writer.add_tensor(f"{_renamed(place)}.weight", _turned(place, array, config))
    _write(writer)


def write_adapter(folder: Path, config: Any, file: Path) -> None:
    """A LoRA adapter of peft as GGUF in fp32."""
    from gguf import GGUFWriter
    from safetensors.numpy import load_file

    settings = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    writer = GGUFWriter(file, "llama")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", float(settings["lora_alpha"]))
    for place, side, array in _factors(load_file(folder / "adapter_model.safetensors")):
        turned = _turned(place, array, config) if side == "b" else array
        writer.add_tensor(f"{_renamed(place)}.weight.lora_{side}", turned)
    _write(writer)


def _factors(weights: Mapping[str, Array]) -> Iterator[tuple[str, str, Array]]:
    for name, array in weights.items():
        place, _, side = name.removesuffix(".weight").rpartition(".lora_")
        yield place.removeprefix("base_model.model.model."), side.lower(), array.astype("float32")


def _renamed(place: str) -> str:
    if place.startswith("layers."):
        _, number, rest = place.split(".", 2)
        return f"blk.{number}.{_NAMES[rest]}"
    return _NAMES[place]


def _turned(place: str, array: Array, config: Any) -> Array:
    """Rows of queries and keys in the order in which llama.cpp rotates them."""
    heads = {
        "q_proj": config.num_attention_heads,
        "k_proj": config.num_key_value_heads,
    }.get(place.rpartition(".")[2])
    if heads is None:
        return array
    pairs = array.reshape(heads, 2, array.shape[0] // heads // 2, *array.shape[1:])
    return numpy.ascontiguousarray(pairs.swapaxes(1, 2).reshape(array.shape))


def _write(writer: Any) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
