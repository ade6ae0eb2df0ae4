"""Errors are raised for real, and read in Chinese: where one is worded anew, its Chinese must follow."""

from __future__ import annotations

import re
import shutil
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from page_fixtures import install, tiny_service

import apps
from core.adapters import registry
from core.adapters.lora import AdapterStack
from core.application import Application
from core.engine.sampling import Sample
from core.engine.scheduler import Limits
from core.errors import QuintetError
from core.feedback.database import URL, Feedback
from core.feedback.entries import entries_of
from core.inspection.look import look
from core.inspection.worked_example import self_attention
from core.service import Service
from demos import problems
from demos.files import tables
from demos.files.scoring import Job, Scoring
from demos.services import Services
from demos.tasks import controls, options
from demos.tasks.asking import named
from demos.tasks.fields import checked
from demos.train import jobs
from demos.train.form import Wanted

CHINESE = re.compile("[\u4e00-\u9fff]")
GREEDY = ("greedy", 1.0, 1.0, 0, 1.0, 0)


class Place(NamedTuple):
    """Where errors are provoked."""

    service: Service
    folder: Path

    def application(self, name: str = "sentiment") -> Application[Any]:
        return self.service.application(name)

    def ask(self, **how: Any) -> None:
        """The page's way: the input checked, then submitted."""
        given = checked(self.application(), {"text": how.pop("text", "Hello")})
        self.application().submit(given, **how).result()

    def file(self, name: str, content: bytes) -> Path:
        (path := self.folder / name).write_bytes(content)
        return path


@pytest.fixture(scope="module")
def service(tmp_path_factory, tokenizer):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QUINTET_HOME", str(tmp_path_factory.mktemp("home")))
        yield tiny_service(tokenizer)


@pytest.fixture
def place(service, tmp_path) -> Place:
    return Place(service, tmp_path)


@pytest.fixture(autouse=True)
def own_home() -> None:
    """The home of the whole file, not one of each test."""


def scored(_: Place, path: Path, **columns: str) -> None:
    """As the page of files scores it."""
    scoring = Scoring(Job(source=path, task="spam", backbone="mini", columns=columns))
    try:
        assert scoring.wait(120)
        scoring.result()
    finally:
        scoring.cancel()


def overloaded(place: Place) -> None:
    """More than may wait; all are taken back."""
    engine = place.service.engine
    request = place.application().request(place.application().input("Hello"))
    handles = []
    with engine.exclusive(None):
        try:
            for _ in range(Limits().queue + Limits().rows + 1):
                handles.append(engine.submit(request))
        finally:
            for handle in handles:
                handle.cancel()


def altered(place: Place) -> None:
    """Weights of an installed adapter that somebody changed."""
    engine = place.service.engine
    folder = install(AdapterStack(engine.backbone), "spam", engine.backbone.fingerprint)
    path = folder / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes() + b" ")
    try:
        place.service.application(f"spam@{folder.name}")
    finally:
        shutil.rmtree(folder)


def unreachable(place: Place) -> None:
    """A database that is not there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(URL, f"sqlite:///{place.folder}/no/such/feedback.db")
        Feedback().count()


def rows(*texts: str) -> bytes:
    return "\n".join(texts).encode()


PROVOKED: dict[str, Callable[[Place], object]] = {
    "empty": lambda place: place.ask(text=" "),
    "too long for a page": lambda place: place.ask(text="a" * 50_001),
    "too long for the context": lambda place: place.application("qa").submit(
        place.application("qa").input(question="why " * 5000)
    ),
    "half a character": lambda place: place.ask(text="\ud800"),
    "no text": lambda place: checked(place.application(), {"text": 5}),
    "answer too long": lambda place: place.ask(max_new_tokens=10**6),
    "seed": lambda _: Sample(seed=-1),
    "temperature": lambda _: Sample(temperature=1000),
    "stops": lambda _: controls.chosen((*GREEDY, 9, "a\nb\nc\nd\ne")),
    "seed alone": lambda _: options.read({"seed": 1}).writing,
    "unknown option": lambda _: options.read({"sed": 1}),
    "unknown adapter": lambda place: named(place.service, "spam", "spam@99"),
    "unknown version": lambda place: place.service.application("spam@99"),
    "no adapter": lambda _: registry.find("translation", "nothing"),
    "another backbone's": lambda place: place.service.application("spam@1"),
    "altered": altered,
    "nothing to take back": lambda _: registry.rollback("spam", "nothing"),
    "unknown backbone": lambda place: Services(place.service).of("nothing"),
    "queue full": overloaded,
    "kind of file": lambda place: tables.head(place.file("a.pdf", b"%PDF")),
    "no xlsx": lambda place: tables.head(place.file("a.xlsx", b"nothing")),
    "no parquet": lambda place: tables.head(place.file("a.parquet", b"nothing")),
    "no jsonl": lambda place: tables.head(place.file("a.jsonl", b"{nothing")),
    "no rows": lambda place: scored(place, place.file("a.csv", rows("text"))),
    "twice a column": lambda place: scored(place, place.file("b.csv", rows("text,text", "a,b"))),
    "taken column": lambda place: scored(place, place.file("c.csv", rows("text,prediction", "a,b"))),
    "no such column": lambda place: scored(
        place, place.file("d.csv", rows("text", "a")), text="nothing"
    ),
    "no such label": lambda place: entries_of(
        apps.load("spam"), apps.load("spam").samples[0], "ham", right=False, correction="eggs",
        backbone="b", adapter="",
    ),
    "no database": unreachable,
    "option of the form": lambda _: form("--output x"),
    "no option": lambda _: form("x"),
    "open quote": lambda _: form("--x 'y"),
    "no job": lambda _: jobs.find("nothing"),
    "one token": lambda place: look(place.service.engine, None, "a", most=1),
    "too many numbers": lambda _: self_attention(()),
}  # fmt: skip


def form(more: str) -> list[str]:
    """The command of the page Train."""
    return Wanted(
        task="spam", backbone="mini", data="", epochs=1, limit=0, from_base=False, more=more
    ).arguments()


@pytest.mark.parametrize("name", PROVOKED)
def test_what_a_reader_may_meet_is_told_in_chinese(place, name):
    with pytest.raises(QuintetError) as told:
        PROVOKED[name](place)
    said = problems.said(str(told.value))
    assert said.en == str(told.value)
    assert CHINESE.search(said.zh), said
    assert "{" not in said.zh


def test_a_guess_and_an_unknown_sentence_are_kept():
    assert problems.said("No backbone 'x' here; known: a. Did you mean 'a'?").zh.endswith(
        "是否指 'a'？"
    )
    assert problems.said("Disk <full>") == ("Disk <full>", "Disk <full>")
    assert "&lt;full&gt;" in problems.problem("Disk <full>")


@pytest.mark.parametrize("known", problems._KNOWN, ids=lambda known: known.en[:40])
def test_both_languages_name_the_same_values(known):
    names = [{name for _, name, _, _ in string.Formatter().parse(text) if name} for text in known]
    assert names[1] <= names[0]
