"""Sources and an application → a score and the baseline beside it, on the same rows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core import store
from core.application import Application, Prediction
from core.errors import BadData, BadSetting, nearest
from core.task import Example, In, Task
from finetune import data
from finetune.baselines import baseline_score
from finetune.examples import Reading, read_examples
from finetune.scoring import Progress, Score, score


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The score of an adapter, of the bare backbone where asked for, and of the baseline."""

    score: Score
    predictions: tuple[Prediction, ...]
    examples: tuple[Example[Any], ...]
    baseline_name: str
    baseline: Score


def test_split(source: str) -> str:
    """The split to score on: test, else validation; a single file is scored whole."""
    for split in ("test", "validation"):
        if data.has_split(source, split):
            return split
    return "train"


def read_test(
    task: Task[In],
    sources: Sequence[str],
    *,
    columns_map: Mapping[str, str] | None = None,
    limit: int | None = None,
    direction: str = "both",
    split: str | None = None,
    tolerate: float = 0.01,
) -> Reading[In]:
    """The rows to score on; `direction` keeps one part of them ('en-zh' is the part 'en_zh')."""
    found = [
        read_examples(
            task,
            [source],
            split=split or test_split(source),
            columns_map=columns_map,
            limit=limit,
            tolerate=tolerate,
        )
        for source in sources
    ]
    reading = Reading(
        by_row=tuple(row for one in found for row in one.by_row),
        problems=tuple(problem for one in found for problem in one.problems),
    )
    return reading if direction == "both" else _part(reading, direction, task)


def _part(reading: Reading[In], direction: str, task: Task[In]) -> Reading[In]:
    part = direction.replace("-", "_")
    parts = sorted({example.part for example in reading.examples if example.part})
    if part not in parts:
        allowed = ", ".join(name.replace("_", "-") for name in parts) or "none"
        raise BadSetting(
            f"{task.title} has no direction {direction!r}; there: {allowed}, both."
            f"{nearest(part, parts)}"
        )
    rows = (tuple(e for e in row if e.part == part) for row in reading.by_row)
    return Reading(by_row=tuple(row for row in rows if row), problems=reading.problems)


def evaluate(
    application: Application[In],
    reading: Reading[In],
    train: Sequence[Example[In]],
    *,
    name: str,
    progress: Progress | None = None,
) -> Evaluation:
    """Score the application, and beside it what costs nothing, learned from `train`."""
    examples = reading.examples
    if not examples:
        raise BadData(f"{name} holds no rows to score.")
    found, predictions = score(application, examples, data=name, progress=progress)
    baseline_name, baseline = baseline_score(application.task, train, examples, data=name)
    return Evaluation(
        score=found,
        predictions=predictions,
        examples=examples,
        baseline_name=baseline_name,
        baseline=baseline,
    )


def write(found: Evaluation, folder: Path) -> None:
    """`results.json` with both scores, and `predictions.jsonl` with a line an example."""
    lines = (
        {
            **example.input.model_dump(mode="json"),
            "answers": list(example.answers),
            "prediction": prediction.text,
            **({"probabilities": prediction.probabilities} if prediction.probabilities else {}),
            "dropped": prediction.dropped,
        }
        for example, prediction in zip(found.examples, found.predictions, strict=True)
    )
    text = "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines)
    store.write_text(folder / "predictions.jsonl", text)
    scores = {"score": found.score.as_json(), found.baseline_name: found.baseline.as_json()}
    store.write_json(folder / "results.json", scores)


def training_examples(
    task: Task[In],
    sources: Sequence[str],
    otherwise: str,
    columns_map: Mapping[str, str] | None = None,
) -> tuple[Example[In], ...]:
    """What baselines learn from: the train splits of the sources, else the bundled rows."""
    having = [source for source in sources if data.has_split(source, "train")]
    if not having:
        return read_examples(task, [otherwise]).examples
    return read_examples(task, having, columns_map=columns_map).examples
