"""The pictures of README, taken of the pages in a real Chromium: `python docs/pictures.py`

With `--all FOLDER`, every page in both languages, wide and narrow, light and dark, to be looked at.
It wants chromium on the PATH, a font with Chinese characters, and the backbone `smollm2`.
"""

from __future__ import annotations

import argparse
import csv
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from playwright.sync_api import sync_playwright

DOCS = Path(__file__).parent
WAIT = 600_000
"""Milliseconds: a picture of a slow answer is as good as one of a fast answer."""
WIDTHS = {"wide": 1280, "narrow": 400}
MAILS = (
    ("2026-01-05", "shop", "Your parcel was delivered to the neighbour. Have a nice day!"),
    ("2026-01-06", "mail", "WINNER!! Claim your free prize now, call 09061701461"),
    ("2026-01-09", "mail", "See you at lunch tomorrow, I will bring the book."),
    ("2026-01-14", "forum", "URGENT! You have won a 1 week FREE membership, txt CLAIM"),
    ("2026-01-15", "shop", "Thanks, the shoes fit. Could you send the invoice?"),
    ("2026-01-21", "forum", "Does anyone know when the library opens on Sundays?"),
    ("2026-01-22", "mail", "Get cash now! Reply YES to receive 500 pounds, guaranteed"),
    ("2026-01-28", "shop", "Sorry I missed your call, I was in a meeting."),
    ("2026-02-03", "mail", "Free entry in a weekly competition to win cup final tickets"),
    ("2026-02-04", "forum", "The new bakery at the corner is wonderful."),
    ("2026-02-11", "mail", "Mum says dinner is at seven."),
    ("2026-02-12", "shop", "Exclusive offer: win a brand new phone, call now"),
)


class Camera:
    """A page in the browser, and what it is asked to show."""

    def __init__(self, page: Any, files: Path) -> None:
        self.page = page
        self.files = files

    def open(self, address: str) -> None:
        """Begin anew: English, light, wide."""
        self.page.set_viewport_size({"width": 1280, "height": 900})
        self.page.goto(address)
        self.page.get_by_role("heading", name="Quintet", exact=True).wait_for()
        self.look()

    def press(self, role: str, name: str) -> None:
        """The one of that name that can be seen."""
        self.page.get_by_role(role, name=name, exact=True).locator("visible=true").first.click()

    def sample(self, place: int) -> None:
        """A click on a sample, from the first on."""
        self.page.locator("button.gallery-item:visible").nth(place).click()

    def shows(self, text: str) -> None:
        """Wait for it."""
        self.page.get_by_text(text).locator("visible=true").first.wait_for()

    def choose(self, label: str, option: str) -> None:
        """An option of a list."""
        self.page.get_by_label(label, exact=True).locator("visible=true").first.click()
        self.page.get_by_role("option", name=option).first.click()

    def look(self, language: str = "en", width: str = "wide", dark: bool = False) -> None:
        """The same page in another dress; what is on it stays."""
        self.page.set_viewport_size({"width": WIDTHS[width], "height": 900})
        self.page.locator("#language label").nth(int(language == "zh")).click()
        if self.page.evaluate("document.body.classList.contains('dark')") != dark:
            self.page.locator("#shade").click()
        self.page.mouse.move(0, 0)
        self.page.evaluate("document.activeElement.blur()")

    def take(self, path: Path, *, whole: bool = True) -> None:
        """A picture of the whole page, or of what stands in the window."""
        self.page.wait_for_timeout(500)  # transitions of colours
        self.page.screenshot(path=path, full_page=whole)


Scene = Callable[[Camera], None]


def generation(camera: Camera) -> None:
    """A text with its tokens opened."""
    camera.press("tab", "Generation")
    camera.sample(0)
    camera.shows("Finish: ")
    camera.page.get_by_text("How sure it was of each token").locator("visible=true").click()
    camera.page.locator(".token:visible").nth(3).wait_for()


def sentiment(camera: Camera) -> None:
    """Two answers side by side."""
    camera.press("tab", "Sentiment")
    camera.choose("Beside it", "bare")
    camera.sample(1)
    camera.page.locator(".mattered:visible").nth(1).wait_for()


def spam(camera: Camera) -> None:
    """The threshold on the bar, and the words that mattered."""
    camera.press("tab", "Spam")
    camera.sample(1)
    camera.page.locator(".mattered:visible").wait_for()


def translation(camera: Camera) -> None:
    """A direction told from the script."""
    camera.press("tab", "Translation")
    camera.sample(0)
    camera.shows("Finish: ")


def qa(camera: Camera) -> None:
    """An answer marked in its passage."""
    camera.press("tab", "Questions and answers")
    camera.sample(0)
    camera.page.locator("mark:visible").wait_for()


def chat(camera: Camera) -> None:
    """The same task without a passage."""
    camera.press("tab", "Questions and answers")
    camera.press("tab", "Chat")
    camera.sample(0)
    camera.shows("Finish: ")


