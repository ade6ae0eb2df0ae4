"""The pages of tasks in a real browser: they answer, the newest request wins, and they stay at home."""

from __future__ import annotations

from collections.abc import Iterator

import page_audit
import pytest
from page_fixtures import WAIT, Visit, browsing, pages_home, tiny_service

from core.engine.sampling import Sample
from core.service import Service
from demos import pages

HOSTILE = "<img src=x onerror='window.hacked=1'><b>bold</b> ${1+1} {{value}} *a* [b](http://c.d)"
WATCH = """box => {
  window.seen = new Set();
  const look = () => { if (box.value) window.seen.add(box.value); requestAnimationFrame(look); };
  look();
}"""


@pytest.fixture(autouse=True)
def own_home() -> None:
    """The home of the whole file, not one of each test."""


@pytest.fixture(scope="module")
def service(tmp_path_factory, tokenizer) -> Iterator[Service]:
    with pages_home(tmp_path_factory):
        yield tiny_service(tokenizer)


@pytest.fixture(scope="module")
def address(service) -> Iterator[str]:
    blocks = pages.build(service, [*service.tasks, "spam@1", "spam@7"])
    yield pages.start(blocks)
    blocks.close(verbose=False)


@pytest.fixture(scope="module")
def visit(address) -> Iterator[Visit]:
    with browsing(address) as visit:
        yield visit


def test_a_closed_answer_shows_the_threshold_and_the_words_that_mattered(visit):
    visit.open("Spam")
    visit.sample()
    visit.page.locator(".mattered:visible").wait_for()
    assert visit.page.locator(".bar:visible").count() == 2
    mark = visit.page.locator(".threshold:visible")
    assert mark.count() == 1
    assert mark.get_attribute("style") == "left:70.00%"
    visit.shows("From 70.0% on, the answer is spam. Fitted on 400 rows")
    assert (
        visit.page.locator(".mattered p:visible").nth(1).inner_text()
        == visit.box("Message").input_value()
    )


def test_a_text_grows_while_it_is_written(visit, service):
    visit.open("Translation")
    visit.box("Answer").evaluate(WATCH)
    visit.sample()
    task = service.application("translation")
    final = next(task.predict(task.task.samples[:1])).text
    visit.answers(final)
    visit.shows("English → Chinese, told from the script.")
    visit.shows("Finish: ")
    seen = visit.page.evaluate("[...window.seen]")
    assert len(seen) > 1
    assert all(final.startswith(text) for text in seen)


def test_the_newest_request_wins_and_the_others_are_cancelled(visit, service, monkeypatch):
    from playwright.sync_api import expect

    task, handles, submit = service.application("translation"), [], service.engine.submit
    newest = next(task.predict([task.input(text="A new town.")])).text
    monkeypatch.setattr(
        service.engine, "submit", lambda *given: handles.append(submit(*given)) or handles[-1]
    )
    visit.open("Translation")
    with service.engine.exclusive(None):  # none can be over before the next one is asked
        visit.sample(0)
        visit.sample(1)
        visit.sample(2)
        expect(visit.box("Text")).to_have_value(task.task.samples[2].text, timeout=WAIT)
        visit.box("Text").fill("A new town.")
        visit.press("Submit")
        visit.waits(lambda: len(handles) == 4)
    visit.answers(newest)
    visit.shows("Finish: ")
    assert visit.box("Text").input_value() == "A new town."
    assert visit.page.get_by_text("Error", exact=True).count() == 0
    *earlier, last = (handle.result(WAIT / 1000).finish for handle in handles)
    assert earlier == ["cancelled"] * 3 and last in ("stop", "length")


def test_a_seed_is_taken_and_refused_input_stands_beside_no_old_answer(visit, service):
    visit.open("Generation")
    visit.sample(2)
    visit.shows("Finish: ")
    visit.page.get_by_text("How it writes").locator("visible=true").click()
    visit.page.locator("label:visible", has_text="Sampled").click()
    visit.box("Seed").fill("-1")
    visit.press("Submit")
    visit.shows("seed is -1")
    assert visit.box("Answer").input_value() == ""
    visit.box("Seed").fill("3")
    visit.press("Submit")
    task = service.application("generation")
    visit.answers(next(task.predict(task.task.samples[2:3], sampling=Sample(seed=3))).text)


def test_an_answer_is_marked_in_its_passage_and_a_long_one_said_to_be_cut(visit, service):
    visit.open("Questions and answers")
    visit.sample()
    asked = service.task("qa").samples[0]
    found = next(service.application("qa").predict([asked]))
    visit.answers(found.text)
    assert visit.page.locator("mark:visible").inner_text() == found.text
    assert visit.page.locator(".passage p:visible").inner_text() == asked.passage
    visit.box("Passage").fill("The old mill by the river was built in 1820. " * 100)
    visit.press("Submit")
    visit.shows("characters were not read")
    assert visit.page.locator(".unread:visible").inner_text()


def test_a_conversation_goes_on_while_the_next_words_are_typed(visit):
    visit.open("Questions and answers")
    visit.tab("Chat")
    visit.box("Question").fill("Name a colour.")
    visit.box("Question").press("Enter")
    visit.box("Question").press_sequentially("And another?")
    visit.shows("Finish: ")
    assert visit.box("Question").input_value() == "And another?"
    visit.box("Question").press("Enter")
    visit.page.locator(".user.message:visible", has_text="And another?").wait_for()
    assert visit.page.locator(".user.message:visible").all_inner_texts() == [
        "Name a colour.",
        "And another?",
    ]
    visit.page.get_by_label("Clear").click()
    visit.shows("Nothing has been said yet.")


