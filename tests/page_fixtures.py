"""A real tiny service with six tasks, and its pages in a real browser."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import page_audit
import pytest
import torch

import apps
from core import backbone as backbones
from core import store
from core.adapters import registry
from core.adapters.configuration import configuration_hash
from core.adapters.lora import AdapterStack
from core.adapters.passport import PASSPORT, OperatingPoint, Passport, weights_hash
from core.service import Service
from demos.words import SHADE

CHROMIUM = shutil.which("chromium")
BACKBONE = "quintet-nano"
WAIT = 60_000
"""Milliseconds; a machine that is busy with other things is slow."""
UPLOADED = "Method not implemented."
"""What gradio's own script says after every file that was sent."""
METRICS = {
    "classification": {"accuracy": 0.9, "macro_f1": 0.905, "mcc": 0.8},
    "translation": {"chrf_en_zh": 12.3, "chrf_zh_en": 18.9},
    "squad": {"f1": 61.2},
    "completion": {"bits_per_byte": 1.71},
}
CARD = """---
license: apache-2.0
---

# Quintet: <script>window.hacked=1</script>

**On 72 scored rows, 'adapter' reached mcc 0.800 (0.701 to 0.900): clearly better than the best trivial \
baseline, 'TF-IDF' at 0.267 (p ≤ 0.001).**

| Entry | MCC |
|---|---:|
| **▸ adapter** | 0.800 |
"""
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


def install(stack: AdapterStack, name: str, fingerprint: str) -> Path:
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
    point = OperatingPoint(
        label="spam", threshold=0.7, fitted_on=400, max_false_positive_rate=0.005
    )
    passport = Passport(
        task=name, backbone=BACKBONE, fingerprint=fingerprint, prompt_hash=task.prompt_hash,
        weights_hash=weights_hash(folder), configuration_hash=configuration_hash(folder),
        data_hash="", data="samples", metrics=metrics, rows=72, seed=0, versions={},
        baseline={key: value / 3 for key, value in metrics.items()}, created="2026-01-01",
        operating_point=point if name == "spam" else None,
    )  # fmt: skip
    store.write_json(folder / PASSPORT, passport.sealed().model_dump(mode="json"))
    return folder


def tiny_service(tokenizer: Any, kept: Path | None = None) -> Service:
    """Six tasks; of spam a version that does not fit, and one that has a card; sentiment has a report.

    `kept`: a folder for the backbone, for commands in processes of their own.
    """
    backbone = backbones.create("nano", tokenizer, seed=0)
    if kept is not None:
        backbones.save(backbone, kept)
    stack = AdapterStack(backbone)
    install(stack, "spam", "another backbone")
    for name in apps.names():
        folder = install(stack, name, backbone.fingerprint)
        if name in ("spam", "sentiment"):
            store.write_text(folder / "README.md", CARD)
        if name == "sentiment":
            store.write_text(folder / registry.REPORT, "<h1>Its report</h1>")
            store.write_text(folder / registry.REPORT_ZH, "<h1>它的报告</h1>")
    return Service(backbone, {name: apps.load(name) for name in apps.names()})


