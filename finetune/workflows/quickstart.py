"""`quintet quickstart`: every task fine-tuned on the bundled rows, scored before and after."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from core import store
from core.engine.engine import Engine
from core.engine.prompting import Encoded
from core.task import Task
from finetune.data.training_data import Request, Splits, gather
from finetune.report import score_table
from finetune.settings import FinetuneSettings
from finetune.training import dry_run
from finetune.training.collation import answer_loss, collate
from finetune.workflows import finetuning
from finetune.workflows.finetuning import Run

if TYPE_CHECKING:
    from rich.console import Console

SETTINGS = FinetuneSettings(
    num_train_epochs=5,
    per_device_train_batch_size=16,
    max_eval_rows=16,
    max_test_rows=48,
    early_stopping_patience=2,
    eval_on_start=False,
    save_steps=10_000,
)
_SECONDS = 30.0
"""Training of one task; with scoring, five take under eight minutes of two old cores."""
_PROBE = 1024
"""Tokens of the batch that is timed to plan."""
Samples = Callable[[str, str], Path]
"""Task name and split → the file of bundled rows."""


@dataclass(frozen=True)
class Story:
    """What became of one task: what it came from, and whether fine-tuning was worth it."""

    task: Task[Any]
    run: Run
    before: str
    """The name of the entry that it began with."""
    seconds: float

    @property
    def change(self) -> str:
        """One sentence on the deciding value, before and after."""
        results = self.run.results
        name = results.verdict.metric
        values = {entry.name: entry.metrics.get(name) for entry in results.entries}
        before, after = values[self.before], values[results.subject]
        tests = (one for one in results.comparisons if one.against == self.before)
        test = next((one for one in tests if one.metric == name), None)
        if test is None:
            return f"On these rows {name} says nothing."
        words = {"win": "better than", "tie": "not told apart from", "loss": "worse than"}
        said = " → ".join("-" if one is None else f"{one.value:.3f}" for one in (before, after))
        return f"Fine-tuned on the bundled rows it is {words[test.outcome]} before: {name} {said}."


def run(
    tasks: Mapping[str, Task[Any]],
    samples: Samples,
    engine: Engine,
    root: Path,
    *,
    console: Console,
    seed: int = 0,
) -> list[Story]:
    """One story a task, printed as it is told, and one table at the end; all lies under `root`."""
    asked = [_request(task, samples, engine, root, seed) for task in tasks.values()]
    planned = _planned(asked, engine, console)
    stories = []
    for request, splits in planned:
        story = _tell(request, splits, engine, console)
        results = story.run.results
        console.print(score_table.table(results))
        console.print(f"{results.verdict.sentence}\n{story.change}", markup=False)
        console.print(f"{story.seconds:.0f} s, {story.run.folder / 'report' / 'report.html'}\n")
        stories.append(story)
    console.print(_closing(stories))
    console.print("Each run holds report/report.html. Serve one: quintet adapters install RUN")
    return stories


def _request(
    task: Task[Any], samples: Samples, engine: Engine, root: Path, seed: int
) -> Request[Any]:
    settings = SETTINGS.model_copy(update={"seed": seed})
    return Request(
        task=task,
        sources=(str(samples(task.name, "train")),),
        test=(str(samples(task.name, "test")),),
        settings=settings,
        output=store.new_run(root, task.name, "quickstart"),
        start=finetuning.warm_start(task, engine, settings),
        command=f"quintet quickstart --seed {seed}",
    )


def _planned(
    asked: Sequence[Request[Any]], engine: Engine, console: Console
) -> list[tuple[Request[Any], Splits[Any]]]:
    """Each request with its rows, in as many epochs as its share of the time allows; says how long."""
    speed, planned, seconds = _tokens_per_second(engine), [], 0.0
    for request in asked:
        splits = gather(request)
        rows = dry_run.encode(
            request.task, splits.train.examples, engine.backbone, request.settings
        )
        a_pass = sum(len(row.input_ids) for row in rows) / speed
        epochs = min(SETTINGS.num_train_epochs, _SECONDS / a_pass)
        seconds += epochs * a_pass
        settings = request.settings.model_copy(update={"num_train_epochs": epochs})
        planned.append((replace(request, settings=settings), splits))
    console.print(
        f"{len(planned)} tasks on {engine.backbone.name} at about {speed:.0f} tokens/s: "
        f"{_minutes(seconds)} of fine-tuning, and about as long again to score before and after.\n"
    )
    return planned


def _tokens_per_second(engine: Engine) -> float:
    """Forward and backward through a trial adapter, the second of two batches of one size."""
    import torch

    length = min(64, engine.backbone.context)
    rows = max(1, _PROBE // length)
    ids = torch.randint(0, engine.backbone.model.config.vocab_size, (rows, length))
    encoded = [Encoded(row, length - 1) for row in ids.tolist()]
    engine.adapters.create("trial", seed=0)
    try:
        with engine.adapters.training("trial") as model:
            for _ in range(2):
                began = time.perf_counter()
                answer_loss(model, collate(encoded, 0))[0].backward()
    finally:
        engine.adapters.delete("trial")
    return rows * length / (time.perf_counter() - began)


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def _tell(request: Request[Any], splits: Splits[Any], engine: Engine, console: Console) -> Story:
    began = time.perf_counter()
    made = finetuning.finetune(request, engine, splits, console)
    before = "before" if request.start else "base"
    return Story(request.task, made, before, time.perf_counter() - began)


def _closing(stories: Sequence[Story]) -> Table:
    """What five tasks came to, in one table."""
    drawn = Table("task", "metric", "best baseline", "before", "after", "s", "run")
    drawn.columns[-1].overflow = "fold"
    for story in stories:
        results = story.run.results
        name = results.verdict.metric
        values = {entry.name: entry.metrics.get(name) for entry in results.entries}
        shown = [
            values.get(one) for one in (results.verdict.baseline, story.before, results.subject)
        ]
        drawn.add_row(
            story.task.name,
            name.replace("_", " "),
            *("-" if one is None else f"{one.value:.3f}" for one in shown),
            f"{story.seconds:.0f}",
            str(story.run.folder),
        )
    return drawn
