"""A service takes newer adapters while the old ones answer, and refuses those without effect."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import apps
from core import store
from core.adapters import registry
from core.adapters.configuration import configuration_hash
from core.adapters.lora import AdapterStack
from core.adapters.passport import PASSPORT, Passport, weights_hash
from core.errors import Damaged
from core.service import Service

TASK = apps.load("generation")
TEXT = "The mill by the river."


def installed(backbone, version: int, *, size: float) -> Path:
    """An adapter whose weights are random and of some size."""
    stack = AdapterStack(backbone)
    stack.create("made", {"r": 4}, seed=version)
    source = torch.Generator().manual_seed(version)
    with torch.no_grad():
        for parameter in stack.parameters("made"):
            drawn = torch.randn(parameter.shape, generator=source)
            parameter.copy_(drawn * (size if parameter.shape[1] == 4 else 0.2))
    folder = registry.root() / backbone.name / TASK.name / str(version)
    stack.save("made", folder)
    stack.delete("made")
    passport = Passport(
        task=TASK.name, backbone=backbone.name, fingerprint=backbone.fingerprint,
        tokenizer_hash=backbone.tokenizer_hash, prompt_hash=TASK.prompt_hash,
        weights_hash=weights_hash(folder), configuration_hash=configuration_hash(folder),
        data_hash="d", data="toy", metrics={}, rows=9, seed=0, versions={}, created="now",
    )  # fmt: skip
    store.write_json(folder / PASSPORT, passport.sealed().model_dump(mode="json"))
    return folder


@pytest.fixture
def service(backbone):
    installed(backbone, 1, size=0.2)
    service = Service(backbone, {TASK.name: TASK})
    yield service
    service.engine.close()


def test_a_newer_version_is_taken_and_rows_end_with_the_old_one(service, backbone):
    application = service.application(TASK.name)
    asked = application.input(TEXT)
    before = application.submit(asked, max_new_tokens=40).result(60).text
    running = application.submit(asked, max_new_tokens=40)
    installed(backbone, 2, size=0.2)
    newer = service.application(TASK.name).submit(asked, max_new_tokens=40).result(60).text
    assert running.result(60).text == before != newer
    assert (
        newer
        == service.application(f"{TASK.name}@2")(
            TEXT,
        ).text[: len(newer)]
    )


def test_an_adapter_without_effect_is_refused_and_the_old_one_stays(service, backbone):
    before = service.application(TASK.name)
    expected = before(TEXT).text
    folder = installed(backbone, 2, size=0.0)
    with pytest.raises(Damaged, match=f"{folder} changes no answer: its weights are zero"):
        service.application(TASK.name)
    assert before(TEXT).text == expected
    assert service.engine.adapters.names == (TASK.name,)


def test_a_prediction_says_why_it_ended_and_what_it_took(service):
    application = service.application(TASK.name)
    asked = application.input(TEXT)
    cut = application.submit(asked, max_new_tokens=3).result(60)
    assert (cut.finish_reason, cut.completion_tokens) == ("length", 3)
    assert cut.prompt_tokens > 3
    stopped = application.submit(asked, stop=(cut.text[:2],), max_new_tokens=30).result(60)
    assert (stopped.finish_reason, stopped.text) == ("stop", "")
