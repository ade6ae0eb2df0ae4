"""Feedback, training and the look inside, in a real browser and in both languages."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from page_fixtures import BACKBONE, WAIT, Visit, browsing, pages_home, tiny_service

from core.adapters import registry
from core.feedback.database import Feedback
from core.service import Service
from demos import pages


@pytest.fixture(autouse=True)
def own_home() -> None:
    """The home of the whole file, not one of each test."""


@pytest.fixture(scope="module")
def service(tmp_path_factory, tokenizer) -> Iterator[Service]:
    with pages_home(tmp_path_factory), pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("work"))
        patch.setenv("PYTHONPATH", str(Path(__file__).parent.parent))
        a_run()
        service = tiny_service(tokenizer, kept=Path(BACKBONE))
        yield service


def a_run() -> None:
    """A run of yesterday."""
    folder = Path("runs/spam/20260101-120000-finetune")
    (folder / "report").mkdir(parents=True)
    (folder / "adapter").mkdir()
    about = {"task": "spam", "backbone": BACKBONE, "data": ["mails.csv"], "max_steps": 20}
    (folder / "config.yaml").write_text(yaml.safe_dump(about))
    lines = [{"step": step, "loss": 2 / step} for step in (1, 10, 20)]
    lines += [{"step": step, "mcc": step / 40} for step in (10, 20)]
    (folder / "log.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    passport = {"metrics": {"mcc": 0.5}, "baseline": {"mcc": 0.2}, "rows": 80}
    (folder / "adapter" / "passport.json").write_text(json.dumps(passport))
    (folder / "report" / "report.html").write_text("<h1>Its report</h1>")


@pytest.fixture(scope="module")
def visit(service) -> Iterator[Visit]:
    blocks = pages.build(service, ["spam", "generation"])
    with browsing(pages.start(blocks)) as visit:
        yield visit
    blocks.close(verbose=False)


def test_a_correction_becomes_two_rows_that_can_be_found_and_deleted(visit, service):
    visit.open("Spam")
    visit.press("✓ Right")
    visit.shows("Ask first")
    visit.sample()
    visit.page.locator(".mattered:visible").wait_for()
    given = next(service.application("spam").predict(service.task("spam").samples[:1])).text
    other = "spam" if given == "ham" else "ham"
    visit.press("✗ Wrong")
    form = visit.page.get_by_role("radiogroup").or_(visit.page.locator("fieldset:visible"))
    form.locator(f"input[value={other}]:visible").check()
    visit.press("Save")
    visit.shows("Stored: see Feedback.")
    found = Feedback().entries()
    assert [(one.completion, one.label) for one in found] == [(other, True), (given, False)]
    assert {(one.adapter, one.backbone) for one in found} == {("spam@2", BACKBONE)}
    visit.tab("Feedback")
    visit.shows("2 of 2 rows")
    line = "cell => getComputedStyle(cell).borderTopStyle"
    assert visit.page.locator(".entries tbody td").first.evaluate(line) == "solid"
    visit.box("Search in prompt and answer").fill("no such text")
    visit.shows("Nothing yet.")
    visit.box("Search in prompt and answer").fill("")
    visit.shows("2 of 2 rows")
    visit.page.get_by_label("Rows to delete").click()
    row = visit.page.get_by_role("option").first
    assert re.fullmatch(rf"2 · Are we still meeting .+… → {other}", row.inner_text().strip())
    row.click()
    visit.press("Delete them")
    visit.shows("Rows deleted: 1.")
    assert Feedback().count() == 1


def test_a_press_of_the_thumb_keeps_a_free_answer(visit):
    visit.open("Generation")
    visit.sample(2)
    visit.shows("Finish: ")
    visit.press("✓ Right")
    visit.shows("Stored: see Feedback.")
    newest = Feedback().entries(limit=1)[0]
    assert (newest.task, newest.label) == ("generation", True)
    assert newest.completion == visit.box("Answer").input_value()
    visit.tab("Feedback")
    visit.press("Preference file")
    visit.shows("Choose one task first.")
    visit.page.get_by_label("Task", exact=True).locator("visible=true").first.click()
    visit.page.get_by_role("option", name="Generation").first.click()
    visit.shows("1 of 1 rows")
    visit.press("Preference file")
    visit.shows(
        "quintet feedback export generation --output generation-preferences.jsonl --preferences"
    )
    with visit.page.expect_download() as sent:
        visit.page.locator("a:visible[download]").click()
    row = json.loads(sent.value.path().read_text("utf-8"))
    assert (row["completion"], row["label"]) == (newest.completion, True)


def test_a_test_without_a_candidate_says_what_is_missing(visit):
    visit.open("Feedback", anew=True)
    visit.press("Test and promote")
    visit.shows("There is no candidate yet")


def test_rolling_back_is_one_press_and_answers_change_hands(visit, service):
    registry.install(registry.versions("generation", BACKBONE)[1])
    before = service.find("generation")
    visit.open("Feedback", anew=True)
    visit.shows("generation@2")
    visit.shows("bits per byte 1.71 on 72 rows")
    visit.press("Roll back")
    visit.shows("Taken back: generation@2. Served: generation@1.")
    visit.tab("Generation")
    visit.shows("Adapter: generation@1, on quintet-nano")
    registry.install(registry.versions("generation", BACKBONE)[1])
    visit.tab("Feedback")
    visit.tab("Generation")
    visit.shows("Adapter: generation@3, on quintet-nano")
    by = visit.page.get_by_label("Answered by", exact=True).locator("visible=true").first
    assert by.input_value() == "generation@3"
    visit.open("Generation", anew=True)
    visit.shows("Adapter: generation@3, on quintet-nano")
    visit.tab("Feedback")
    visit.press("Roll back")
    visit.shows("Taken back: generation@3. Served: generation@1.")
    visit.shows("quintet adapters rollback generation")
    assert service.find("generation") != before
    assert service.application("generation").task.name == "generation"


def test_the_inside_of_a_model_is_seen_with_the_adapter_and_without(visit, service):
    visit.open("See inside")
    example = visit.page.locator(".steps section").first
    assert [example.locator("b").nth(place).inner_text() for place in range(3)] == [
        "0.09", "0.24", "0.67",
    ]  # fmt: skip
    visit.box("Text").fill("Free prizes now <b>!</b>")
    visit.press("Look inside")
    visit.page.locator("table.map").nth(1).wait_for()
    assert visit.page.locator(".heads figure.chosen").count() == 2
    assert visit.page.locator(".lens b").count() == 0
    layers = service.engine.backbone.model.config.num_hidden_layers
    assert visit.page.locator(".lens tbody tr").count() == layers + 1
    visit.speak("中文")
    visit.shows("下一个词元")
    assert visit.box("文本").input_value() == "Free prizes now <b>!</b>"
    visit.page.get_by_label("因果掩码").check()
    visit.shows("已掩盖")
    visit.speak("English")


def test_a_run_of_yesterday_is_found_with_its_curves_and_report(visit):
    visit.open("Train")
    visit.shows("done")
    assert visit.page.locator(".chart svg:visible").count() == 2
    visit.shows("mcc 0.500 on 80")
    visit.press("Show the report")
    visit.page.frame_locator("iframe").get_by_role("heading", name="Its report").wait_for()
    visit.page.get_by_label("Runs to compare").click()
    visit.page.get_by_role("option").first.click()
    visit.page.locator(".train table:visible").wait_for()


def test_a_training_that_cannot_begin_says_why_and_shows_its_command(visit):
    from playwright.sync_api import expect

    visit.open("Train")
    visit.page.get_by_label("Rows: a file").fill("missing.csv")
    visit.page.get_by_label("Rows: a file").blur()
    command = visit.box("The command that does the same")
    expect(command).to_have_value(re.compile("^quintet finetune .* --data missing.csv"))
    visit.press("Look at the rows")
    visit.shows("Reading …")
    visit.press("Start")
    visit.shows("ended without an adapter")
    expect(visit.page.get_by_text("Reading …")).to_be_hidden()
    visit.page.locator("button:visible", has_text="What it prints").click()
    visit.shows("missing.csv")


@pytest.mark.parametrize("title", ["Feedback", "Train", "See inside"])
def test_everything_can_be_read_named_and_reached(visit, title):
    visit.open(title)
    visit.must_be_readable()


def test_a_second_choice_is_answered_while_the_first_one_waits(service):
    """Gradio's default drops it: two runs were chosen, and the table showed one."""
    events = pages.build(service, ["spam"]).get_config_file()["dependencies"]
    chosen = [event for event in events if "input" in {kind for _, kind in event["targets"]}]
    assert len(chosen) >= 5
    assert {event["trigger_mode"] for event in chosen} == {"always_last"}


