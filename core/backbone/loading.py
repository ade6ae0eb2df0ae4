"""Any causal language model: a folder, a hub id or a `.gguf` file, with its tokenizer, in a dtype."""

from __future__ import annotations

import json
import re
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from core import store
from core.backbone import fingerprint as identity
from core.backbone import hub
from core.backbone import tokenizer as tokenizers
from core.errors import BadSetting, Damaged, MissingBackbone

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Dtype = Literal["auto", "fp32", "bf16", "fp16", "int8"]
_TORCH = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
_SMALL = 50_000_000
"""Below this many weights calls cost more than arithmetic, and 'auto' stays with fp32."""


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """A causal language model, its tokenizer, and the fingerprint of both."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    name: str
    fingerprint: str

    @property
    def context(self) -> int:
        """The most tokens that prompt and answer may take together."""
        return _context_of(self.model.config)

    @property
    def tokenizer_hash(self) -> str:
        """Of the tokenizer alone, so that a mismatch can be named."""
        return identity.hash_tokenizer(self.tokenizer)

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self.model.device

    @property
    def dtype(self) -> str:
        """Of the weights: fp32, bf16, fp16 or int8."""
        from core.backbone import int8

        if int8.layers(self.model):
            return "int8"
        name = str(self.model.dtype).removeprefix("torch.")
        return next((short for short, long in _TORCH.items() if long == name), name)

    @property
    def place(self) -> str:
        """Device and dtype, for a report."""
        return f"{self.device}, {self.dtype}"

    @property
    def size(self) -> int:
        """Parameters, tied ones counted once."""
        from core.backbone import frozen

        return sum(one.numel() for one in self.model.parameters()) + frozen.size(self.model)


def load(source: str | Path, *, device: str = "cpu", dtype: Dtype = "fp32") -> Backbone:
    """A causal language model from a folder, a `.gguf` file or a hub id.

    With dtype 'auto' a backbone of 50 M weights or more is loaded in bf16 where that is faster here.
    With 'int8' it answers and cannot learn: linear layers are in int8, all else in fp32.
    Raises `MissingBackbone` and `Damaged`.
    """
    path = Path(source)
    must_exist(path, str(source))
    origin = _origin(path, source)
    tokenizer = tokenizers.load(origin.source, **origin.options)
    chosen = _pick(dtype, origin, device)
    model = _pretrained(origin, chosen)
    if origin.gguf:
        from core.backbone.lean import forget_quantization

        forget_quantization(model)
    files = [path] if origin.gguf else sorted(path.glob("*.safetensors")) if path.is_dir() else []
    mark = (
        identity.of_files(files, model, tokenizer)
        if files
        else identity.fingerprint(model, tokenizer)
    )
    if dtype == "int8":
        from core.backbone import int8

        int8.quantize(model)
    return Backbone(
        model=model.eval().to(device), tokenizer=tokenizer, name=name_of(source), fingerprint=mark
    )


def load_tokenizer(source: str | Path) -> tuple[PreTrainedTokenizerBase, int]:
    """The tokenizer of what `load` takes, and the context; no weights are read."""
    from transformers import AutoConfig

    path = Path(source)
    must_exist(path, str(source))
    origin = _origin(path, source)
    tokenizer = tokenizers.load(origin.source, **origin.options)
    try:
        config = AutoConfig.from_pretrained(
            origin.source, trust_remote_code=False, **origin.options
        )
    except (OSError, ValueError) as error:
        raise MissingBackbone(
            f"No causal language model in {str(origin)!r}: {_first(error)}"
        ) from error
    return tokenizer, _context_of(config)


def name_of(source: str | Path) -> str:
    """The name of a backbone: what was stored with it, its file or folder, or the hub id."""
    path = Path(source)
    if stored := _stored_name(path):
        return stored
    if _is_gguf(path):
        return path.stem
    return path.resolve().name if path.is_dir() else str(source)


@dataclass(frozen=True)
class _Origin:
    """What transformers is asked for: a folder or hub id, and the GGUF in it, if it is one."""

    source: str
    gguf: str = ""

    @property
    def options(self) -> dict[str, Any]:
        return {"gguf_file": self.gguf} if self.gguf else hub.options(self.source)

    def __str__(self) -> str:
        return str(Path(self.source) / self.gguf) if self.gguf else self.source


def _origin(path: Path, source: str | Path) -> _Origin:
    return _Origin(str(path.parent), path.name) if _is_gguf(path) else _Origin(str(source))


def _context_of(config: Any) -> int:
    return int(getattr(config, "max_position_embeddings", None) or config.n_positions)


def must_exist(path: Path, source: str) -> None:
    """`MissingBackbone` for a path that leads nowhere; a hub id may be anything."""
    local = _is_gguf(path) or not re.fullmatch(r"\w[\w.-]*(/[\w.-]+)?", source)
    if local and not (path.is_dir() or (_is_gguf(path) and path.is_file())):
        raise MissingBackbone(
            f"No folder or .gguf file {source!r}. Give one, a hub id, or a name of "
            "'quintet backbone list' as --backbone."
        )
    if not local and not path.is_dir():
        hub.check(source)


def _is_gguf(path: Path) -> bool:
    return path.suffix.lower() == ".gguf"


def _pick(dtype: Dtype, origin: _Origin, device: str) -> str:
    """The dtype to load in: fp32, bf16 or fp16."""
    if dtype == "int8":
        if device != "cpu":
            raise BadSetting(f"dtype int8 is for the CPU, not for {device}. Take bf16 or fp16.")
        return "fp32"
    if dtype != "auto":
        if dtype not in _TORCH:
            raise BadSetting(f"dtype is {dtype!r}; it must be auto, {', '.join(_TORCH)}, int8.")
        return dtype
    from core import hardware

    if device == "cpu" and _weights(origin) < _SMALL:
        return "fp32"
    return "bf16" if hardware.measure(device).bf16_pays else "fp32"


def _weights(origin: _Origin) -> int:
    """About how many weights the configuration asks for: 12 d² a layer and the embeddings."""
    from transformers import AutoConfig

    try:
        found = AutoConfig.from_pretrained(origin.source, trust_remote_code=False, **origin.options)
        text = found.get_text_config()
        return (
            12 * text.num_hidden_layers * text.hidden_size**2 + text.vocab_size * text.hidden_size
        )
    except Exception:  # what cannot be read is told when the model is loaded
        return 0


def _pretrained(origin: _Origin, dtype: str) -> Any:
    """The model, refused where transformers would draw missing weights at random."""
    import torch
    from transformers import AutoModelForCausalLM

    from core.backbone import lean

    kind = getattr(torch, "float32" if origin.gguf else _TORCH[dtype])
    try:
        loaded: Any = (
            None if origin.gguf else lean.load(origin.source, kind)
        ) or AutoModelForCausalLM.from_pretrained(
            origin.source,
            dtype=kind,
            trust_remote_code=False,
            use_safetensors=not origin.gguf,
            output_loading_info=True,
            **origin.options,
        )
    except ImportError as error:
        raise MissingBackbone(f"Cannot read {str(origin)!r}: {_first(error)}") from error
    except (OSError, ValueError) as error:
        raise MissingBackbone(
            f"No causal language model in {str(origin)!r}: {_first(error)}"
        ) from error
    except Exception as error:  # safetensors and gguf raise their own, undocumented types
        known = isinstance(error, RuntimeError | KeyError | IndexError | NotImplementedError)
        if not known and type(error).__name__ != "SafetensorError":
            raise
        raise Damaged(f"The weights in {str(origin)!r} cannot be read: {_first(error)}") from error
    model, about = loaded
    if missing := sorted(about["missing_keys"]):
        raise Damaged(
            f"{str(origin)!r} lacks {len(missing)} weights of its model, as {missing[0]}."
        )
    return model.to(getattr(torch, _TORCH[dtype]))


def _first(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def save(backbone: Backbone, folder: Path, *, half: bool = False) -> None:
    """Stock `save_pretrained` files, appearing all at once; `half` stores fp16 weights.

    Raises `BadSetting` for a model in int8, or whose layers hold adapters: no loader would know them.
    """
    from core.backbone import packed

    if backbone.dtype == "int8":
        raise BadSetting(f"{backbone.name!r} is in int8, which is not stored. Load it in fp32.")
    packed.unpack(backbone.model)
    layers = backbone.model.named_modules()
    # PEFT keeps the layer of the model in `base_layer`.
    if wrapped := next((name for name, layer in layers if hasattr(layer, "base_layer")), None):
        raise BadSetting(
            f"{backbone.name!r} holds adapters, in {wrapped} first, and cannot be saved with them. "
            "Load the backbone again, or save it before it gets an adapter."
        )
    with store.new_folder(folder) as temporary:
        model = deepcopy(backbone.model).half() if half else backbone.model
        model.config.name_or_path = backbone.name
        model.save_pretrained(temporary)
        backbone.tokenizer.save_pretrained(temporary)
        store.write_json(temporary / "quintet.json", {"name": backbone.name})


def shipped(*, device: str = "cpu", dtype: Dtype = "fp32") -> Backbone:
    """The backbone in the package."""
    if not store.shipped_backbone().is_dir():
        raise MissingBackbone(
            "This copy holds no shipped backbone. Train one (quintet pretrain) or give --backbone."
        )
    return load(store.shipped_backbone(), device=device, dtype=dtype)


def _stored_name(folder: Path) -> str | None:
    path = folder / "quintet.json"
    if not path.is_file():
        return None
    try:
        return str(json.loads(path.read_bytes())["name"])
    except (ValueError, TypeError, KeyError) as error:
        raise Damaged(f"{path} is damaged: it must hold a name.") from error


def in_memory(model: Any, tokenizer: PreTrainedTokenizerBase, name: str) -> Backbone:
    """A backbone of a model that no file holds; every weight is read for its fingerprint."""
    mark = identity.fingerprint(model, tokenizer)
    return Backbone(model=model, tokenizer=tokenizer, name=name, fingerprint=mark)


def refreshed(backbone: Backbone) -> Backbone:
    """The same model with the fingerprint that its weights have now."""
    return in_memory(backbone.model.eval(), backbone.tokenizer, backbone.name)
