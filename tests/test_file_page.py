"""A whole file through the page: sent, scored by the command in its own process, summed up, ended."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from page_fixtures import browsing, pages_home, tiny_service

from core.errors import BadData
from demos import pages
from demos.files import tables
from demos.files.scoring import Job, Scoring

ROWS = ("What a warm and funny film!", "Dull, long and boring.", "很好，很喜欢，推荐购买！")


@pytest.fixture
def reviews(tmp_path) -> Path:
    path = tmp_path / "reviews.jsonl"
    lines = [{"review": row, "day": f"2026-01-0{n + 1}", "id": n} for n, row in enumerate(ROWS)]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return path


def job(source: Path, column: str = "review") -> Job:
    return Job(
        source=source, task="sentiment", backbone="mini", columns={"text": column}, device="cpu"
    )


def test_every_row_is_scored_by_the_command(reviews):
    scoring = Scoring(job(reviews))
    try:
        assert scoring.wait(300)
        table = tables.read(scoring.result())
    finally:
        scoring.cancel()
    assert list(table["id"]) == [0, 1, 2]
    assert set(table["prediction"]) <= {"negative", "positive"}
    assert not scoring.output.exists()


def test_what_the_command_refuses_is_said_in_its_words(reviews):
    scoring = Scoring(job(reviews, column="nothing"))
    try:
        scoring.wait(300)
        with pytest.raises(BadData, match="nothing"):
            scoring.result()
    finally:
        scoring.cancel()


def test_a_cancelled_command_is_gone_with_its_files(reviews):
    scoring = Scoring(job(reviews))
    assert scoring.running
    begun = time.monotonic()
    scoring.cancel()
    assert not scoring.running
    assert time.monotonic() - begun < 30
    assert not scoring.output.parent.exists()


def test_a_file_is_scored_and_summed_up_in_the_browser(
    tmp_path_factory, tokenizer, monkeypatch, reviews
):
    with pages_home(tmp_path_factory):
        service = tiny_service(tokenizer)
        blocks = pages.build(service, ["sentiment"])
        with browsing(pages.start(blocks)) as visit:
            visit.open("A file")
            visit.press("Score the file")
            visit.shows("Choose a file first.")
            visit.page.locator("input[type=file]").first.set_input_files(reviews)
            visit.shows("columns review, day, id")
            visit.page.get_by_label("Backbone").locator("visible=true").click()
            visit.page.get_by_role("option", name="mini").click()
            visit.shows("mini: 5.3 million parameters")
            visit.press("Score the file")
            visit.page.locator(".summary figure").nth(2).wait_for(timeout=300_000)
            visit.shows("3 rows, 0 of them without an answer")
            visit.box("Only rows that mention").fill("film")
            visit.box("Only rows that mention").press("Enter")
            visit.shows("1 rows, 0 of them without an answer")
            visit.speak("中文")
            visit.shows("各标签占比")
        blocks.close(verbose=False)
