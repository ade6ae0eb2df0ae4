"""A whole file through the page: sent, scored by the command in its own process, summed up, ended."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from page_fixtures import BACKBONE, Visit, browsing, pages_home, tiny_service

from core.errors import BadData
from demos import pages
from demos.files import tables
from demos.files.scoring import Job, Scoring

ROWS = ("What a warm and funny film!", "Dull, long and boring.", "很好，很喜欢，推荐购买！")


@pytest.fixture(autouse=True)
def own_home() -> None:
    """The home of the whole file, not one of each test."""


@pytest.fixture(autouse=True, scope="module")
def home(tmp_path_factory) -> Iterator[Path]:
    with pages_home(tmp_path_factory) as home, pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("work"))
        yield home


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
        with pytest.raises(BadData, match="nothing") as told:
            scoring.result()
        assert str(reviews.parent) not in str(told.value)
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


@pytest.fixture(scope="module")
def visit(home, tokenizer) -> Iterator[Visit]:
    service = tiny_service(tokenizer, kept=Path(BACKBONE))
    blocks = pages.build(service, ["sentiment"])
    with browsing(pages.start(blocks)) as visit:
        yield visit
    blocks.close(verbose=False)


def table(count: int) -> pd.DataFrame:
    """Reviews of several weeks from two sources."""
    days = pd.date_range("2026-01-05", periods=count, freq="3D").strftime("%Y-%m-%d")
    rows = {
        "day": days,
        "shop": [("north", "south")[n % 2] for n in range(count)],
        "review": [f"{ROWS[n % len(ROWS)]} ({n})" for n in range(count)],
    }
    return pd.DataFrame(rows)


WRITERS = {
    ".csv": lambda rows, path: rows.to_csv(path, index=False),
    ".xlsx": lambda rows, path: rows.to_excel(path, index=False),
    ".parquet": lambda rows, path: rows.to_parquet(path),
}


def send(visit: Visit, path: Path) -> None:
    clear = visit.page.get_by_label("Clear").locator("visible=true")
    if clear.count():
        clear.first.click()
    visit.page.locator("input[type=file]").first.set_input_files(path)
    visit.shows(f"{path.name}: columns day, shop, review")


def test_a_file_must_be_chosen(visit):
    visit.open("A file")
    visit.press("Score the file")
    visit.shows("Choose a file first.")


@pytest.mark.parametrize("kind", WRITERS)
def test_a_table_is_sent_scored_summed_up_and_fetched(visit, tmp_path, kind):
    rows, path = table(12), tmp_path / f"reviews{kind}"
    WRITERS[kind](rows, path)
    visit.open("A file")
    send(visit, path)
    visit.press("Score the file")
    visit.shows("12 rows, all of them answered")
    for title in ("Shares of the labels", "over time", "by source", "Surest", "Least sure"):
        visit.shows(title)
    with visit.page.expect_download() as coming:
        visit.page.locator("a[download*='-scored']").locator("visible=true").first.click()
    coming.value.save_as(scored := tmp_path / coming.value.suggested_filename)
    assert scored.suffix == kind
    found = tables.read(scored)
    assert list(found["review"]) == list(rows["review"])
    assert set(found["prediction"]) <= {"negative", "positive"}


def test_the_summary_is_narrowed_and_told_in_chinese(visit):
    visit.box("Only rows that mention").fill("film")
    visit.box("Only rows that mention").press("Enter")
    visit.shows("4 rows, all of them answered")
    visit.speak("中文")
    visit.shows("各标签占比")
    visit.shows("共 4 行")
    visit.page.locator("label:visible", has_text="正面 positive").wait_for()
    visit.speak("English")


def test_scoring_shows_how_far_it_is_and_is_cancelled(visit, tmp_path):
    table(20_000).assign(day="2026-01-05").to_csv(path := tmp_path / "many.csv", index=False)
    visit.open("A file")
    visit.page.locator(".summary:visible").wait_for()  # of the file before
    send(visit, path)
    visit.page.locator(".summary").wait_for(state="detached")
    visit.press("Score the file")
    visit.shows(" of 20,000 rows scored, ")
    visit.press("Cancel")
    visit.shows("Cancelled; nothing is kept.")
    assert visit.page.locator("a[download*='-scored']:visible").count() == 0
    assert not list(Path(tempfile.gettempdir()).glob("quintet-scored-*/many-scored*"))
