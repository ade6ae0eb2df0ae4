"""One operating point, obeyed on every path: called, streamed, in a batch, on the page, by the command."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import apps
from core import store
from core.adapters import registry
from core.adapters.configuration import configuration_hash
from core.adapters.passport import PASSPORT, OperatingPoint, Passport, weights_hash
from core.application import Application
from core.engine.engine import Engine
from core.service import Service
from core.task import Example
from demos.answers.view import Asked, Bars
from demos.door import gr
from demos.routes import route
from demos.services import Services
from demos.tasks.asking import Writing
from demos.tasks.newest import Newest
from finetune.evaluation.scoring import answer
from finetune.workflows import batch_prediction

TASK = apps.load("spam")
TEXT = "The mill by the river."


@pytest.fixture
def served(backbone) -> Application[Any]:
    """An adapter whose likeliest label its operating point never gives."""
    engine = Engine(backbone)
    folder = registry.root() / backbone.name / "spam" / "1"
    engine.adapters.create("made", {"r": 4, "init_lora_weights": False}, seed=3)
    engine.adapters.save("made", folder)
    likeliest = Application(TASK, engine, "made")(TEXT).text
    point = (
        OperatingPoint(label="spam", threshold=0.999999)
        if likeliest == "spam"
        else OperatingPoint(label="spam", threshold=0.000001)
    )
    passport = Passport(
        task="spam", backbone=backbone.name, fingerprint=backbone.fingerprint,
        tokenizer_hash=backbone.tokenizer_hash, prompt_hash=TASK.prompt_hash,
        weights_hash=weights_hash(folder), configuration_hash=configuration_hash(folder),
        data_hash="d", data="toy", metrics={"mcc": 0.5}, rows=9, seed=0, versions={},
        created="now", operating_point=point,
    )  # fmt: skip
    store.write_json(folder / PASSPORT, passport.sealed().model_dump(mode="json"))
    return Service(backbone, {"spam": TASK}).application("spam")


def likeliest(application: Application[Any]) -> str:
    shares = application(TEXT).probabilities
    return max(shares, key=lambda label: shares[label])


def _called(application, folder) -> str:
    return application(TEXT).text


def _streamed(application, folder) -> str:
    return list(application.stream(application.input(TEXT)))[-1]


def _in_a_batch(application, folder) -> str:
    return list(application.predict([application.input(text) for text in ("a", TEXT, "b")]))[1].text


def _scored(application, folder) -> str:
    example = Example(input=application.input(TEXT), answers=("ham",))
    return answer(application, [example]).predictions[0].text


def _in_a_file(application, folder) -> str:
    (folder / "in.jsonl").write_text(json.dumps({"text": TEXT}) + "\n")
    batch_prediction.predict_file(application, folder / "in.jsonl", folder / "out.jsonl")
    return json.loads((folder / "out.jsonl").read_text())["prediction"]


def _on_the_page(application, folder) -> str:
    asked = Asked(
        application=application, input=application.input(TEXT), writing=Writing(), turns=[], said=TEXT,
        turn=Newest().begin("a page"),
    )  # fmt: skip
    (drawn,) = list(Bars(gr.HTML()).show(asked))[-1]
    (said,) = re.findall(r'class="decided[^>]*>(?:<[^>]+>)*(\w+)', drawn)
    return said


def _by_the_route_of_the_page(application, folder) -> str:
    service = Service(application.engine.backbone, {"spam": TASK})
    return route(Services(service), "spam")(TEXT, {})["text"]


PATHS: tuple[Callable[[Any, Path], str], ...] = (
    _called, _streamed, _in_a_batch, _scored, _in_a_file, _on_the_page, _by_the_route_of_the_page,
)  # fmt: skip


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.__name__.strip("_"))
def test_every_path_obeys(served, tmp_path, path):
    assert path(served, tmp_path) != likeliest(served)


def test_the_command_obeys(served, monkeypatch, capsys):
    from commands import answering

    monkeypatch.setattr(
        answering, "open_service", lambda *_: type("S", (), {"application": lambda *_: served})()
    )
    import typer

    context = typer.Context(typer.main.get_command(_app(answering)))
    answering.predict(context, "spam", TEXT)
    assert capsys.readouterr().out.startswith(f"{served(TEXT).text} (")
    assert served(TEXT).text != likeliest(served)


def _app(answering):
    import typer

    app = typer.Typer()
    app.command()(answering.predict)
    return app
