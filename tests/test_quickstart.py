"""Two tasks from bundled rows to a table of scores, within the time that was promised."""

from __future__ import annotations

import pytest
from rich.console import Console

import apps
from core.engine.engine import Engine
from finetune.workflows import quickstart


@pytest.fixture
def told(backbone, tmp_path, monkeypatch):
    settings = quickstart.SETTINGS.model_copy(
        update={"num_train_epochs": 10_000, "max_minutes": 0.05, "max_test_rows": 6}
    )
    monkeypatch.setattr(quickstart, "SETTINGS", settings)
    tasks = {name: apps.load(name) for name in ("qa", "spam")}
    console = Console(record=True, width=120)
    stories = quickstart.run(tasks, apps.samples, Engine(backbone), tmp_path, console=console)
    return stories, console.export_text()


def test_every_task_is_trained_for_its_minutes_and_scored(told):
    stories, text = told
    assert [story.task.name for story in stories] == ["qa", "spam"]
    for story in stories:
        assert (story.run.folder / "report" / "report.html").is_file()
        assert {"base", story.run.results.subject} <= {e.name for e in story.run.results.entries}
        steps = (story.run.folder / "log.jsonl").read_text().splitlines()
        assert len(steps) > 1 and story.seconds < 120  # 10,000 passes would take hours
    assert "2 tasks" in text and "at most 3 s of fine-tuning each" in text
    assert text.index("qa") < text.index("Each run holds report/report.html")