def curves_of(visit: Visit) -> Any:
    return visit.page.locator(".chart:visible")


def test_a_training_is_watched_stopped_found_again_and_served(visit, service):
    """From the first press to the new adapter; the browser is closed in between."""
    from playwright.sync_api import expect

    messages = ("Win a free prize: call {0}", "See you at lunch: bring {0}")
    rows = [f"{messages[n % 2].format(n * 7 % 31)},{('spam', 'ham')[n % 2]}\n" for n in range(60)]
    Path("mails.csv").write_text("text,label\n" + "".join(rows))
    visit.open("Train", anew=True)
    visit.page.get_by_label("Task").locator("visible=true").click()
    visit.page.get_by_role("option", name="Spam", exact=True).click()
    visit.box("Rows: a file or folder on this machine, or a hub id").fill("mails.csv")
    visit.box("More options, as on the command line").fill(
        "--max-steps 400 --num-train-epochs 400 --per-device-train-batch-size 4 --logging-steps 1 "
        "--eval-steps 5 --early-stopping-patience 400"
    )
    command = visit.box("The command that does the same")
    expect(command).to_have_value(re.compile("--max-steps 400"))
    visit.press("Start")
    state = visit.page.locator(".state:visible")
    expect(state).to_have_text(re.compile(r"training.*step \d+ / 400"), timeout=WAIT)
    expect(curves_of(visit).filter(has_text="Loss")).to_be_visible()
    assert visit.page.locator(".way:visible").bounding_box()["width"] > 500
    earlier = state.inner_text()
    expect(state).not_to_have_text(earlier, use_inner_text=True, timeout=WAIT)
    visit.press("Stop")
    visit.shows("Asked to stop")
    visit.shows("stopped; it can go on")
    expect(visit.page.get_by_text("Asked to stop").locator("visible=true")).to_have_count(0)
    visit.close_the_browser()
    visit.open("Train")
    visit.shows("stopped; it can go on")
    expect(curves_of(visit).filter(has_text="Validation")).to_be_visible()
    visit.press("Go on")
    visit.page.locator(".badge.done:visible").wait_for(timeout=5 * WAIT)  # it is scored as well
    visit.press("Show the report")
    report = visit.page.frame_locator("iframe:visible")
    report.get_by_role("heading", name="Spam").first.wait_for()
    visit.speak("中文")
    report.get_by_role("heading", name="垃圾信息识别").first.wait_for()
    visit.speak("English")
    visit.page.get_by_label("Runs to compare").click()
    for place in range(2):
        visit.page.get_by_role("option").nth(place).click()
    expect(visit.page.locator(".train tbody tr:visible")).to_have_count(2)
    before = service.find("spam")
    visit.press("Use this adapter")
    visit.shows("Served from now on")
    assert service.find("spam") != before
    visit.tab("Spam")
    visit.sample()
    visit.page.locator(".mattered:visible").wait_for()
