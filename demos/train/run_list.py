"""The runs that the page 'Train' knows: those on disk, and those that have only just begun."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from demos.train import html as train_html
from demos.train import jobs, runs
from demos.train.jobs import Job
from demos.train.runs import Run


def known(tasks: Any) -> list[Run]:
    """All runs of these tasks, also those that have only just begun."""
    there = {run.folder.resolve(): run for run in runs.find()}
    for job in jobs.every():
        folder = _output(job)
        if folder is not None and folder.is_dir() and folder.resolve() not in there:
            run = Run(folder=folder, task=job.arguments[1], settings={}, scores={})
            there[folder.resolve()] = run
    kept = (run for run in there.values() if run.task in tasks)
    return sorted(kept, key=lambda run: run.folder.name, reverse=True)


def _output(job: Job) -> Path | None:
    arguments = job.arguments
    if arguments[:1] != ("finetune",) or "--output" not in arguments[:-1]:
        return None
    return Path(arguments[arguments.index("--output") + 1])


def found(name: str | None) -> Run | None:
    """The run of that name, as it is now."""
    if not name or ".." in name:
        return None
    task, _, folder = name.partition("/")
    path = runs.RUNS / task / folder
    if not path.is_dir():
        return None
    return runs.read(path) or Run(folder=path, task=task, settings={}, scores={})


def name_of(folder: str) -> str:
    """'spam/20260101-120000-finetune' of its folder."""
    return "/".join(Path(folder).parts[-2:])


def going(tasks: Any) -> str | None:
    """The name of one that is training now, or about to."""
    now = ("waiting", "running")
    return next((run.name for run in known(tasks) if train_html.state_of(run) in now), None)
