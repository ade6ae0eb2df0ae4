"""What identifies a backbone: 16 hex digits over its weights, its configuration and its tokenizer.

Names, paths, the dtype it is loaded in and the version of transformers do not count, nor does what
a tokenizer remembers of its last call (truncation, padding).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from core import store

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_STRUCTURE = (
    *("model_type", "vocab_size", "hidden_size", "n_embd", "num_hidden_layers", "n_layer"),
    *("num_attention_heads", "n_head", "num_key_value_heads", "intermediate_size", "head_dim"),
    *("hidden_act", "activation_function", "rms_norm_eps", "layer_norm_epsilon"),
    *("rope_parameters", "sliding_window", "layer_types", "tie_word_embeddings"),
    *("attention_bias", "mlp_bias", "query_pre_attn_scalar", "max_position_embeddings"),
)
"""Keys of a configuration that change what the weights compute."""
_REMEMBERED = ("truncation", "padding")
_PIECE = 1 << 20
"""Values that are in fp32 at a time: an embedding of a large vocabulary is half a gigabyte."""
_MOST = 200
"""Digests that are kept."""
_BESIDE = (".json", ".txt", ".model", ".jinja")
"""Endings of the files beside the weights that a tokenizer is made of."""
_hashes: WeakKeyDictionary[PreTrainedTokenizerBase, tuple[int, str]] = WeakKeyDictionary()
"""Of tokenizers that were hashed: how many tokens they had then, and the hash."""


def fingerprint(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> str:
    """Of a model in memory; tied weights count once, as in its file."""
    return _with(
        _digest(sorted(model.named_parameters(), key=lambda pair: pair[0])), model.config, tokenizer
    )


def of_files(
    paths: Sequence[Path], model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> str:
    """The same for a model that came unchanged from these files, in whatever dtype.

    Weights and tokenizer are read once; later calls recognise their files by size and time of change.
    """
    import tokenizers
    import transformers

    weights = _kept(_about(paths), lambda: _digest_of_files(sorted(paths)))
    beside = [one for one in paths[0].parent.iterdir() if one.suffix in _BESIDE]
    made_by = f"transformers {transformers.__version__}, tokenizers {tokenizers.__version__}"
    structure = hashlib.sha256(_structure(model.config)).hexdigest()
    both = _kept(
        f"{_about([*paths, *beside])}; {made_by}; {structure}",
        lambda: f"{_with(weights, model.config, tokenizer)} {hash_tokenizer(tokenizer)}",
    )
    mark, of_tokenizer = both.split()
    _hashes[tokenizer] = (len(tokenizer), of_tokenizer)
    return mark


def _digest(tensors: Iterable[tuple[str, Tensor]]) -> str:
    """sha256 over names, shapes and values in fp32."""
    digest = hashlib.sha256()
    for name, tensor in tensors:
        digest.update(f"{name}{tuple(tensor.shape)}".encode())
        for piece in tensor.detach().reshape(-1).split(_PIECE):
            digest.update(piece.float().cpu().contiguous().numpy())
    return digest.hexdigest()


def _digest_of_files(paths: Sequence[Path]) -> str:
    """Of safetensors by their tensors, read one at a time; of other files by their bytes."""
    from safetensors import safe_open

    if any(path.suffix != ".safetensors" for path in paths):
        return hashlib.sha256("".join(map(store.file_hash, paths)).encode()).hexdigest()
    files = [safe_open(path, "pt") for path in paths]
    places = {name: file for file in files for name in file.keys()}  # noqa: SIM118
    return _digest((name, places[name].get_tensor(name)) for name in sorted(places))


def hash_tokenizer(tokenizer: PreTrainedTokenizerBase) -> str:
    """16 hex digits over everything that decides how a text becomes tokens."""
    tokens, known = _hashes.get(tokenizer, (-1, ""))
    if tokens != len(tokenizer):
        known = hashlib.sha256(_rules(tokenizer)).hexdigest()[:16]
        _hashes[tokenizer] = (len(tokenizer), known)
    return known


def _with(weights: str, configuration: Any, tokenizer: PreTrainedTokenizerBase) -> str:
    digest = hashlib.sha256(weights.encode())
    digest.update(_structure(configuration))
    digest.update(_rules(tokenizer))
    return digest.hexdigest()[:16]


def _structure(configuration: Any) -> bytes:
    values = configuration.to_dict()
    structure = {key: values[key] for key in _STRUCTURE if values.get(key) is not None}
    return json.dumps(structure, sort_keys=True, default=str).encode()


def _rules(tokenizer: PreTrainedTokenizerBase) -> bytes:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if not backend:
        return repr(sorted(tokenizer.get_vocab().items())).encode()
    rules = json.loads(backend.to_str())
    for key in _REMEMBERED:
        rules.pop(key, None)
    return json.dumps(rules, sort_keys=True, ensure_ascii=False).encode()


def _about(paths: Iterable[Path]) -> str:
    """Where files lie, how large they are and when they were changed."""
    stats = [(path.resolve(), path.stat()) for path in sorted(paths)]
    return "; ".join(f"{path} {about.st_size} {about.st_mtime_ns}" for path, about in stats)


def _kept(key: str, make: Callable[[], str]) -> str:
    """What `make` gave for `key`, kept in `$QUINTET_HOME/fingerprints.json`."""
    memory = store.home() / "fingerprints.json"
    known = _read(memory)
    if key not in known:
        made = make()
        known = {**_read(memory), key: made}
        with suppress(OSError):  # a home that cannot be written: read again next time
            store.write_json(memory, dict(list(known.items())[-_MOST:]))
    return known[key]


def _read(memory: Path) -> dict[str, str]:
    try:
        found = json.loads(memory.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
