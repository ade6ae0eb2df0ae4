"""`quintet adapters verify`: every hash of a passport, computed again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from core import store
from core.adapters.passport import read_passport
from core.errors import Mismatch
from core.service import Service
from core.task import Task
from finetune.data.examples import read_examples
from finetune.evaluation.contamination.training_rows import read_rows_of


def verify(
    service: Service,
    folder: Path,
    sources: Sequence[str] = (),
    *,
    columns_map: Mapping[str, str] | None = None,
    limit: int | None = None,
) -> dict[str, str]:
    """Name → what was found; raises `Mismatch` or `Damaged` where something differs.

    The data can only be hashed where they are given, read as they were in training.
    """
    passport = read_passport(folder)  # refuses a broken seal
    task = service.task(passport.task)
    service.application(passport.task, folder)  # refuses what does not fit
    passport.check_files(folder)  # the service may have loaded it before it was altered
    rows = read_rows_of(folder, passport.training_rows_hash)
    code = store.code_version()
    return {
        "backbone": passport.fingerprint,
        "tokenizer": passport.tokenizer_hash or "not recorded",
        "prompt": passport.prompt_hash,
        "weights": passport.weights_hash[:16],
        "configuration": passport.configuration_hash,
        "dtype": passport.dtype or "not recorded",
        "metrics": passport.seal,
        "training rows": f"{rows.examples:,} known" if rows and rows.examples else "not recorded",
        "code": code if code == passport.code_version else f"{code}, trained with another version",
        "data": _data(task, passport.data_hash, sources, columns_map, limit, folder),
    }


def _data(
    task: Task[Any],
    expected: str,
    sources: Sequence[str],
    columns_map: Mapping[str, str] | None,
    limit: int | None,
    folder: Path,
) -> str:
    if not sources:
        return "not checked: give --data"
    found = read_examples(task, sources, columns_map=columns_map, limit=limit, tolerate=1.0).digest
    if found != expected:
        raise Mismatch(
            f"The adapter in {folder} was trained on other rows ({expected} trained, {found} here). "
            "Give all its sources, with the same --map, --labels, --encoding and --limit."
        )
    return found
