"""Weights of a folder read into a model without a second copy: files are read, not mapped.

transformers maps a checkpoint and converts it tensor by tensor; what is mapped stays in memory until all
is done, so fp16 files loaded in fp32 take half as much again, and in bf16 twice.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor
from torch.overrides import TorchFunctionMode

from core.errors import Damaged

_LARGE = 16_000_000
"""Elements above which a tensor is converted in pieces: embeddings, of which there is one."""
_PIECE = 4_000_000
_DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
_WHOLE, _INDEX = "model.safetensors", "model.safetensors.index.json"


class Weights(dict[str, Any]):
    """Names and tensors, or slices that are read when asked for; transformers copies its keyword arguments."""

    def __deepcopy__(self, memo: object) -> Weights:
        return self


def files(folder: Path) -> list[Path]:
    """The safetensors files that transformers would take; none where it would look for other ones."""
    if (folder / _WHOLE).is_file():
        return [folder / _WHOLE]
    if not (folder / _INDEX).is_file():
        return []
    names = json.loads((folder / _INDEX).read_bytes())["weight_map"].values()
    return [folder / name for name in sorted(set(names))]


def weights(paths: list[Path], dtype: torch.dtype) -> Weights:
    """Of all files; what is large is in `dtype` already, the rest is read and converted one by one."""
    found = Weights()
    for path in paths:
        header, start = _header(path)
        opened = safe_open(path, framework="pt", backend="pread")
        for name in opened.keys():  # noqa: SIM118  it is no dict
            about = header[name]
            large = math.prod(about["shape"]) > _LARGE and about["dtype"] in _DTYPES
            found[name] = _in_pieces(path, start, about, dtype) if large else opened.get_slice(name)
    return found


def _header(path: Path) -> tuple[dict[str, Any], int]:
    """What the file says of its tensors, and where their bytes begin."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        try:
            return json.loads(file.read(length)), 8 + length
        except ValueError as error:
            raise Damaged(f"{path} is no safetensors file, or was cut. Fetch it again.") from error


def _in_pieces(path: Path, start: int, about: dict[str, Any], dtype: torch.dtype) -> Tensor:
    kind = _DTYPES[about["dtype"]]
    made = torch.empty(about["shape"], dtype=dtype)
    flat = made.view(-1)
    with path.open("rb") as file:
        file.seek(start + about["data_offsets"][0])
        for begin in range(0, flat.numel(), _PIECE):
            piece = flat[begin : begin + _PIECE]
            content = bytearray(file.read(piece.numel() * kind.itemsize))
            piece.copy_(torch.frombuffer(content, dtype=kind))
    return made


class _Unreckoned(TorchFunctionMode):
    """While a model is made without storage: draw nothing, and count on the CPU.

    Neither changes what is read into it afterwards, but where tensors have no storage both go through
    torch's symbolic shapes: 600 modules (sympy) and 0.5 s to import.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = kwargs or {}
        if func is torch.nn.init.normal_ and given["tensor"].is_meta:
            return given["tensor"]
        if func is torch.arange and given.get("device") == torch.device("meta"):
            given["device"] = "cpu"
        return func(*args, **given)


def load(folder: str, dtype: torch.dtype) -> tuple[Any, dict[str, Any]] | None:
    """The model and transformers' account of its keys, or None where only transformers can read it."""
    import transformers
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

    paths = files(Path(folder)) if Path(folder).is_dir() else []
    if not paths:
        return None
    config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False)
    kind = MODEL_FOR_CAUSAL_LM_MAPPING.get(type(config), None)
    if not isinstance(kind, type) or hasattr(config, "quantization_config"):
        return None
    with _Unreckoned():
        model, keys = kind.from_pretrained(
            None,
            config=config,
            state_dict=weights(paths, dtype),
            dtype=dtype,
            output_loading_info=True,
        )
    if (Path(folder) / "generation_config.json").is_file():
        model.generation_config = transformers.GenerationConfig.from_pretrained(folder)
    return model, keys


def forget_quantization(model: Any) -> None:
    """A model read from GGUF is dequantised, but transformers 5.23 refuses to save it until told."""
    model.hf_quantizer = None
    for name in ("is_quantized", "quantization_method"):
        model.__dict__.pop(name, None)
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
