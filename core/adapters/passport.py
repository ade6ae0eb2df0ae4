"""The passport of an adapter: what it was made from, what it is worth, how it decides."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.errors import Damaged, Mismatch, MissingAdapter

PASSPORT = "passport.json"


class OperatingPoint(BaseModel):
    """How probabilities become a label: fitted by `quintet calibrate`, obeyed by every caller."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    temperature: float = Field(1.0, gt=0)
    """Divides the scores before the softmax (Guo et al. 2017, arXiv:1706.04599)."""
    label: str = ""
    """The label that `threshold` is for."""
    threshold: float | None = Field(None, ge=0)
    """`label` is said where its probability is at least this, whatever the others have."""
    abstain_below: float = Field(0.0, ge=0, le=1)
    """An answer less probable than this is no answer."""
    fitted_on: int = 0
    """Validation rows."""
    max_false_positive_rate: float | None = None
    """What the threshold was chosen for."""


class Passport(BaseModel):
    """What an adapter was made from; it is served only where all of it still holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str
    backbone: str
    fingerprint: str
    """Of the backbone's weights and configuration, and of its tokenizer."""
    tokenizer_hash: str = ""
    prompt_hash: str
    weights_hash: str = ""
    """sha256 of the adapter's own weights file."""
    code_version: str = ""
    data_hash: str
    data: str
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
    """Hash of everything above: a metric that is edited afterwards breaks it."""

    def sealed(self) -> Passport:
        """The same with the seal that fits."""
        return self.model_copy(update={"seal": self._hash()})

    def _hash(self) -> str:
        content = json.dumps(self.model_dump(mode="json", exclude={"seal"}), sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    @property
    def intact(self) -> bool:
        """Whether nothing was changed since it was sealed; an unsealed one cannot tell."""
        return not self.seal or self.seal == self._hash()

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
                f"The adapter in {folder} does not fit: {' and '.join(differs)}. "
                f"Load the backbone it was trained on, or train anew: quintet finetune {self.task}"
            )


def read_passport(folder: Path) -> Passport:
    """The passport in an adapter's folder; `MissingAdapter` or `Damaged` where there is none."""
    path = folder / PASSPORT
    if not path.is_file():
        raise MissingAdapter(f"{folder} is no Quintet adapter: {PASSPORT} is missing.")
    try:
        passport = Passport.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise Damaged(f"{path} is damaged: {error.errors()[0]['msg']}.") from error
    if not passport.intact:
        raise Damaged(f"{path} was altered after it was written. Train or install it again.")
    return passport
