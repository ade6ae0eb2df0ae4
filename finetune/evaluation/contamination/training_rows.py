"""What an adapter has seen, as hashes that travel with it: no text can be read from them.

Texts that were learned have a hash of their normalised form each, and up to 50,000 of them a MinHash
sketch of 128 bytes (b-bit minwise hashing, Li & König 2010, arXiv:0910.3349), so that near duplicates
are found as well. Rows that picked the checkpoint, were scored or fitted the operating point have hashes.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from core import store
from core.adapters.passport import TRAINING_ROWS
from core.errors import Damaged
from core.task import Example, Task
from finetune.evaluation.contamination.duplicates import (
    LEAST_SHINGLES,
    Found,
    key_of,
    sketches,
    texts_of,
)
from finetune.evaluation.contamination.units import pairs_of, units_of

Hashes = npt.NDArray[np.uint64]
Sketches = npt.NDArray[np.uint8]
_MOST_TEXTS = 4_000_000
_MOST_SKETCHES = 50_000
_WIDTH = 128
_BAND = 4
"""Bytes of a sketch that have to agree for a pair to be looked at: 32 bands overlook one pair in twenty
million at the similarity 0.8."""
_ALMOST = 0.999
_SETS = ("learned", "picked", "scored", "fitted")


@dataclass(frozen=True, kw_only=True)
class TrainingRows:
    """Of an adapter and of those it began from."""

    learned: Hashes
    sketches: Sketches
    picked: Hashes
    """Rows that picked the checkpoint."""
    scored: Hashes
    """Rows that the metrics in the passport were measured on."""
    fitted: Hashes
    """Rows that fitted the operating point."""
    examples: int
    """How many were learned, ancestors included."""
    ancestors_known: bool
    """False where an adapter that it began from says not what it had learned."""

    def places(self, task: Task[Any], examples: Sequence[Example[Any]], name: str) -> list[int]:
        """The examples that stand in one of the sets: 'learned', 'picked', 'scored', 'fitted'."""
        known = getattr(self, name)
        asked = np.array([_hash(texts_of(task, one)[0]) for one in examples], dtype=np.uint64)
        return np.flatnonzero(np.isin(asked, known)).tolist()

    def find(
        self, task: Task[Any], examples: Sequence[Example[Any]], *, threshold: float = 0.8
    ) -> list[Found]:
        """The examples that were learned, letter by letter or nearly; of the others no text is known."""
        exact = set(self.places(task, examples, "learned"))
        texts = [texts_of(task, one)[0] for one in examples]
        near = self._near([(n, t) for n, t in enumerate(texts) if n not in exact], threshold)
        found = dict.fromkeys(exact, 1.0) | near
        return [Found(row, "training", "", share) for row, share in sorted(found.items())]

    def _near(self, texts: Sequence[tuple[int, str]], threshold: float) -> dict[int, float]:
        rows = [(row, pairs) for row, text in texts if (pairs := _shingles(text))]
        if not rows or not len(self.sketches):
            return {}
        ours = _sketched([pairs for _, pairs in rows])
        best: dict[int, float] = defaultdict(float)
        for mine, theirs in set(_candidates(ours, self.sketches)):
            share = _similarity(ours[mine], self.sketches[theirs])
            if share >= threshold:
                row = rows[mine][0]
                best[row] = max(best[row], min(share, _ALMOST))
        return dict(best)


def rows_of(
    task: Task[Any],
    learned: Sequence[Example[Any]],
    *,
    picked: Sequence[Example[Any]] = (),
    scored: Sequence[Example[Any]] = (),
    parent: TrainingRows | None = None,
    known: bool = True,
) -> TrainingRows:
    """What an adapter has seen; with `parent` also what the adapter saw that it began from.

    Not `known` is what an adapter began from that brings no such file.
    """
    texts = sorted({text for one in learned for text in texts_of(task, one) if text.strip()})
    made = TrainingRows(
        learned=_hashes(texts),
        sketches=_of_texts(texts),
        picked=_hashes(texts_of(task, one)[0] for one in picked),
        scored=_hashes(texts_of(task, one)[0] for one in scored),
        fitted=_hashes(()),
        examples=len(learned),
        ancestors_known=known and (parent is None or parent.ancestors_known),
    )
    return made if parent is None else _with_parent(made, parent)


def _with_parent(made: TrainingRows, parent: TrainingRows) -> TrainingRows:
    """What picked a parent's checkpoint has formed the weights as well."""
    return replace(
        made,
        learned=np.union1d(made.learned, parent.learned)[:_MOST_TEXTS],
        sketches=np.vstack([made.sketches, parent.sketches])[:_MOST_SKETCHES],
        picked=np.union1d(made.picked, parent.picked),
        examples=made.examples + parent.examples,
    )