@contextmanager
def pages_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home of adapters, and a folder with a sixth task."""
    (folder := tmp_path_factory.mktemp("apps")).joinpath("urgency.py").write_text(SIXTH)
    home: Path = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QUINTET_APPS", str(folder))
        patch.setenv("QUINTET_HOME", str(home))
        yield home


@dataclass
class Visit:
    """A page in the browser, everything it asked the network for, and what it complained of."""

    page: Any
    address: str
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def follow(self) -> None:
        """Keep book of requests, of answers that are errors, and of the console."""
        self.page.set_default_timeout(WAIT)
        self.page.on("request", lambda sent: self.asked.append(sent.url))
        self.page.on(
            "response",
            lambda came: came.status >= 400 and self.complaints.append(f"{came.status} {came.url}"),
        )
        self.page.on(
            "console",
            lambda said: (
                said.type in ("error", "warning")
                and said.text != UPLOADED
                and self.complaints.append(said.text)
            ),
        )
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def open(self, title: str, *, anew: bool = False) -> None:
        """Go to a tab in English; the page is loaded once, and again where a test needs it untouched."""
        if anew or self.page.url != self.address:
            before = len(self.complaints)
            if self.page.url == self.address:
                self.page.evaluate("localStorage.clear()")
            self.page.goto("about:blank")
            del self.complaints[before:]  # gradio's script tells of streams that end with the page
            self.page.goto(self.address)
            self.page.get_by_role("heading", name="Quintet", exact=True).wait_for()
        self.speak("English")
        self.tab(title)

    def close_the_browser(self) -> None:
        """All of its windows and what it kept; a new one opens."""
        browser, size = self.page.context.browser, self.page.viewport_size
        self.page.context.close()
        self.page = browser.new_context(viewport=size, locale="en-GB").new_page()
        self.follow()

    def each_dress(self) -> Iterator[str]:
        """The page in both languages, light and dark; at the end English and light again."""
        for language, name in (("中文", "zh"), ("English", "en")):
            self.speak(language)
            for shade in ("dark", "light"):
                self.page.locator("#shade").click()
                self.page.wait_for_function(
                    "dark => document.body.classList.contains('dark') === dark", arg=shade == "dark"
                )
                yield f"{name} {shade}"

    def must_be_readable(self) -> None:
        """Names of controls, contrast of texts and the edge of a telephone, in each dress."""
        still = (
            "*, *::before, *::after { transition: none !important; animation: none !important; }"
        )
        self.page.add_style_tag(content=still)
        with suppress(AssertionError):  # names are given a moment after a part is drawn
            self.waits(lambda: not page_audit.nameless(self.page))
        found = [f"no name: {one}" for one in page_audit.nameless(self.page)]
        for dress in self.each_dress():
            found += [f"{dress}, faint: {one}" for one in page_audit.faint(self.page)]
            if dress.endswith("dark"):
                continue  # as wide as when it is light
            self.page.set_viewport_size({"width": 400, "height": 800})
            found += [f"{dress}, out: {one}" for one in page_audit.sticking_out(self.page)]
            self.page.set_viewport_size({"width": 1280, "height": 900})
        assert not found, "\n".join(found)

    def tab(self, title: str) -> None:
        self.page.get_by_role("tab", name=title, exact=True).locator("visible=true").click()

    def speak(self, language: str) -> None:
        """Choose it, and wait until the page has its words."""
        from playwright.sync_api import expect

        self.page.locator("#language label", has_text=language).click()
        shade = SHADE.zh if language == "中文" else SHADE.en
        expect(self.page.locator("#shade")).to_have_text(shade, timeout=WAIT)

    def sample(self, place: int = 0) -> None:
        self.page.locator("button.gallery-item:visible").nth(place).click()

    def press(self, button: str) -> None:
        self.page.get_by_role("button", name=button, exact=True).locator("visible=true").click()

    def box(self, label: str) -> Any:
        """The text box; gradio's own label names the copy button inside of it."""
        named = self.page.locator("label:visible", has=self.page.get_by_text(label, exact=True))
        return named.locator("textarea, input").first

    def shows(self, text: str) -> None:
        self.page.get_by_text(text).locator("visible=true").first.wait_for()

    def waits(self, until: Callable[[], bool]) -> None:
        """For something that the page does not show."""
        end = time.monotonic() + WAIT / 1000
        while not until():
            assert time.monotonic() < end
            self.page.wait_for_timeout(20)

    def answers(self, text: str) -> None:
        from playwright.sync_api import expect

        expect(self.box("Answer")).to_have_value(text, timeout=WAIT)

    def outside(self) -> set[str]:
        """What was asked of other machines."""
        return {url for url in self.asked if urlsplit(url).hostname not in ("127.0.0.1", None)}


@contextmanager
def browsing(address: str, **options: Any) -> Iterator[Visit]:
    """A visit that must leave the machine alone and the console clean."""
    if CHROMIUM is None:
        pytest.skip("There is no Chromium on the PATH.")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900}, locale="en-GB", **options)
        visit = Visit(page, address)
        visit.follow()
        yield visit
        browser.close()
    assert visit.asked
    assert not visit.outside(), visit.outside()
    assert not visit.complaints, visit.complaints
