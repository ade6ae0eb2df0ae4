"""`quintet quickstart`: every task fine-tuned on the bundled rows, scored before and after."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import store
from core.application import Application
from core.engine import Engine
from core.task import Task
from finetune import evaluation, finetuning, progress
from finetune.examples import read_examples
from finetune.finetuning import Material, Request
from finetune.score_table import markdown, table
from finetune.scoring import Score, selected
from finetune.settings import FinetuneSettings

if TYPE_CHECKING:
    from rich.console import Console

SETTINGS = FinetuneSettings(
    num_train_epochs=3,
    learning_rate=5e-4,
    max_eval_rows=32,
    early_stopping_patience=2,
    save_steps=10_000,
    max_test_rows=0,
)
Samples = Callable[[str, str], Path]
"""Task name and split → the file of bundled rows."""


@dataclass(frozen=True)
class Story:
    """What became of one task: its scores, and whether fine-tuning was worth it."""

    task: Task[Any]
    run: Path
    scores: dict[str, Score]
    seconds: float

    @property
    def verdict(self) -> str:
        """One sentence on the value that picks checkpoints."""
        before, after, least = (selected(self.task, s.metrics) for s in self.scores.values())
        change = (
            "better than" if after > before else "equal to" if after == before else "worse than"
        )
        above = "above" if after > least else "NOT ABOVE"
        return (
            f"{self.task.title}: {self.task.select_by} is {change} before "
            f"({abs(before):.3f} → {abs(after):.3f}) and {above} the baseline ({abs(least):.3f})."
        )


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
        console.print(table(story.scores))
        console.print(f"{story.verdict} {story.seconds:.0f} s, {story.run}\n")
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
        settings=settings,
        output=folder,
        start=finetuning.warm_start(task, engine, settings),
    )
    material = finetuning.gather(request)
    test = read_examples(task, [str(samples(task.name, "test"))])
    learned = material.train.examples
    finetuning.finetune(request, engine, material, console)
    scores: dict[str, Score] = {}
    begun = Material(material.train, material.validation, test)
    adapters = {"before": request.start, "after": folder / "adapter"}
    for title, adapter in adapters.items():
        with progress.counting(console, f"scoring {task.name} {title}") as told:
            found = _evaluated(task, engine, adapter, begun, told)
        scores[title] = found.score
    scores[found.baseline_name] = found.baseline
    story = Story(task, folder, scores, time.perf_counter() - began)
    _report(story, len(learned), request.start)
    return story


def _evaluated(
    task: Task[Any],
    engine: Engine,
    adapter: Path | None,
    material: Material[Any],
    told: Callable[[int, int], None],
) -> evaluation.Evaluation:
    if adapter:
        engine.adapters.load("scored", adapter)
    try:
        return evaluation.evaluate(
            Application(task, engine, "scored" if adapter else None),
            material.test,
            material.train.examples,
            name="bundled test rows",
            progress=told,
        )
    finally:
        if adapter:
            engine.adapters.delete("scored")


def _report(story: Story, learned: int, start: Path | None) -> None:
    """`report/report.md` and `report/results.json` in the run."""
    rows = story.scores["after"].rows
    came = "the served adapter" if start else "the bare backbone"
    text = (
        f"# {story.task.title}: quickstart\n\n{story.verdict}\n\n"
        f"{learned} bundled training examples, beginning with {came}; {rows} bundled test examples, "
        f"none of them in training; {story.seconds:.0f} s in all.\n\n"
        f"{markdown(story.scores)}\n![Loss and validation over the steps](../loss.png)\n"
    )
    store.write_text(story.run / "report" / "report.md", text)
    results = {title: score.as_json() for title, score in story.scores.items()}
    store.write_json(story.run / "report" / "results.json", results)
