"""Promotion is decided by a paired test on held-out rows; rollback serves the version before."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

import apps
from commands import adapter_table
from core import backbone as backbones
from core import store
from core.adapters import registry
from core.adapters.configuration import configuration_hash
from core.adapters.lora import AdapterStack
from core.adapters.passport import PASSPORT, Passport, weights_hash
from core.backbone import Backbone
from core.errors import BadData, BadSetting, MissingAdapter
from core.feedback.entries import entries_of
from core.service import Service
from finetune.evaluation import contamination
from finetune.evaluation.significance import Paired
from finetune.workflows import promoting

TASK = apps.load("spam")
TEXTS = [f"message {number}: bring {number * 7 % 13} apples" for number in range(80)]


def make(shared: Backbone, folder: Path, seed: int, learned: tuple[str, ...] = ()) -> Path:
    """An adapter with random weights, a passport, and the hashes of what it has learned."""
    stack = AdapterStack(shared)
    stack.create("made", seed=seed)
    drawn = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in stack.parameters("made"):
            parameter.copy_(torch.randn(parameter.shape, generator=drawn) * 0.2)
    stack.save("made", folder)
    stack.delete("made")
    rows = contamination.rows_of(TASK, [one for text in learned for one in TASK.read(row(text))])
    passport = Passport(
        task="spam", backbone="quintet-nano", fingerprint=shared.fingerprint,
        prompt_hash=TASK.prompt_hash, weights_hash=weights_hash(folder),
        configuration_hash=configuration_hash(folder), data_hash="", data="samples", metrics={},
        rows=0, seed=0, versions={}, created="2026-01-01",
        training_rows_hash=contamination.write_rows(rows, folder),
    )  # fmt: skip
    store.write_json(folder / PASSPORT, passport.sealed().model_dump(mode="json"))
    return folder


def row(text: str, label: str = "ham") -> dict[str, str]:
    return {"text": text, "label": label}


@pytest.fixture(scope="module")
def shared(tokenizer) -> Backbone:
    return backbones.create("nano", tokenizer, seed=0)


@pytest.fixture(scope="module")
def adapters(shared, tmp_path_factory) -> tuple[Path, Path]:
    """Two that disagree on a good part of the texts."""
    root = tmp_path_factory.mktemp("adapters")
    return make(shared, root / "a", 0), make(shared, root / "b", 3)


@pytest.fixture
def service(shared) -> Service:
    return Service(shared, {"spam": TASK})


@pytest.fixture
def rows(service, adapters, tmp_path):
    """A file of rows on which the first adapter is always right."""
    asked = [TASK.input(text=text) for text in TEXTS]
    right = [found.text for found in service.application("spam", adapters[0]).predict(asked)]
    assert {"ham", "spam"} == set(right)
    path = tmp_path / "held-out.jsonl"
    lines = (json.dumps(row(*pair)) for pair in zip(TEXTS, right, strict=True))
    path.write_text("".join(f"{line}\n" for line in lines))
    return promoting.held_out(TASK, [str(path)], [])


def test_a_worse_candidate_is_refused_and_nothing_is_installed(service, adapters, rows, tmp_path):
    registry.install(adapters[0])
    run = tmp_path / "run"
    shutil.copytree(adapters[1], run / "adapter")
    decision = promoting.promote(promoting.decide(service, "spam", run, rows), run)
    assert not decision.promoted
    assert "worse than what is served" in decision.reason
    assert (decision.value_served, decision.rows) == (1.0, 80)
    assert decision.high < 0
    assert list(registry.versions("spam", "quintet-nano")) == [1]
    assert json.loads((run / promoting.RECORD).read_text())["promoted"] is False


def test_a_better_candidate_becomes_the_next_version(service, adapters, rows):
    registry.install(adapters[1])
    decision = promoting.decide(service, "spam", adapters[0], rows)
    assert decision.low > 0
    decision = promoting.promote(decision, adapters[0])
    assert decision.installed == str(registry.find("spam", "quintet-nano"))
    assert list(registry.versions("spam", "quintet-nano")) == [1, 2]


def test_an_equal_candidate_is_no_loss(service, adapters, rows):
    registry.install(adapters[0])
    decision = promoting.decide(service, "spam", adapters[0], rows, margin=0.0)
    assert (decision.promoted, decision.difference, decision.low) == (True, 0.0, 0.0)


def test_without_a_served_adapter_the_bare_backbone_is_the_bar(service, adapters, rows):
    decision = promoting.decide(service, "spam", adapters[0], rows)
    assert decision.served == "the bare backbone"


def test_rows_that_one_of_the_two_has_learned_decide_nothing(service, shared, rows, tmp_path):
    registry.install(make(shared, tmp_path / "c", 5, learned=tuple(TEXTS[:20])))
    candidate = make(shared, tmp_path / "d", 6, learned=tuple(TEXTS[10:25]))
    decision = promoting.decide(service, "spam", candidate, rows)
    assert (decision.rows, decision.left_out) == (55, 25)
    candidate = make(shared, tmp_path / "e", 6, learned=tuple(TEXTS[10:35]))
    with pytest.raises(BadData, match=r"45 held-out rows .* too few .*35 more were seen"):
        promoting.decide(service, "spam", candidate, rows)


def test_a_margin_is_a_share(service, adapters, rows):
    with pytest.raises(BadSetting, match=r"margin is 1\.5"):
        promoting.decide(service, "spam", adapters[0], rows, margin=1.5)


def test_feedback_that_is_kept_from_training_decides_as_well(rows):
    said = [
        one
        for number in range(100)
        for one in entries_of(TASK, TASK.input(text=f"said {number}"), "ham", right=True)
    ]
    kept = sum(one.held_out for one in said)
    found = promoting.held_out(TASK, [], said)
    assert len(found.examples) == kept > 0
    assert set(found.origins) == {"feedback"}


def paired(difference: float, low: float, high: float, outcome: str) -> Paired:
    return Paired(
        difference=difference, low=low, high=high, p_bootstrap=0.1, p_randomisation=0.1,
        p_mcnemar=None, p=0.1, outcome=outcome,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("found", "sign", "good"),
    [
        (paired(0.0, -0.01, 0.01, "tie"), 1, True),
        (paired(0.0, -0.03, 0.03, "tie"), 1, False),
        (paired(-0.01, -0.015, -0.005, "loss"), 1, False),
        (paired(0.05, 0.01, 0.09, "win"), 1, True),
        (paired(-0.05, -0.09, -0.01, "win"), -1, True),
        (paired(0.0, -0.05, 0.01, "tie"), -1, True),
        (paired(0.0, -0.01, 0.05, "tie"), -1, False),
    ],
)
def test_the_rule(found, sign, good):
    assert promoting.judged(found, 0.02, sign=sign)[0] is good


def test_rollback_serves_the_version_before_and_keeps_the_other(adapters):
    for folder in (*adapters, adapters[0]):
        registry.install(folder)
    home = registry.root() / "quintet-nano" / "spam"
    assert registry.rollback("spam", "quintet-nano") == (home / "3", home / "2")
    assert registry.find("spam", "quintet-nano") == home / "2"
    assert registry.find("spam@3", "quintet-nano") == home / "3"
    marks = {row["name"]: (row["served"], row["taken_back"]) for row in adapter_table.listed(["spam"])
             if row["backbone"] == "quintet-nano"}  # fmt: skip
    assert marks == {"spam@3": (False, True), "spam@2": (True, False), "spam@1": (False, False)}
    assert registry.install(home / "3").name == "4"
    assert registry.find("spam", "quintet-nano") == home / "4"


def test_rollback_needs_a_version_before(adapters):
    with pytest.raises(MissingAdapter, match="nothing to take back"):
        registry.rollback("spam", "quintet-nano")
    registry.install(adapters[0])
    with pytest.raises(MissingAdapter, match="none before it"):
        registry.rollback("spam", "quintet-nano")
