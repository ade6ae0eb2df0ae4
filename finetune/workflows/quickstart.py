"""`quintet quickstart`: every task fine-tuned on the bundled rows, scored before and after."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from core import store
from core.engine.engine import Engine
from core.task import Choice, Task
from finetune.data.training_data import Request, Splits, gather
from finetune.report import score_table
from finetune.settings import FinetuneSettings
from finetune.training import learning_rate
from finetune.workflows import finetuning
from finetune.workflows.finetuning import Run

if TYPE_CHECKING:
    from rich.console import Console

SETTINGS = FinetuneSettings(
    num_train_epochs=5,
    per_device_train_batch_size=16,
    max_eval_rows=16,
    max_test_rows=32,
    early_stopping_patience=2,
    save_steps=10_000,
    max_minutes=0.5,
)
"""Half a minute of training a task; with scoring, five take under eight minutes of two cores. The adapter that
a task begins with is scored first, and stays where half a minute makes nothing better of it."""
_LABELS = {"max_eval_rows": 64, "max_test_rows": 64}
"""Labels are cheap to score, and one of 16 is a coin that falls: more rows choose, and more judge."""
_GOING_ON = 0.25
"""Share of the rate at which an adapter that tells labels goes on: two seeds of 25 steps and one of half a
minute moved the accuracy of sentiment by -6, -6 and +3 points at the whole rate, by +1, 0 and +2 at this one."""
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
    console.print(
        f"{len(asked)} tasks on {engine.backbone.name}: at most {60 * SETTINGS.max_minutes:.0f} s of "
        "fine-tuning each, and up to twice as long to score it before and after.\n"
    )
    stories = []
    for request in asked:
        story = _tell(request, gather(request), engine, console)
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
    start = finetuning.warm_start(task, engine, settings)
    if isinstance(task.answer, Choice):
        settings = settings.model_copy(update=_LABELS)
        if start:
            rate = _GOING_ON * learning_rate.fitted(settings, engine.backbone).learning_rate
            settings = settings.model_copy(update={"learning_rate": rate})
    return Request(
        task=task,
        sources=(str(samples(task.name, "train")),),
        test=(str(samples(task.name, "test")),),
        settings=settings,
        output=store.new_run(root, task.name, "quickstart"),
        start=start,
        command=f"quintet quickstart --seed {seed}",
    )


def _tell(request: Request[Any], splits: Splits[Any], engine: Engine, console: Console) -> Story:
    began = time.perf_counter()
    made = finetuning.finetune(request, engine, splits, console)
    before = "before" if request.start else "base"
    return Story(request.task, made, before, time.perf_counter() - began)


def _closing(stories: Sequence[Story]) -> Table:
    """What five tasks came to, in one table."""
    drawn = Table("task", "metric", "best baseline", "before", "after", "s")
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
        )
    return drawn
