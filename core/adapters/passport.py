"""The passport of an adapter: what it was made from, what it is worth, how it decides."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.adapters.configuration import CONFIGURATION, configuration_hash
from core.errors import Damaged, Mismatch, MissingAdapter

PASSPORT = "passport.json"
SMALLEST = 1e-12
"""No probability counts as less: its logarithm is needed."""
WEIGHTS = "adapter_model.safetensors"
TRAINING_ROWS = "training_rows.safetensors"
"""Hashes of the rows that the adapter has seen."""
_LATER = ("weights_hash", "configuration_hash")
"""What a passport of an earlier version of Quintet lacks."""


class OperatingPoint(BaseModel):
    """How probabilities become a label: fitted by `quintet calibrate`, obeyed by every caller."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    temperature: float = Field(1.0, ge=0.01, le=100)
    """Divides the scores before the softmax (Guo et al. 2017, arXiv:1706.04599)."""
    label: str = ""
    """The label that `threshold` is for."""
    threshold: float | None = Field(None, ge=0)
    """`label` is said where its probability is at least this, whatever the others have."""
    abstain_below: float = Field(0.0, ge=0, le=1)
    """An answer less probable than this is no answer."""
    fitted_on: int = 0
    """Validation rows."""
    rows_hash: str = ""
    """Of these rows."""
    max_false_positive_rate: float | None = None
    """What the threshold was chosen for."""
    false_positive_rate: float | None = None
    """What it was on these rows."""
    false_positive_bound: float | None = None
    """What it is at most on rows like these, with 95 % confidence (Clopper & Pearson 1934)."""

    def scaled(self, shares: Mapping[str, float]) -> dict[str, float]:
        """Probabilities at this temperature; fitting and serving both clip them at `SMALLEST`."""
        logs = {k: math.log(max(share, SMALLEST)) / self.temperature for k, share in shares.items()}
        most = max(logs.values())
        powers = {label: math.exp(value - most) for label, value in logs.items()}
        whole = math.fsum(powers.values())
        return {label: power / whole for label, power in powers.items()}


class Learned(BaseModel):
    """Sources that were learned from together, so that they can be read again."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sources: tuple[str, ...]
    """Files and folders where they stood, or hub ids."""
    columns_map: dict[str, str] = {}
    labels: dict[str, str | None] = {}
    """What is written → the label; None leaves the row out."""
    encoding: str | None = None
    limit: int | None = None
    """Rows of each source; None are all."""
    data_hash: str
    """Of the rows that they gave."""


class Passport(BaseModel):
    """What an adapter was made from; it is served only where all of it still holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str
    backbone: str
    fingerprint: str
    """Of the backbone's weights and configuration, and of its tokenizer."""
    tokenizer_hash: str = ""
    prompt_hash: str
    """Of the code that writes the prompt, and of the labels."""
    weights_hash: str
    """sha256 of the adapter's own weights file."""
    configuration_hash: str
    """Of what changes an answer in `adapter_config.json`."""
    dtype: str = ""
    """Of the backbone when the metrics were measured; another one moves their last digits."""
    code_version: str = ""
    data_hash: str
    data: str
    learned: tuple[Learned, ...] = ()
    """What was learned from, by adapters that this one began from first; empty where not known."""
    ancestors_known: bool = True
    """False where it began from an adapter whose training rows are not known."""
    training_rows_hash: str = ""
    """sha256 of the file of hashes of all rows that were learned; empty where there is none."""
    metrics: dict[str, float]
    rows: int
    """How many examples the metrics were measured on."""
    scored_on: Literal["test", "validation"] = "test"
    """'validation' rows have picked the checkpoint, so they flatter it; 'test' rows have not."""
    baseline: dict[str, float] = {}
    """What the best trivial baseline reached on the same rows."""
    baseline_name: str = ""
    operating_point: OperatingPoint | None = None
    seed: int
    versions: dict[str, str]
    created: str
    seal: str = ""
    """Hash of everything above: a value that is edited afterwards breaks it."""

    def sealed(self) -> Passport:
        """The same with the seal that fits."""
        return self.model_copy(update={"seal": seal_of(self.model_dump(mode="json"))})

    def check(
        self, *, fingerprint: str, tokenizer_hash: str, prompt_hash: str, folder: Path
    ) -> None:
        """Raise `Mismatch`, naming what differs, unless backbone and prompt are the trained ones."""
        pairs = [("prompt", self.prompt_hash, prompt_hash)]
        if self.tokenizer_hash and self.tokenizer_hash != tokenizer_hash:
            # The fingerprint covers the tokenizer: it would say the same twice.
            pairs.append(("tokenizer", self.tokenizer_hash, tokenizer_hash))
        else:
            name = "backbone" if self.tokenizer_hash else "backbone or tokenizer"
            pairs.append((name, self.fingerprint, fingerprint))
        differs = [
            f"{name} ({trained} trained, {here} here)"
            for name, trained, here in pairs
            if trained != here
        ]
        if differs:
            raise Mismatch(
                f"The adapter in {folder} does not fit: {' and '.join(differs)}. Load the backbone it "
                f"was trained on, or train anew: quintet finetune {self.task}. If both are known to "
                f"be those it learned with: quintet adapters renew {folder}"
            )

    def check_files(self, folder: Path) -> None:
        """Raise `Mismatch` unless the adapter's two files are those the passport was made for."""
        if configuration_hash(folder) != self.configuration_hash:
            raise Mismatch(
                f"{folder / CONFIGURATION} was altered after the adapter was scored: it would answer "
                "otherwise. Copy or install it again."
            )
        if weights_hash(folder) != self.weights_hash:
            raise Mismatch(
                f"{folder / WEIGHTS} is not the file that was trained: it was altered. "
                "Copy or install it again."
            )


def weights_hash(folder: Path) -> str:
    """sha256 of the weights file in an adapter's folder."""
    path = folder / WEIGHTS
    if not path.is_file():
        raise MissingAdapter(f"No adapter in {folder}: {WEIGHTS} is missing.")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def seal_of(values: dict[str, Any]) -> str:
    """Hash of all values of a passport but its seal."""
    content = json.dumps({k: v for k, v in values.items() if k != "seal"}, sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def read_values(folder: Path) -> dict[str, Any]:
    """The values of a passport of any version, with a seal that holds."""
    path = folder / PASSPORT
    if not path.is_file():
        inner = folder / "adapter"
        way_out = f" Give {inner}." if (inner / PASSPORT).is_file() else ""
        raise MissingAdapter(f"{folder} is no Quintet adapter: {PASSPORT} is missing.{way_out}")
    try:
        values = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise Damaged(f"{path} is damaged: {error}.") from error
    if not isinstance(values, dict):
        raise Damaged(f"{path} is damaged: it holds no values.")
    if values.get("seal") != seal_of(values):
        raise Damaged(
            f"{path} was altered after it was written, or was never sealed. Train or install it again."
        )
    return values


def read_passport(folder: Path) -> Passport:
    """The passport in an adapter's folder; `MissingAdapter` or `Damaged` where there is none."""
    values = read_values(folder)
    if missing := [name for name in _LATER if not values.get(name)]:
        raise Damaged(
            f"{folder / PASSPORT} is of an earlier version: it lacks {' and '.join(missing)}. "
            f"Give it a new one: quintet adapters renew {folder}"
        )
    try:
        return Passport.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise Damaged(f"{folder / PASSPORT} is damaged: {where}: {first['msg']}.") from error
