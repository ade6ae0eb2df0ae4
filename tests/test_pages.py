"""The pages in a real browser: they answer, they say what went wrong, and they stay at home."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import torch

import apps
from core import backbone as backbones
from core import store
from core.adapters import registry
from core.adapters.configuration import configuration_hash
from core.adapters.lora import AdapterStack
from core.adapters.passport import PASSPORT, Passport, weights_hash
from core.engine.sampling import Sample
from core.errors import BadSetting
from core.service import Service
from demos import pages

CHROMIUM = shutil.which("chromium")
HOSTILE = "<img src=x onerror='window.hacked=1'><b>bold</b> ${1+1} {{value}} *a* [b](http://c.d)"
WATCH = """box => {
  window.seen = new Set();
  const look = () => { if (box.value) window.seen.add(box.value); requestAnimationFrame(look); };
  look();
}"""
METRICS = {
    "classification": {"accuracy": 0.9, "macro_f1": 0.905, "mcc": 0.8},
    "translation": {"chrf_en_zh": 12.3, "chrf_zh_en": 18.9},
    "squad": {"f1": 61.2},
    "completion": {"bits_per_byte": 1.71},
}
SIXTH = """
from typing import Literal
from core.task import Choice, Criterion, Input, Task

class Notice(Input):
    text: str
    channel: Literal["mail", "wall"] = "mail"
    copies: int = 1
    loud: bool = False

task = Task(title="Urgency", description="Is it <urgent>?", input=Notice,
    columns=(("text", "label"),), sources=(), read=lambda row: [],
    prompt=lambda notice: f"{notice.channel} {notice.copies} {notice.loud}: {notice.text}",
    answer=Choice(labels=("now", "later", "never")), metrics=("classification",),
    select_by=Criterion(metric="accuracy"), samples=(Notice(text="The roof leaks!", channel="wall", loud=True),))
"""


BACKBONE = "quintet-nano"


def install(stack: AdapterStack, name: str, fingerprint: str) -> None:
    """An adapter with random weights and a made-up score, as the next version."""
    task, seed = apps.load(name), torch.Generator().manual_seed(0)
    stack.create(name, seed=1)
    with torch.no_grad():
        for parameter in stack.parameters(name):
            parameter.copy_(torch.randn(parameter.shape, generator=seed) * 0.2)
    number = max(registry.versions(name, BACKBONE), default=0) + 1
    folder = registry.root() / BACKBONE / name / str(number)
    stack.save(name, folder)
    metrics = METRICS[task.metrics[0]]
    passport = Passport(
        task=name, backbone=BACKBONE, fingerprint=fingerprint, prompt_hash=task.prompt_hash,
        weights_hash=weights_hash(folder), configuration_hash=configuration_hash(folder),
        data_hash="", data="samples", metrics=metrics, rows=72, seed=0, versions={},
        baseline={key: value / 3 for key, value in metrics.items()}, created="2026-01-01",
    )  # fmt: skip
    store.write_json(folder / PASSPORT, passport.sealed().model_dump(mode="json"))


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Iterator[Path]:
    """Installed adapters, and a sixth task, while the tests of this file run."""
    (folder := tmp_path_factory.mktemp("apps")).joinpath("urgency.py").write_text(SIXTH)
    home: Path = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QUINTET_APPS", str(folder))
        patch.setenv("QUINTET_HOME", str(home))
        yield home


@pytest.fixture(scope="module")
def service(home, tokenizer) -> Service:
    """Six tasks; of spam a version that does not fit and one that does."""
    backbone = backbones.create("nano", tokenizer, seed=0)
    stack = AdapterStack(backbone)
    install(stack, "spam", "another backbone")
    for name in apps.names():
        install(stack, name, backbone.fingerprint)
    return Service(backbone, {name: apps.load(name) for name in apps.names()})


@pytest.fixture(scope="module")
def address(service) -> Iterator[str]:
    blocks = pages.build(service, [*service.tasks, "spam@1", "spam@7"])
    yield pages.start(blocks)
    blocks.close(verbose=False)


@dataclass
class Visit:
    """A page in the browser, and everything it asked the network for."""

    page: Any
    address: str
    asked: list[str] = field(default_factory=list)
    streams: set[Any] = field(default_factory=set)

    def open(self, title: str) -> None:
        self.page.goto(self.address)
        self.page.get_by_role("heading", name="Quintet").wait_for()
        self.page.get_by_role("tab", name=title, exact=True).click()

    def sample(self, place: int = 0) -> None:
        self.page.locator("button.gallery-item:visible").nth(place).click()

    def press(self, button: str) -> None:
        self.page.locator("button:visible", has_text=button).click()

    def box(self, label: str) -> Any:
        """The text box; gradio's own label names the copy button inside of it."""
        named = self.page.locator("label:visible", has=self.page.get_by_text(label, exact=True))
        return named.locator("textarea, input").first

    def follow(self) -> None:
        """Keep book of what the page asks for, and of the streams that are still open."""
        self.page.on("request", lambda sent: self.asked.append(sent.url))
        self.page.on("request", lambda sent: "queue/data" in sent.url and self.streams.add(sent))
        for end in ("requestfinished", "requestfailed"):
            self.page.on(end, lambda sent: self.streams.discard(sent))

    def settle(self) -> None:
        """Until every answer has come to its end."""
        for _ in range(500):
            if not self.streams:
                return
            self.page.wait_for_timeout(20)
        raise TimeoutError("The page still waits for an answer.")

    def shows(self, text: str) -> None:
        self.page.locator(":visible", has_text=text).last.wait_for(timeout=30_000)

    def answers(self, text: str) -> None:
        from playwright.sync_api import expect

        expect(self.box("Answer")).to_have_value(text, timeout=30_000)


