"""Probabilities taken at their word, thresholds that keep their promise, callers that obey."""

from __future__ import annotations

import copy
import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from peft import PeftModel
from scipy import stats
from transformers import DecisionConfig, pipeline

import apps
from core import backbone as backbones
from core import store
from core.adapters import registry
from core.adapters.configuration import configuration_hash
from core.adapters.decision import write_decision
from core.adapters.passport import PASSPORT, OperatingPoint, Passport, read_passport, weights_hash
from core.application import Application, decide
from core.engine.engine import Engine
from core.errors import BadData, BadSetting
from core.service import Service
from core.task import Example
from finetune.evaluation import calibration
from finetune.evaluation.contamination import TrainingRows, read_rows_of, rows_of, write_rows
from finetune.evaluation.contamination.training_rows import digest_of
from finetune.workflows import calibrating

TASK = apps.load("spam")


def overconfident(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Shares that are right 75 % of the time and say 97 %."""
    chance = np.random.default_rng(seed)
    said = chance.integers(0, 2, rows)
    right = np.where(chance.random(rows) < 0.75, said, 1 - said)
    shares = np.full((rows, 2), 0.03)
    shares[np.arange(rows), said] = 0.97
    return shares, right


def test_a_fitted_temperature_makes_an_overconfident_model_say_how_often_it_is_right():
    shares, right = overconfident(4000)
    temperature = calibration.fit_temperature(shares, right)
    after = calibration.scaled(shares, temperature)
    assert temperature > 2 and after.max(1).mean() == pytest.approx(0.75, abs=0.02)
    assert (
        calibration.expected_error(after, right)
        < 0.03
        < 0.2
        < calibration.expected_error(shares, right)
    )
    assert calibration.brier(after, right) < calibration.brier(shares, right)


def test_no_row_is_measured_at_a_temperature_that_it_has_fitted():
    shares, right = overconfident(400)
    found, _ = calibration.cross_fitted(shares, right, seed=0)
    flipped = right.copy()
    flipped[0] = 1 - flipped[0]
    other, _ = calibration.cross_fitted(shares, flipped, seed=0)
    assert (found[0] == other[0]).all() and not np.allclose(found, other)


@given(
    shares=st.lists(st.floats(0.001, 0.999), min_size=1, max_size=30),
    temperature=st.floats(0.1, 10),
)
def test_scaling_keeps_sums_and_order(shares, temperature):
    table = np.array([[one, 1 - one] for one in shares])
    found = calibration.scaled(table, temperature)
    assert found.sum(1) == pytest.approx(1)
    clear = np.abs(table[:, 0] - 0.5) > 1e-6
    assert (found.argmax(1) == table.argmax(1))[clear].all()


MILLIONTHS = st.integers(0, 10**6).map(lambda number: number / 10**6)
"""Between neighbouring floats there is no room for a threshold."""


@given(
    scores=st.lists(st.tuples(MILLIONTHS, st.booleans()), min_size=2, max_size=60),
    most=st.floats(0, 1),
)
def test_a_threshold_keeps_its_promise_and_is_no_higher_than_it_must_be(scores, most):
    positive, truth = np.array([s for s, _ in scores]), np.array([t for _, t in scores])
    if truth.all():
        with pytest.raises(BadData, match="cannot be measured"):
            calibration.false_positive_threshold(positive, truth, most)
        return
    threshold = calibration.false_positive_threshold(positive, truth, most)
    negatives = positive[~truth]
    assert (negatives >= threshold).mean() <= most + 1e-12
    lower = sorted({one for one in negatives if one < threshold})
    if lower:
        assert (negatives >= lower[-1]).mean() > most - 1e-12


def test_the_threshold_decides_and_the_unsure_abstain():
    point = OperatingPoint(label="spam", threshold=0.9, abstain_below=0.7)
    sure, likely, unsure = ({"ham": 1 - p, "spam": p} for p in (0.95, 0.8, 0.35))
    assert decide(sure, point).text == "spam"
    found = decide(likely, point)
    assert (found.text, found.abstained) == ("ham", True)
    assert decide(unsure, point).abstained
    assert not decide(unsure, OperatingPoint()).abstained


@pytest.fixture
def adapter(tmp_path: Path, backbone) -> Path:
    """An adapter as a run leaves it."""
    engine, folder = Engine(backbone), tmp_path / "run" / "adapter"
    engine.adapters.create("made", {"r": 4, "init_lora_weights": False}, seed=3)
    engine.adapters.save("made", folder)
    write_decision(TASK, backbone.tokenizer, folder)
    passport = Passport(
        task="spam", backbone=backbone.name, fingerprint=backbone.fingerprint,
        tokenizer_hash=backbone.tokenizer_hash, prompt_hash=TASK.prompt_hash,
        weights_hash=weights_hash(folder), configuration_hash=configuration_hash(folder), data_hash="d",
        data="toy", metrics={"mcc": 0.5}, rows=9, seed=0, versions={}, created="now",
    )  # fmt: skip
    store.write_json(folder / PASSPORT, passport.sealed().model_dump(mode="json"))
    return folder


def messages(rows: int = 40) -> list[Example]:
    words = ("mill", "river", "market", "book")
    return [
        Example(
            input=TASK.input(text=f"{words[n % 4]} {words[n // 4 % 4]} {n}"),
            answers=(TASK.answer.labels[n % 3 == 0],),
        )
        for n in range(rows)
    ]


def labelled(backbone, adapter: Path, rows: int = 40) -> list[Example]:
    """Messages whose labels the adapter mostly gives, wrong only where it is least sure."""
    opened = Service(backbone, {"spam": TASK}).application("spam", adapter)
    raw = Application(TASK, opened.engine, opened.adapter)
    found = list(raw.predict([one.input for one in messages(rows)]))
    sure = sorted(range(rows), key=lambda place: max(found[place].probabilities.values()))
    other = {"ham": "spam", "spam": "ham"}
    labels = [other[one.text] if n in sure[:4] else one.text for n, one in enumerate(found)]
    return [
        Example(input=one.input, answers=(label,))
        for one, label in zip(messages(rows), labels, strict=True)
    ]


def test_an_operating_point_is_stored_in_both_files_and_obeyed_by_every_caller(adapter, backbone):
    service = Service(backbone, {"spam": TASK})
    before = service.application("spam", adapter)("The mill by the river.")
    rows = labelled(backbone, adapter)
    done = calibrating.calibrate(
        service, "spam", adapter, rows, max_false_positive_rate=0.0, abstain_below=1.0
    )
    assert done.folder == adapter
    point = read_passport(adapter).operating_point
    decision = json.loads((adapter / "decision.json").read_text())
    assert point and point.fitted_on == 40 and point.label == "spam"
    assert decision["temperature"]["choice"] == point.temperature != 1
    assert decision["operating_point"]["threshold"] == point.threshold
    fresh = Service(backbone, {"spam": TASK}).application("spam", adapter)
    after = fresh("The mill by the river.")
    expected = decide(before.probabilities, point)
    assert after.probabilities == pytest.approx(expected.probabilities)
    assert after.text == expected.text and after.abstained
    wrong = [one for one in rows if one.answers == ("ham",)]
    assert all(found.text == "ham" for found in fresh.predict([one.input for one in wrong]))


def test_a_second_calibration_starts_from_the_raw_probabilities(adapter, backbone):
    rows = labelled(backbone, adapter)
    for _ in range(2):
        calibrating.calibrate(Service(backbone, {"spam": TASK}), "spam", adapter, rows)
        found = read_passport(adapter).operating_point
    once = found
    calibrating.calibrate(Service(backbone, {"spam": TASK}), "spam", adapter, rows)
    assert read_passport(adapter).operating_point == once


def test_what_is_served_gets_a_new_version_and_the_old_one_stays(adapter, backbone):
    first = registry.install(adapter)
    rows = labelled(backbone, adapter)
    kept = calibrating.calibrate(Service(backbone, {"spam": TASK}), "spam", first, rows).folder
    assert kept.name == "2" and registry.find("spam", backbone.name) == kept
    assert read_passport(first).operating_point is None


def test_the_decision_pipeline_takes_the_temperature(adapter, backbone, tokenizer):
    service = Service(backbone, {"spam": TASK})
    calibrating.calibrate(service, "spam", adapter, labelled(backbone, adapter))
    ours = Service(backbone, {"spam": TASK}).application("spam", adapter)("The mill.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        fresh = backbones.create("nano", tokenizer, seed=0)
        model = PeftModel.from_pretrained(fresh.model, adapter)
    theirs = pipeline(
        "decision",
        model=model.base_model.model,
        tokenizer=copy.deepcopy(tokenizer),
        decision_config=DecisionConfig.from_pretrained(adapter),
    )
    question = {"type": "choice", "criteria": dict.fromkeys(TASK.answer.labels)}
    found = theirs({"state": "The mill.", "questions": {"answer": question}})["answer"]
    assert found["probabilities"] == pytest.approx(ours.probabilities, abs=1e-4)


def test_what_cannot_be_calibrated_is_refused(adapter, backbone):
    service = Service(backbone, {"spam": TASK})
    with pytest.raises(BadData, match="5 rows are too few"):
        calibrating.calibrate(service, "spam", adapter, messages(5))
    with pytest.raises(BadSetting, match="'spma' is no label; labels: ham, spam"):
        calibrating.calibrate(service, "spam", adapter, messages(), label="spma")
    with pytest.raises(BadSetting, match="no labels to calibrate"):
        calibration.operating_point(apps.load("qa"), [], [])


def known(adapter: Path, rows: TrainingRows) -> None:
    """Give the adapter the hashes of what it has seen."""
    passport = read_passport(adapter)
    made = passport.model_copy(update={"training_rows_hash": write_rows(rows, adapter)}).sealed()
    store.write_json(adapter / PASSPORT, made.model_dump(mode="json"))


def test_rows_that_were_learned_or_scored_are_left_out_and_the_others_remembered(adapter, backbone):
    rows = labelled(backbone, adapter)
    known(adapter, rows_of(TASK, rows[:7], scored=rows[7:12]))
    done = calibrating.calibrate(Service(backbone, {"spam": TASK}), "spam", adapter, rows)
    assert (done.learned, done.scored, done.point.fitted_on) == (7, 5, 28)
    assert "Left out: 7 rows that it has learned, 5 that it was scored on." in done.lines()
    assert done.point.rows_hash == digest_of(TASK, rows[12:]) != digest_of(TASK, rows)
    seen = read_rows_of(adapter, read_passport(adapter).training_rows_hash)
    assert seen and seen.places(TASK, rows, "fitted") == list(range(12, 40))


def test_training_rows_alone_are_refused(adapter, backbone):
    rows = labelled(backbone, adapter)
    known(adapter, rows_of(TASK, rows[:30]))
    with pytest.raises(BadData, match=r"10 rows are too few .*\(30 more were learned"):
        calibrating.calibrate(Service(backbone, {"spam": TASK}), "spam", adapter, rows)
    assert read_passport(adapter).operating_point is None


def test_rows_that_tell_nothing_are_refused(adapter, backbone):
    service = Service(backbone, {"spam": TASK})
    same = [
        Example(input=TASK.input(text="Free prize, reply now"), answers=(label,))
        for label in ["spam"] * 10 + ["ham"] * 10
    ]
    with pytest.raises(BadData, match="tell nothing: the adapter's probabilities fit"):
        calibrating.calibrate(service, "spam", adapter, same, max_false_positive_rate=0)
    with pytest.raises(BadData, match="All rows have one label"):
        calibrating.calibrate(service, "spam", adapter, [*same[:10], *same[:10]])
    assert read_passport(adapter).operating_point is None


def test_the_promise_has_a_bound_and_words(adapter, backbone):
    rows = labelled(backbone, adapter)
    done = calibrating.calibrate(
        Service(backbone, {"spam": TASK}), "spam", adapter, rows, max_false_positive_rate=0.1
    )
    negatives = sum(one.answers == ("ham",) for one in rows)
    hit = round((done.point.false_positive_rate or 0) * negatives)
    assert done.point.false_positive_bound == pytest.approx(
        stats.beta.ppf(0.95, hit + 1, negatives - hit)
    )
    said = " ".join(done.lines())
    assert "at most 10.00% of other rows" in said and "with 95 % confidence" in said
    assert "is not fully known" in said


def test_a_bound_holds_for_a_threshold_that_was_set_on_the_same_rows():
    chance, kept = np.random.default_rng(0), 0
    for _ in range(400):
        scores = chance.random(100)
        threshold = calibration.false_positive_threshold(scores, np.zeros(100, dtype=bool), 0.05)
        hit = int((scores >= threshold).sum())
        kept += (1 - threshold) <= calibration.rate_bound(hit, 100)  # scores are uniform
    assert kept / 400 >= 0.93


def test_no_wrong_row_leaves_the_temperature_alone():
    shares = np.array([[0.9, 0.1], [0.2, 0.8]] * 20)
    assert calibration._temperature(shares, np.array([0, 1] * 20)) == 1.0


@given(
    shares=st.lists(st.floats(0, 1), min_size=2, max_size=5).filter(lambda found: sum(found) > 0),
    temperature=st.floats(0.05, 20),
)
def test_probabilities_are_clipped_alike_when_fitted_and_served(shares, temperature):
    whole = sum(shares)
    raw = {str(place): one / whole for place, one in enumerate(shares)}
    served = decide(raw, OperatingPoint(temperature=temperature)).probabilities
    fitted = calibration.scaled(np.array([list(raw.values())]), temperature)[0]
    assert list(served.values()) == pytest.approx(fitted.tolist(), abs=1e-12)


def test_a_temperature_that_no_fit_gives_is_refused():
    with pytest.raises(ValueError, match="temperature"):
        OperatingPoint(temperature=1e-300)
