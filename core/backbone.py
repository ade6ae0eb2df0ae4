"""The shared GPT: from a preset with random weights, or from any causal language model."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from core import store
from core import tokenizer as tokenizers
from core.errors import BadSetting, Damaged, MissingBackbone, nearest

if TYPE_CHECKING:
    import torch
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

Preset = Literal["nano", "mini", "small"]

_LLAMA: dict[str, Any] = {"rms_norm_eps": 1e-5, "rope_theta": 10_000.0, "attention_bias": False}
_SHAPES: dict[str, dict[str, Any]] = {
    # nano: a real model that trains in seconds, for tests.
    "nano": dict(hidden_size=64, num_hidden_layers=2, num_attention_heads=4,
                 num_key_value_heads=4, intermediate_size=176, max_position_embeddings=256),
    # mini: what two cores can feed in an hour, about 20 tokens a parameter being out of reach.
    "mini": dict(hidden_size=256, num_hidden_layers=4, num_attention_heads=4,
                 num_key_value_heads=4, intermediate_size=704, max_position_embeddings=512),
    # small: the shape of GPT-2 124M (Radford et al. 2019, table 2), with SwiGLU at 8/3 width.
    "small": dict(hidden_size=768, num_hidden_layers=12, num_attention_heads=12,
                  num_key_value_heads=12, intermediate_size=2048, max_position_embeddings=1024),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """A causal language model in fp32, its tokenizer, and the fingerprint of both."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    name: str
    fingerprint: str

    @property
    def context(self) -> int:
        """The most tokens that prompt and answer may take together."""
        positions = getattr(self.model.config, "max_position_embeddings", None)
        return int(positions or self.model.config.n_positions)

    @property
    def tokenizer_hash(self) -> str:
        """Of the tokenizer alone, so that a mismatch can be named."""
        return hash_tokenizer(self.tokenizer)

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self.model.device

    @property
    def size(self) -> int:
        """Parameters, tied ones counted once."""
        return sum(parameter.numel() for parameter in self.model.parameters())


def create(preset: str, tokenizer: PreTrainedTokenizerBase, *, seed: int = 0) -> Backbone:
    """A backbone with random weights; the same seed gives the same weights."""
    import torch
    from transformers import AutoModelForCausalLM

    configuration = _configuration(preset, tokenizer)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(configuration, dtype=torch.float32)
    return _backbone(model.eval(), tokenizer, f"quintet-{preset}")


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


def load(source: str | Path, *, device: str = "cpu") -> Backbone:
    """Any causal language model from a folder or a hub id, in fp32."""
    folder = Path(source)
    if (folder.is_absolute() or str(source).startswith(".")) and not folder.is_dir():
        raise MissingBackbone(
            f"No folder {str(source)!r}. Give a folder or a hub id as --backbone."
        )
    tokenizer = tokenizers.load(source)
    model = _pretrained(str(source))
    name = _stored_name(folder) or (folder.name if folder.is_dir() else str(source))
    return _backbone(model.eval().to(device), tokenizer, name)


def _pretrained(source: str) -> Any:
    """The model, refused where transformers would draw missing weights at random."""
    import torch
    from transformers import AutoModelForCausalLM

    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            source,
            dtype=torch.float32,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
        )
    except (OSError, ValueError) as error:
        first = str(error).splitlines()[0]
        raise MissingBackbone(f"No causal language model in {source!r}: {first}") from error
    except Exception as error:  # safetensors raises its own, undocumented type
        if not isinstance(error, RuntimeError) and type(error).__name__ != "SafetensorError":
            raise
        first = str(error).splitlines()[0]
        raise Damaged(f"The weights in {source!r} are damaged: {first}") from error
    model, about = loaded
    if missing := sorted(about["missing_keys"]):
        raise Damaged(f"{source!r} lacks {len(missing)} weights of its model, as {missing[0]}.")
    return model


def save(backbone: Backbone, folder: Path, *, half: bool = False) -> None:
    """Stock `save_pretrained` files, appearing all at once; `half` stores fp16 weights."""
    import copy

    with store.new_folder(folder) as temporary:
        model = copy.deepcopy(backbone.model).half() if half else backbone.model
        model.config.name_or_path = backbone.name
        model.save_pretrained(temporary)
        backbone.tokenizer.save_pretrained(temporary)
        store.write_json(temporary / "quintet.json", {"name": backbone.name})


def shipped(*, device: str = "cpu") -> Backbone:
    """The backbone in the package."""
    if not store.shipped_backbone().is_dir():
        raise MissingBackbone(
            "This copy holds no shipped backbone. Train one (quintet pretrain) or give --backbone."
        )
    return load(store.shipped_backbone(), device=device)


def _stored_name(folder: Path) -> str | None:
    path = folder / "quintet.json"
    if not path.is_file():
        return None
    try:
        return str(json.loads(path.read_bytes())["name"])
    except (ValueError, TypeError, KeyError) as error:
        raise Damaged(f"{path} is damaged: it must hold a name.") from error


def _backbone(model: Any, tokenizer: PreTrainedTokenizerBase, name: str) -> Backbone:
    return Backbone(
        model=model, tokenizer=tokenizer, name=name, fingerprint=fingerprint(model, tokenizer)
    )


def fingerprint(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> str:
    """16 hex digits over weights, configuration and tokenizer; names and paths do not count."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name}{tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
    configuration = model.config.to_diff_dict()
    for volatile in (
        "_name_or_path",
        "transformers_version",
        "dtype",
        "architectures",
        "use_cache",
    ):
        configuration.pop(volatile, None)
    digest.update(json.dumps(configuration, sort_keys=True, default=str).encode())
    digest.update(_rules(tokenizer))
    return digest.hexdigest()[:16]


def hash_tokenizer(tokenizer: PreTrainedTokenizerBase) -> str:
    """16 hex digits over everything that decides how a text becomes tokens."""
    return hashlib.sha256(_rules(tokenizer)).hexdigest()[:16]


def _rules(tokenizer: PreTrainedTokenizerBase) -> bytes:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend:
        return bytes(backend.to_str().encode())
    return repr(sorted(tokenizer.get_vocab().items())).encode()


def refreshed(backbone: Backbone) -> Backbone:
    """The same model with the fingerprint that its weights have now."""
    return _backbone(backbone.model.eval(), backbone.tokenizer, backbone.name)
