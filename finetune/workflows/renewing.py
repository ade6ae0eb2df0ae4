"""`quintet adapters renew`: a new passport for an adapter whose backbone and prompt a person vouches for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from core import store
from core.adapters.configuration import configuration_hash
from core.adapters.passport import PASSPORT, WEIGHTS, Passport, read_values, weights_hash
from core.errors import Damaged, Mismatch
from core.service import Service
from core.task import Task
from finetune.data.examples import read_examples
from finetune.evaluation.contamination.training_rows import rows_of, write_rows
from finetune.evaluation.training_sources import described


def renew(
    service: Service,
    folder: Path,
    sources: Sequence[str] = (),
    *,
    columns_map: Mapping[str, str] | None = None,
    limit: int | None = None,
    from_base: bool = False,
) -> Passport:
    """Compute every hash of a passport anew and seal it; metrics and origin stay as they are.

    With the `sources` of its training the adapter also gets the hashes of its rows; `from_base` says
    that it began from the bare backbone, so that these are all that it has learned. Raises `Mismatch`
    where the weights do not fit the backbone, are not those that were scored, or learned other rows.
    """
    values = read_values(folder)
    task = service.task(str(values.get("task", "")))
    _fits(service, folder)
    backbone = service.engine.backbone
    here: dict[str, Any] = {
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
    if sources:
        here |= _learned(task, values, folder, sources, columns_map or {}, limit, from_base)
    passport = _passport({**values, **here}, folder)
    store.write_json(folder / PASSPORT, passport.model_dump(mode="json"))
    return passport


def _learned(
    task: Task[Any],
    values: Mapping[str, Any],
    folder: Path,
    sources: Sequence[str],
    columns_map: Mapping[str, str],
    limit: int | None,
    from_base: bool,
) -> dict[str, Any]:
    """Rows held out to pick the checkpoint are not told apart: they count as learned."""
    reading = read_examples(task, sources, columns_map=columns_map, limit=limit, tolerate=1.0)
    if reading.digest != values.get("data_hash"):
        raise Mismatch(
            f"The adapter in {folder} was trained on other rows ({values.get('data_hash')} trained, "
            f"{reading.digest} here). Give all its sources, with the same --map, --labels, --encoding and --limit."
        )
    one = described(sources, columns_map, limit, reading.digest).model_dump(mode="json")
    earlier = list(values.get("learned", ()))[:-1]
    if values.get("training_rows_hash"):  # it has them: only where they stand has changed
        return {"learned": [*earlier, one]}
    rows = rows_of(task, reading.examples, known=from_base)
    return {
        "learned": [*earlier, one],
        "ancestors_known": from_base,
        "training_rows_hash": write_rows(rows, folder),
    }


def _fits(service: Service, folder: Path) -> None:
    """Load the weights once: what does not fit is refused."""
    name = f"renewing {folder}"
    service.engine.adapters.load(name, folder)
    service.engine.adapters.delete(name)


def _passport(values: dict[str, Any], folder: Path) -> Passport:
    known = {name: value for name, value in values.items() if name in Passport.model_fields}
    try:
        return Passport.model_validate(known).sealed()
    except ValueError as error:
        first = str(error).splitlines()[1:2] or [str(error)]
        raise Damaged(f"{folder / PASSPORT} cannot be renewed: {first[0].strip()}.") from error
