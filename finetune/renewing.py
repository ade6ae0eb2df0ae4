"""`quintet adapters renew`: a new passport for an adapter whose backbone and prompt a person vouches for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core import store
from core.adapters.configuration import configuration_hash
from core.adapters.passport import PASSPORT, WEIGHTS, Passport, read_values, weights_hash
from core.errors import Damaged, Mismatch
from core.service import Service


def renew(service: Service, folder: Path) -> Passport:
    """Compute every hash of a passport anew and seal it; metrics and origin stay as they are.

    Raises `Mismatch` where the weights do not fit the backbone, or are not those that were scored.
    """
    values = read_values(folder)
    task = service.task(str(values.get("task", "")))
    _fits(service, folder)
    backbone = service.engine.backbone
    here = {
        "fingerprint": backbone.fingerprint,
        "tokenizer_hash": backbone.tokenizer_hash,
        "prompt_hash": task.prompt_hash,
        "weights_hash": weights_hash(folder),
        "configuration_hash": configuration_hash(folder),
    }
    for name, file in (("weights_hash", WEIGHTS), ("configuration_hash", "adapter_config.json")):
        if values.get(name) not in (None, "", here[name]):
            raise Mismatch(
                f"{folder / file} is not the one that was scored: its metrics would be another "
                f"adapter's. Copy it again, or train anew: quintet finetune {task.name}"
            )
    passport = _passport({**values, **here}, folder)
    store.write_json(folder / PASSPORT, passport.model_dump(mode="json"))
    return passport


def _fits(service: Service, folder: Path) -> None:
    """Load the weights once: what does not fit is refused."""
    name = f"renewing {folder}"
    service.engine.adapters.load(name, folder)
    service.engine.adapters.delete(name)


def _passport(values: dict[str, Any], folder: Path) -> Passport:
    try:
        return Passport.model_validate(values).sealed()
    except ValueError as error:
        first = str(error).splitlines()[1:2] or [str(error)]
        raise Damaged(f"{folder / PASSPORT} cannot be renewed: {first[0].strip()}.") from error