def file(camera: Camera) -> None:
    """A scored table with dates and sources."""
    path = camera.files / "messages.csv"
    with path.open("w", newline="", encoding="utf-8") as rows:
        csv.writer(rows).writerows([("date", "source", "text"), *MAILS])
    camera.press("tab", "A file")
    camera.choose("What to do with each row", "Spam")
    camera.page.locator("input[type=file]").first.set_input_files(path)
    camera.shows("columns date, source, text")
    camera.press("button", "Score the file")
    camera.page.locator(".summary figure").nth(4).wait_for()


def feedback(camera: Camera) -> None:
    """Marks of two tasks, one of them with a better answer."""
    spam(camera)
    camera.press("button", "✓ Right")
    camera.shows("Stored: see Feedback.")
    translation(camera)
    camera.press("button", "✗ Wrong")
    better = camera.page.get_by_label("A better answer").locator("visible=true")
    better.fill("我是一名学生。")
    camera.press("button", "Save")
    camera.shows("Stored: see Feedback.")
    camera.press("tab", "Feedback")
    camera.page.locator(".feedback tbody tr:visible").nth(1).wait_for()


def train(camera: Camera) -> None:
    """A run that is done, beside another one."""
    camera.press("tab", "Train")
    camera.choose("Task", "Spam")
    camera.page.locator(".chart svg:visible").nth(1).wait_for()
    camera.page.get_by_label("Runs to compare").click()
    for place in range(2):
        camera.page.get_by_role("option").nth(place).click()
    camera.page.locator(".train tbody tr:visible").nth(1).wait_for()


def inside(camera: Camera) -> None:
    """Attention, the lens and the worked example."""
    camera.press("tab", "See inside")
    camera.press("button", "Look inside")
    camera.page.locator(".lens table:visible").wait_for()


SCENES: dict[str, Scene] = {
    scene.__name__: scene
    for scene in (
        generation, sentiment, spam, translation, qa, chat, file, feedback, train, inside
    )
}  # fmt: skip


Pictures = dict[str, dict[str, Any]]
"""Name of a picture → how its page is dressed."""

README: dict[str, Pictures] = {
    "sentiment": {"demo": {}},
    "generation": {"demo-generation": {"dark": True}},
    "file": {"demo-file": {}},
    "spam": {"demo-zh": {"language": "zh", "width": "narrow", "dark": True}},
    "feedback": {"feedback": {}},
    "train": {"train": {}},
    "inside": {"inside": {}},
}
"""What README shows, by scene."""


def every_dress(scene: str) -> Pictures:
    """A scene in both languages, wide and narrow, light and dark."""
    return {
        f"{scene}-{language}-{width}-{shade}": dict(
            language=language, width=width, dark=shade == "dark"
        )
        for language, width, shade in product(("en", "zh"), WIDTHS, ("light", "dark"))
    }


def take_all(camera: Camera, address: str, folder: Path, wanted: dict[str, Pictures]) -> None:
    """Play each scene once, and photograph it in every dress that is wanted."""
    folder.mkdir(parents=True, exist_ok=True)
    for scene, pictures in wanted.items():
        camera.open(address)
        SCENES[scene](camera)
        for name, dress in pictures.items():
            camera.look(**dress)
            camera.take(folder / f"{name}.png")
        sys.stderr.write(f"{scene}\n")


def trained(folder: Path) -> None:
    """Two short trainings that learn something, so that there are runs to show."""
    for epochs in ("6", "10"):
        subprocess.run(
            [sys.executable, "-m", "quintet", "finetune", "spam", "--backbone", "mini",
             "--num-train-epochs", epochs, "--logging-steps", "1"],
            cwd=folder, check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip


def _wait(port: int) -> None:
    """Until the pages are open."""
    for _ in range(600):
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        time.sleep(1)


@contextmanager
def served(folder: Path, port: int) -> Iterator[str]:
    """The pages as `quintet demo` serves them, from a folder of their own."""
    command = [sys.executable, "-m", "quintet", "demo", "--no-browser", "--port", str(port)]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    try:
        _wait(port)
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait()


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", type=Path, metavar="FOLDER", help="every page in every dress")
    parser.add_argument("--only", nargs="*", choices=SCENES, default=list(SCENES))
    parser.add_argument("--address", help="pages that are open already")
    parser.add_argument("--port", type=int, default=7899)
    given = parser.parse_args()
    with TemporaryDirectory() as folder:
        work = Path(folder)
        if given.address:
            photograph(given, given.address, work)
            return
        if "train" in given.only:
            trained(work)
        with served(work, given.port) as address:
            photograph(given, address, work)


def photograph(given: argparse.Namespace, address: str, work: Path) -> None:
    """All pictures that were asked for."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        camera = Camera(browser.new_page(locale="en-GB"), work)
        camera.page.set_default_timeout(WAIT)
        pictures = {name: every_dress(name) for name in SCENES} if given.all else README
        wanted = {name: found for name, found in pictures.items() if name in given.only}
        take_all(camera, address, given.all or DOCS, wanted)
        browser.close()


if __name__ == "__main__":
    main()