@pytest.fixture(scope="module")
def visit(address) -> Iterator[Visit]:
    if CHROMIUM is None:
        pytest.skip("There is no Chromium on the PATH.")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        visit = Visit(browser.new_page(viewport={"width": 1280, "height": 900}), address)
        visit.follow()
        yield visit
        outside = {url for url in visit.asked if urlsplit(url).hostname not in ("127.0.0.1", None)}
        browser.close()
    assert not outside
    assert visit.asked


@pytest.mark.parametrize(("title", "label"), [("Sentiment", "positive"), ("Spam", "ham")])
def test_a_closed_answer_shows_every_label_with_its_probability(visit, title, label):
    visit.open(title)
    visit.sample()
    bars = visit.page.locator("[data-testid$='confidence-set']:visible")
    bars.nth(1).wait_for()
    assert bars.count() == 2
    assert any(label in text and "%" in text for text in bars.all_inner_texts())


def test_a_text_grows_while_it_is_written(visit, service):
    visit.open("Translation")
    visit.box("Answer").evaluate(WATCH)
    visit.sample()
    task = service.application("translation")
    final = next(task.predict(task.task.samples[:1])).text
    visit.answers(final)
    seen = visit.page.evaluate("[...window.seen]")
    assert len(seen) > 1
    assert all(final.startswith(text) for text in seen)


def test_a_seed_is_taken_and_a_wrong_one_refused(visit, service):
    visit.open("Generation")
    visit.press("How it writes")
    visit.page.locator("label:visible", has_text="Sampled").click()
    visit.box("Seed").fill("-1")
    visit.press("Submit")
    visit.shows("seed is -1")
    visit.box("Seed").fill("3")
    visit.press("Submit")
    task = service.application("generation")
    visit.answers(next(task.predict([task.input()], sampling=Sample(seed=3))).text)


def test_an_answer_is_marked_in_its_passage(visit, service):
    visit.open("Questions and answers")
    visit.sample()
    asked = service.task("qa").samples[0]
    found = next(service.application("qa").predict([asked]))
    visit.answers(found.text)
    assert visit.page.locator("mark:visible").inner_text() == found.text
    assert visit.page.locator(".passage p:visible").inner_text() == asked.passage


def test_a_long_passage_is_said_to_be_cut(visit):
    visit.open("Questions and answers")
    visit.box("Question").fill("When?")
    visit.box("Passage").fill("The old mill by the river was built in 1820. " * 100)
    visit.press("Submit")
    visit.shows("characters were not read")
    assert visit.page.locator(".unread:visible").inner_text()


