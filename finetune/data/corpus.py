"""Documents, tokenised once into a memory-mapped file, packed with end-of-text between them."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from core import store
from core.errors import BadData, BadSetting, Mismatch, nearest
from core.language import language_of
from core.task import Task, separator
from finetune import data
from finetune.data import Problem
from finetune.data.examples import read_examples
from finetune.settings import Part

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_CHUNK = 512
_HELD_OUT = 100


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """Packed token ids: for training, and per language for validation."""

    train: npt.NDArray[Any]
    validation: dict[str, npt.NDArray[Any]]
    validation_bytes: dict[str, int]
    documents: int
    digest: str


def build(
    parts: Sequence[Part],
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
    *,
    tasks: Mapping[str, Task[Any]],
    seed: int = 0,
    keep: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Corpus:
    """Tokenise into `folder`, or open what was tokenised there from the same parts.

    With `keep`, tokens of other parts that are there raise `Mismatch`.
    """
    train, held_out = documents(parts, tasks)
    random.Random(seed).shuffle(train)
    digest = _digest(train, held_out, tokenizer)
    if not _fits(folder, digest):
        if keep and folder.is_dir():
            raise Mismatch(
                f"{folder} was made from other texts or another tokenizer. Give those again, or "
                "begin anew with another --output."
            )
        with store.new_folder(folder) as new:
            _write(new, train, held_out, tokenizer, digest, progress)
    return open_corpus(folder)


def open_corpus(folder: Path) -> Corpus:
    """The corpus in `folder`, memory-mapped."""
    about = json.loads((folder / "corpus.json").read_text(encoding="utf-8"))
    languages = about["validation_bytes"]
    return Corpus(
        train=np.load(folder / "train.npy", mmap_mode="r"),
        validation={
            name: np.load(folder / f"validation.{name}.npy", mmap_mode="r") for name in languages
        },
        validation_bytes=languages,
        documents=about["documents"],
        digest=about["digest"],
    )


def texts(source: str, split: str = "train", limit: int | None = None) -> Iterator[str]:
    """The `text` of every row of a source; rows without one are an error."""
    for row in data.read_rows(source, split=split, limit=limit):
        if isinstance(row, Problem):
            raise BadData(f"{row.place}: {row.reason}")
        if not isinstance(row.row.get("text"), str):
            found = ", ".join(row.row)
            hint = nearest("text", row.row)
            raise BadData(f"{row.place}: no column 'text' among {found}.{hint}")
        if row.row["text"].strip():
            yield row.row["text"]


def documents(parts: Sequence[Part], tasks: Mapping[str, Task[Any]]) -> tuple[list[str], list[str]]:
    """Training and held-out documents.

    Held out are the parts of another split than 'train'; where there are none, the validation
    split of each source of texts, or every 100th of its documents.
    """
    given = any(one.split != "train" for one in parts)
    train: list[str] = []
    held_out: list[str] = []
    for one in parts:
        found = list(_read(one, tasks))
        if one.split != "train":
            held_out += found
        elif given or one.task:
            train += found * one.repeat
        else:
            kept, apart = _apart(one, found)
            train, held_out = train + kept * one.repeat, held_out + apart
    if not train or not held_out:
        raise BadData(
            "The sources hold no documents to learn from, or none to validate on: "
            "two are the least. A row is a document, and so is a .txt file."
        )
    return train, held_out


def _apart(one: Part, found: list[str]) -> tuple[list[str], list[str]]:
    if data.has_split(one.path, "validation"):
        return found, list(texts(one.path, "validation"))
    return [text for n, text in enumerate(found) if n % _HELD_OUT], found[::_HELD_OUT]


def _read(one: Part, tasks: Mapping[str, Task[Any]]) -> Iterator[str]:
    if not one.task:
        yield from texts(one.path, one.split, one.limit)
        return
    if one.task not in tasks:
        raise BadSetting(f"Unknown task {one.task!r} in --data.{nearest(one.task, tasks)}")
    task = tasks[one.task]
    for example in read_examples(task, [one.path], split=one.split, limit=one.limit).examples:
        prompt = task.prompt(example.input)
        yield f"{prompt}{separator(prompt)}{example.answers[0]}"


def _digest(train: list[str], held_out: list[str], tokenizer: PreTrainedTokenizerBase) -> str:
    digest = hashlib.sha256(json.dumps(sorted(tokenizer.get_vocab().items())).encode())
    for text in (*train, *held_out):
        digest.update(text.encode("utf-8", "surrogatepass"))
        digest.update(b"\0")
    return digest.hexdigest()[:16]


def _fits(folder: Path, digest: str) -> bool:
    path = folder / "corpus.json"
    return path.is_file() and json.loads(path.read_text(encoding="utf-8"))["digest"] == digest


def _write(
    folder: Path,
    train: list[str],
    held_out: list[str],
    tokenizer: PreTrainedTokenizerBase,
    digest: str,
    progress: Callable[[int, int], None],
) -> None:
    np.save(folder / "train.npy", _pack(train, tokenizer, progress))
    languages: dict[str, list[str]] = {}
    for text in held_out:
        languages.setdefault(language_of(text), []).append(text)
    for name, found in languages.items():
        np.save(
            folder / f"validation.{name}.npy", _pack(found, tokenizer, lambda done, total: None)
        )
    about = {
        "digest": digest,
        "documents": len(train),
        "validation_bytes": {k: sum(len(t.encode()) for t in v) for k, v in languages.items()},
    }
    store.write_json(folder / "corpus.json", about)


def _pack(
    documents: list[str],
    tokenizer: PreTrainedTokenizerBase,
    progress: Callable[[int, int], None],
) -> npt.NDArray[Any]:
    """One row of ids: end-of-text, document, end-of-text, document, …, end-of-text."""
    end = tokenizer.eos_token_id
    kind = np.uint16 if len(tokenizer) <= 2**16 else np.uint32
    pieces = []
    for start in range(0, len(documents), _CHUNK):
        chunk = documents[start : start + _CHUNK]
        encoded = tokenizer(chunk, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        pieces += [np.array([end, *ids], dtype=kind) for ids in encoded]
        progress(min(start + _CHUNK, len(documents)), len(documents))
    return np.concatenate([*pieces, np.array([end], dtype=kind)])
