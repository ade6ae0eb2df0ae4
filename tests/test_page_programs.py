"""The programs that a page lists: copied out of the browser, run as they are, the same answer."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from page_fixtures import WAIT, Visit, browsing, install, pages_home, tiny_service

from core.adapters.lora import AdapterStack
from core.service import Service
from demos import pages


@pytest.fixture(autouse=True)
def own_home() -> None:
    """The home of the whole file, not one of each test."""


@pytest.fixture(scope="module")
def service(tmp_path_factory, tokenizer) -> Iterator[Service]:
    with pages_home(tmp_path_factory):
        made = tiny_service(tokenizer)
        install(AdapterStack(made.engine.backbone), "translation", made.engine.backbone.fingerprint)
        yield made


@pytest.fixture(scope="module")
def visit(service) -> Iterator[Visit]:
    blocks = pages.build(service, list(service.tasks))
    with browsing(pages.start(blocks)) as visit:
        yield visit
    blocks.close(verbose=False)


def listed(visit: Visit) -> dict[str, str]:
    """The listings as their Copy buttons take them."""
    if not visit.page.locator(".listing:visible").count():
        visit.page.get_by_text("The same from a program").locator("visible=true").click()
    visit.page.locator(".listing:visible").first.wait_for()
    codes = visit.page.locator(".listing:visible pre").all_text_contents()
    return dict(zip(("curl", "Python", "command"), codes, strict=True))


def ran(visit: Visit) -> list[dict[str, Any]]:
    """What curl and Python are told, each in a process of its own."""
    found = listed(visit)
    curl, python = (
        subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
        for command in (["bash", "-c", found["curl"]], [sys.executable, "-c", found["Python"]])
    )
    assert not python.returncode, python.stderr
    return [json.loads(curl.stdout)["data"][0], ast.literal_eval(python.stdout)]


def answered(visit: Visit, text: str) -> None:
    """The page has written this, and is done."""
    visit.answers(text)
    visit.shows("Finish: ")
    one, other = ran(visit)
    assert one == other
    assert one["text"] == text


def wait_for_answer(visit: Visit) -> None:
    """Press Submit, and wait until all is written; the small print of before is taken away."""
    visit.page.evaluate("document.querySelectorAll('p[role=status]').forEach(one => one.remove())")
    visit.press("Submit")
    visit.shows("Finish: ")


def ask(visit: Visit) -> str:
    """The new answer."""
    wait_for_answer(visit)
    return str(visit.box("Answer").input_value())


def test_a_greedy_answer_is_given_again(visit, service):
    visit.open("Generation")
    visit.box("Text").fill('It\'s a "cold" $HOME\nin the `morning`, 早上')
    visit.press("Submit")
    visit.shows("Finish: ")
    answered(visit, visit.box("Answer").input_value())
    assert "options" in listed(visit)["Python"]  # the length stands in it


def test_settings_seed_stop_and_who_answers_travel_along(visit, service):
    visit.open("Generation", anew=True)
    visit.sample(2)
    visit.shows("Finish: ")
    greedy = visit.box("Answer").input_value()
    visit.page.get_by_text("How it writes").locator("visible=true").click()
    visit.page.locator("label:visible", has_text="Sampled").click()
    for label, value in (
        ("Temperature", "0.9"),
        ("Top k", "50"),
        ("Repetition penalty", "1.2"),
        ("Seed", "11"),
    ):
        visit.page.get_by_label(label).locator("visible=true").first.fill(value)
        visit.page.keyboard.press("Tab")
    drawn = ask(visit)
    assert drawn != greedy
    answered(visit, drawn)
    stop = re.findall("[A-Za-z]{2}", drawn)[1]
    visit.box("Stop at").fill(stop)
    cut = ask(visit)
    assert cut == drawn[: drawn.index(stop)]
    answered(visit, cut)
    visit.page.get_by_label("Answered by").locator("visible=true").click()
    visit.page.get_by_role("option", name="bare").first.click()
    visit.box("Stop at").fill("")
    bare = ask(visit)
    assert bare != drawn
    answered(visit, bare)
    visit.shows("The command line has no flag for")


def test_a_direction_and_another_version_travel_along(visit, service):
    visit.open("Translation")
    visit.box("Text").fill("OK?")
    visit.page.locator("label:visible", has_text="Chinese → English").click()
    visit.page.get_by_label("Answered by").locator("visible=true").click()
    visit.page.get_by_role("option", name="translation@1").first.click()
    text = ask(visit)
    answered(visit, text)
    found = service.application("translation@1")
    assert next(found.predict([found.input(text="OK?", direction="zh-en")])).text == text
    command = listed(visit)["command"]
    assert command.startswith("quintet predict translation@1 'OK?' --direction zh-en")


def test_a_conversation_and_a_label_are_asked_again(visit, service):
    visit.open("Questions and answers")
    visit.tab("Chat")
    for question in ("Name a colour.", "And another?"):
        visit.box("Question").fill(question)
        wait_for_answer(visit)
    one, other = ran(visit)
    assert one == other
    assert "Name a colour." in listed(visit)["curl"]
    assert one["text"] in visit.page.locator(".message:visible").last.inner_text()
    visit.open("Spam")
    visit.sample()
    visit.page.locator(".mattered:visible").wait_for(timeout=WAIT)
    one, other = ran(visit)
    assert one == other
    asked = service.task("spam").samples[0]
    expected = next(service.application("spam").predict([asked]))
    assert one["probabilities"] == pytest.approx(expected.probabilities)
