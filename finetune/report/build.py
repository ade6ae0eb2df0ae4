"""An evaluation → the results that a report draws."""

from __future__ import annotations

import platform
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from core import store
from core.adapters.passport import Passport
from core.language import language_of
from core.task import Choice, Example
from finetune.data.splits import short
from finetune.evaluation import contamination
from finetune.evaluation.comparison import Evaluation
from finetune.evaluation.significance import RESAMPLES
from finetune.report import error_analysis, seen_rows, training, verdict
from finetune.report.results import DataCard, Environment, LeakedPair, Leaks, Measured, Results

_SHOWN = 20
_WORDS = ("title", "description", "title_zh", "description_zh")
"""What a task and the results of its evaluation both say of it."""
_PERCENTILES = (50, 90, 99, 100)


def build(
    found: Evaluation[Any],
    *,
    commands: Sequence[str],
    seed: int = 0,
    resamples: int = RESAMPLES,
    passport: Passport | None = None,
    adapter: Path | None = None,
    documents: Mapping[str, Iterable[str]] | None = None,
    device: str = "cpu",
    picked_checkpoint: bool = False,
) -> Results:
    """Everything a reader needs to believe the score, or not to.

    `documents` is text that the backbone was trained on, `adapter` the folder of the subject.
    """
    began = time.perf_counter()
    seen = seen_rows.look(found, documents or {})
    entries = verdict.entries(found, seed=seed, resamples=resamples)
    judged = verdict.judge(found, seen, seed=seed, resamples=resamples)
    log = training.learning(adapter)
    return Results(
        task=found.task.name,
        **{name: getattr(found.task, name) for name in _WORDS},
        data=", ".join(_sources(found)),
        rows=len(found.examples),
        seed=seed,
        resamples=resamples,
        created=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        subject=found.subject.name,
        picked_checkpoint=picked_checkpoint,
        verdict=judged.verdict,
        entries=entries,
        comparisons=judged.comparisons,
        undefined=dict(found.undefined),
        groups=len(set(found.groups.tolist())),
        signatures=found.score.signatures,
        commands=tuple(commands),
        passport=passport.model_dump(mode="json") if passport else None,
        leaks=_leaks(found, seen, seed=seed, resamples=resamples),
        calibration=error_analysis.calibrated(found, seed=seed),
        curves=error_analysis.curves(found),
        slices=error_analysis.slices(found, seed=seed, resamples=resamples),
        mistakes=error_analysis.mistakes(found),
        data_card=_data_card(found),
        learning=log,
        training=training.trained(found, adapter, passport, log),
        environment=_environment(found, device, time.perf_counter() - began),
    )


def _leaks(
    found: Evaluation[Any],
    seen: seen_rows.Seen,
    *,
    seed: int,
    resamples: int,
) -> Leaks:
    pairs = sorted(seen.found, key=lambda one: (-one.similarity, one.row))[:_SHOWN]
    exact = {one.row for one in seen.found if one.exact}
    return Leaks(
        looked_in=seen.looked_in,
        compared=seen.compared,
        exact=len(exact),
        near=len({one.row for one in seen.found} - exact),
        pairs=tuple(
            LeakedPair(
                row=one.row,
                text=contamination.texts_of(found.task, found.examples[one.row])[0],
                source=one.source,
                other=one.other,
                similarity=one.similarity,
            )
            for one in pairs
        ),
        without=_without(found, seen.gone, seed=seed, resamples=resamples),
        known=seen.known,
        learned=len(seen.learned),
        picked=len(seen.picked),
        fitted=len(seen.fitted),
    )


def _without(
    found: Evaluation[Any], gone: Sequence[int], *, seed: int, resamples: int
) -> dict[str, Measured]:
    if not gone or len(gone) == len(found.examples):
        return {}
    clean = found.without(gone)
    counts = clean.counts[clean.subject.name]
    return {
        name: verdict.measured(one, seed=seed, resamples=resamples) for name, one in counts.items()
    }


def _data_card(found: Evaluation[Any]) -> DataCard:
    prompts = [found.task.prompt(example.input) for example in found.examples]
    lengths = np.percentile([len(prompt) for prompt in prompts], _PERCENTILES)
    closed = isinstance(found.task.answer, Choice)
    return DataCard(
        sources=_sources(found),
        rows=found.reading.rows,
        examples=len(found.examples),
        problems=tuple(str(problem) for problem in found.reading.problems[:_SHOWN]),
        languages=_counted(language_of(prompt) for prompt in prompts),
        labels=_counted(_first(found.examples)) if closed else {},
        parts=_counted(example.part for example in found.examples if example.part),
        characters={str(p): int(n) for p, n in zip(_PERCENTILES, lengths, strict=True)},
        cut=sum(one.dropped > 0 for one in found.subject.predictions),
        digest=found.reading.digest,
    )


def _sources(found: Evaluation[Any]) -> tuple[str, ...]:
    """Enough of each path to know the data, nothing of the machine."""
    return tuple(short(one) for one in dict.fromkeys(found.reading.sources)) or (found.data,)


def _first(examples: Sequence[Example[Any]]) -> Iterable[str]:
    return (example.answers[0] for example in examples)


def _counted(names: Iterable[str]) -> dict[str, int]:
    return dict(Counter(names).most_common())


def _environment(found: Evaluation[Any], device: str, seconds: float) -> Environment:
    return Environment(
        versions=store.library_versions(),
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        device=device,
        threads=torch.get_num_threads(),
        seconds_answering=sum(one.seconds for one in found.answers if one.kind != "baseline"),
        seconds=found.seconds + seconds,
    )