@pytest.mark.parametrize("passage", ["", HOSTILE])
def test_hostile_text_is_shown_and_not_run(visit, passage):
    visit.open("Questions and answers", anew=True)
    before = len(visit.asked)
    visit.tab("From a passage" if passage else "Chat")
    if passage:
        visit.box("Passage").fill(passage)
    visit.box("Question").fill(HOSTILE)
    visit.press("Submit")
    place = ".passage p:visible" if passage else ".user.message:visible"
    visit.page.locator(place).wait_for()
    assert visit.page.locator(place).inner_text().strip() == HOSTILE
    assert visit.page.evaluate("window.hacked") is None
    assert not any(url.endswith("/x") for url in visit.asked[before:])


def test_what_is_refused_is_told_and_its_words_come_back(visit):
    visit.open("Questions and answers", anew=True)
    visit.tab("Chat")
    visit.box("Question").fill(" ")
    visit.press("Submit")
    visit.shows("'question' is empty.")
    assert visit.page.locator(".user.message:visible").count() == 0
    assert visit.box("Question").input_value() == " "
    visit.speak("中文")
    visit.shows("“问题”为空，请先输入文字。")
    visit.speak("English")


def test_two_answers_stand_side_by_side(visit):
    from playwright.sync_api import expect

    visit.open("Sentiment")
    visit.page.get_by_label("Beside it").locator("visible=true").click()
    visit.page.get_by_role("option", name="bare").click()
    visit.sample()
    visit.page.locator(".bars:visible").nth(1).wait_for()
    assert visit.page.locator(".system:visible").all_inner_texts() == [
        "sentiment@1",
        "bare backbone",
    ]
    visit.speak("中文")
    beside = visit.page.get_by_label("并排对比").locator("visible=true")
    expect(beside).to_have_value("仅底座模型", timeout=WAIT)
    visit.speak("English")


def test_enter_asks_and_shift_enter_begins_a_line(visit):
    visit.open("Spam", anew=True)
    visit.box("Message").fill("Win a prize")
    visit.box("Message").press("Shift+Enter")
    visit.box("Message").press_sequentially("now")
    visit.box("Message").press("Enter")
    visit.page.locator(".mattered:visible").wait_for()
    assert visit.box("Message").input_value() == "Win a prize\nnow"


def test_the_keyboard_reaches_everything_in_its_order_and_shows_where_it_is(visit):
    visit.open("Spam", anew=True)
    visit.page.get_by_role("heading", name="Quintet", exact=True).click()
    found = []
    while not found or not found[-1][0].startswith("The same from a program"):
        visit.page.keyboard.press("Tab")
        found.append(page_audit.focused(visit.page))
        assert len(found) < 60, found
    assert all(seen for _, seen in found), found
    places = [
        next(place for place, (name, _) in enumerate(found) if name.startswith(wanted))
        for wanted in ("English", "Light / dark", "Backbone", "Spam", "Answered by", "Beside it",
                       "better than TF-IDF", "Message", "Submit", "✓ Right")
    ]  # fmt: skip
    assert places == sorted(places), found


def test_the_language_is_switched_and_nothing_is_lost(visit):
    visit.open("Spam")
    visit.sample(1)
    visit.page.locator(".mattered:visible").wait_for()
    typed = visit.box("Message").input_value()
    visit.speak("中文")
    visit.shows("起作用的词")
    visit.page.get_by_role("button", name="提交").locator("visible=true").wait_for()
    assert visit.box("信息").input_value() == typed
    visit.tab("翻译")
    visit.shows("中英互译。")
    visit.page.get_by_role("tab", name="整份文件").wait_for()
    assert visit.page.locator("html").get_attribute("lang") == "zh"
    visit.speak("English")
    visit.shows("Translates between English and Chinese.")


def test_a_sixth_task_gets_its_page_from_its_file(visit):
    visit.open("Urgency")
    visit.shows("Is it <urgent>?")
    visit.sample()
    visit.page.locator(".bar:visible").nth(2).wait_for()
    assert visit.page.locator("input[type=checkbox]:visible").is_checked()


@pytest.mark.parametrize(
    ("title", "sentence"),
    [
        ("Spam", "better than TF-IDF, p ≤ 0.001"),
        ("Translation", "Scores on 72 rows"),
        ("Spam 1", "does not fit: backbone or tokenizer (another backbone trained"),
        ("Spam 7", "No version '7' of spam on quintet-nano; installed versions: 1, 2."),
    ],
)
def test_a_page_gives_the_verdict_on_its_adapter_or_says_why_there_is_none(visit, title, sentence):
    visit.open(title)
    visit.shows(sentence)


def test_the_card_opens_inside_the_page_where_there_is_no_report(visit):
    visit.open("Spam")
    visit.page.locator("details.report summary:visible").click()
    visit.page.locator(".card table:visible").wait_for()
    assert visit.page.evaluate("window.hacked") is None


def test_the_report_opens_inside_the_page_in_the_language_of_its_reader(visit):
    visit.open("Sentiment")
    report = visit.page.locator("details.report:visible")
    report.locator("summary").click()
    for language, heading in (("English", "Its report"), ("中文", "它的报告")):
        visit.speak(language)
        frame = visit.page.frame_locator("iframe.card:visible")
        frame.get_by_role("heading", name=heading).wait_for()
    visit.speak("English")


@pytest.mark.parametrize("title", ["Spam", "Generation", "Questions and answers", "A file"])
def test_everything_can_be_read_named_and_reached(visit, title):
    visit.open(title)
    if title != "A file":
        visit.sample()
        visit.shows("Finish: ")
    visit.must_be_readable()
    assert visit.page.locator("button[role=tab]:visible").count() >= 9