def with_fitted(
    rows: TrainingRows, task: Task[Any], examples: Sequence[Example[Any]]
) -> TrainingRows:
    """The same, with the rows that fitted the operating point."""
    return replace(rows, fitted=_hashes(texts_of(task, one)[0] for one in examples))


def digest_of(task: Task[Any], examples: Sequence[Example[Any]]) -> str:
    """16 hex digits over a set of rows, whatever their order."""
    return hashlib.sha256(
        _hashes(texts_of(task, one)[0] for one in examples).tobytes()
    ).hexdigest()[:16]


def write_rows(rows: TrainingRows, folder: Path) -> str:
    """Put the file beside an adapter; its sha256, for the passport."""
    from safetensors.numpy import save

    tensors = {name: getattr(rows, name) for name in (*_SETS, "sketches")}
    about = {"examples": rows.examples, "ancestors_known": rows.ancestors_known}
    content, new = (
        save(tensors, metadata={"about": json.dumps(about)}),
        folder / f".{TRAINING_ROWS}.new",
    )
    new.write_bytes(content)
    new.replace(folder / TRAINING_ROWS)
    return hashlib.sha256(content).hexdigest()


def read_rows_of(folder: Path, expected: str) -> TrainingRows | None:
    """The file beside an adapter; None where its passport knows of none.

    Raises `Damaged` where it is not the one that the passport was made with.
    """
    if not expected:
        return None
    path = folder / TRAINING_ROWS
    if not path.is_file() or store.file_hash(path) != expected:
        raise Damaged(
            f"{path} is missing or was altered: it tells which rows the adapter has learned. "
            "Copy or install the adapter again."
        )
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "numpy") as file:
            about = json.loads((file.metadata() or {})["about"])
            tensors = {name: file.get_tensor(name) for name in (*_SETS, "sketches")}
        return TrainingRows(**tensors, **about)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise Damaged(f"{path} cannot be read: {error}. Copy the adapter again.") from error


def _hashes(texts: Iterable[str]) -> Hashes:
    found = np.unique(np.array([_hash(text) for text in texts], dtype=np.uint64))
    return found[:_MOST_TEXTS]


def _hash(text: str) -> int:
    key = key_of(text, units_of(text)).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "little")


def _shingles(text: str) -> list[str]:
    pairs = list(dict.fromkeys(pairs_of(units_of(text))))
    return pairs if len(pairs) >= LEAST_SHINGLES else []


def _of_texts(texts: Sequence[str]) -> Sketches:
    """Of those that are long enough; where there are too many, of every second, third, …"""
    step = max(1, -(-len(texts) // _MOST_SKETCHES))
    return _sketched([pairs for text in texts[::step] if (pairs := _shingles(text))])


def _sketched(shingles: Sequence[Sequence[str]]) -> Sketches:
    """The lowest byte of each of 128 minima: (texts, 128)."""
    found = [one.digest() for one in sketches(shingles)]
    return (np.array(found, dtype=np.uint64).reshape(-1, _WIDTH) & 255).astype(np.uint8)


def _candidates(ours: Sketches, theirs: Sketches) -> Iterator[tuple[int, int]]:
    """Pairs that agree in a band."""
    for start in range(0, _WIDTH, _BAND):
        mine, other = (_band(one, start) for one in (ours, theirs))
        places: dict[int, list[int]] = defaultdict(list)
        for place, value in enumerate(mine.tolist()):
            places[value].append(place)
        for place in np.flatnonzero(np.isin(other, mine)).tolist():
            for one in places[int(other[place])]:
                yield one, place


def _band(values: Sketches, start: int) -> npt.NDArray[np.uint32]:
    return np.ascontiguousarray(values[:, start : start + _BAND]).view(np.uint32).ravel()


def _similarity(ours: Sketches, theirs: Sketches) -> float:
    """Jaccard, from the share of equal bytes: different minima agree in one of 256."""
    return float(((ours == theirs).mean() - 1 / 256) / (1 - 1 / 256))
