"""`quintet quickstart`: every task fine-tuned on the bundled rows, scored before and after."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import store
from core.engine import Engine
from core.task import Task
from finetune import finetuning, score_table
from finetune.finetuning import Run
from finetune.material import Request, gather
from finetune.settings import FinetuneSettings

if TYPE_CHECKING:
    from rich.console import Console

SETTINGS = FinetuneSettings(
    num_train_epochs=5,
    learning_rate=1e-3,
    per_device_train_batch_size=16,
    max_eval_rows=32,
    early_stopping_patience=2,
    save_steps=10_000,
)
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
    """One story a task, printed as it is told; runs and reports are under `root`."""
    stories = []
    for name, task in tasks.items():
        story = _tell(task, samples, engine, store.new_run(root, name, "quickstart"), console, seed)
        results = story.run.results
        console.print(score_table.table(results))
        console.print(f"{results.verdict.sentence}\n{story.change}", markup=False)
        console.print(f"{story.seconds:.0f} s, {story.run.folder / 'report' / 'report.html'}\n")
        stories.append(story)
    return stories


def _tell(
    task: Task[Any], samples: Samples, engine: Engine, folder: Path, console: Console, seed: int
) -> Story:
    began = time.perf_counter()
    settings = SETTINGS.model_copy(update={"seed": seed})
    request = Request(
        task=task,
        sources=(str(samples(task.name, "train")),),
        test=(str(samples(task.name, "test")),),
        settings=settings,
        output=folder,
        start=finetuning.warm_start(task, engine, settings),
        command=f"quintet quickstart --seed {seed}",
    )
    made = finetuning.finetune(request, engine, gather(request), console)
    before = "before" if request.start else "base"
    return Story(task, made, before, time.perf_counter() - began)