def test_a_conversation_goes_on_and_can_be_cleared(visit):
    visit.open("Questions and answers")
    for words in ("Name a colour.", "And another?"):
        visit.box("Question").fill(words)
        visit.box("Question").press("Enter")
        visit.page.locator(".user.message:visible", has_text=words).wait_for()
        visit.settle()
        assert not visit.box("Question").input_value()
    assert visit.page.locator(".user.message:visible").all_inner_texts() == [
        "Name a colour.",
        "And another?",
    ]
    visit.page.get_by_label("Clear").click()
    visit.shows("Nothing has been said yet.")


@pytest.mark.parametrize("passage", ["", HOSTILE])
def test_hostile_text_is_shown_and_not_run(visit, passage):
    visit.open("Questions and answers")
    before = len(visit.asked)
    visit.box("Question").fill(HOSTILE)
    visit.box("Passage").fill(passage)
    visit.press("Submit")
    place = ".passage p:visible" if passage else ".user.message:visible"
    visit.page.locator(place).wait_for()
    assert visit.page.locator(place).inner_text().strip() == HOSTILE
    assert visit.page.evaluate("window.hacked") is None
    assert not any(url.endswith("/x") for url in visit.asked[before:])


@pytest.mark.parametrize(
    ("title", "field"), [("Sentiment", "text"), ("Questions and answers", "question")]
)
def test_a_refusal_is_told_and_changes_nothing(visit, title, field):
    visit.open(title)
    visit.press("Submit")
    visit.shows(f"'{field}' is empty.")
    assert visit.page.locator(".user.message:visible").count() == 0


def test_a_sixth_task_gets_its_page_from_its_file(visit):
    visit.open("Urgency")
    visit.shows("Is it <urgent>?")
    visit.sample()
    visit.page.locator("[data-testid$='confidence-set']:visible").nth(2).wait_for()
    assert visit.page.locator("input[type=radio]:visible:checked").get_attribute("value") == "wall"
    assert visit.page.locator("input[type=checkbox]:visible").is_checked()


@pytest.mark.parametrize(
    ("title", "sentence"),
    [
        ("Spam", "Adapter spam@2 · mcc 0.800 (baseline 0.267) on 72 rows"),
        ("Translation", "chrf zh en 18.90 (baseline 6.30) on 72 rows"),
        ("Generation", "bits per byte 1.71 (baseline 0.57)"),
        ("Spam 1", "does not fit: backbone or tokenizer (another backbone trained"),
        ("Spam 7", "No version '7' of spam on quintet-nano; installed versions: 1, 2."),
    ],
)
def test_a_page_names_its_adapter_and_score_or_why_there_is_none(visit, title, sentence):
    visit.open(title)
    visit.shows(sentence)


@pytest.mark.parametrize("name", ["Sentiment", "Questions and answers"])
def test_nothing_is_wider_than_a_telephone(visit, name):
    visit.open(name)
    visit.page.set_viewport_size({"width": 400, "height": 800})
    wide = visit.page.evaluate("document.documentElement.scrollWidth")
    visit.page.set_viewport_size({"width": 1280, "height": 900})
    assert wide <= 400


@pytest.fixture(scope="module")
def client(address) -> Any:
    from gradio_client import Client

    return Client(address, verbose=False)


def test_programs_get_the_same_answer_under_the_name_of_the_task(client, service):
    asked = {"question": "And now?", "history": [{"role": "user", "content": "Hi"}]}
    found = service.application("qa")(**asked)
    assert client.predict(**asked, api_name="/qa") == found.model_dump()
    names = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert set(names) == {f"/{name}" for name in service.tasks}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a" * 50_001, "50,001 characters; at most 50,000"),
        (None, "should be a valid string"),
        (5, "should be a valid string"),
        (" ", "is empty"),
    ],
)
def test_the_server_checks_what_programs_send(client, text, message):
    with pytest.raises(Exception, match=message):
        client.predict(text=text, api_name="/sentiment")


def test_one_task_has_a_page_without_tabs(service):
    kinds = [part["type"] for part in pages.build(service, ["spam"]).config["components"]]
    assert "label" in kinds
    assert "tabs" not in kinds


def test_no_task_and_a_taken_port_are_refused(service, address):
    with pytest.raises(BadSetting, match="No task to show; known: generation"):
        pages.build(service, [])
    blocks = pages.build(service, ["spam"])
    with pytest.raises(BadSetting, match="Cannot serve on"):
        pages.start(blocks, port=urlsplit(address).port)
