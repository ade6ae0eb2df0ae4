"""A new metric is one entry: score, interval, criterion, report and model card find it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from report_fixtures import sentiment
from test_counts import made

import apps
from core.language import Said
from core.metrics.base import TEXT, TEXTS, LocalMetric
from core.task import Criterion
from finetune.data.examples import Reading
from finetune.evaluation.comparison import Evaluation
from finetune.evaluation.metrics import registry
from finetune.evaluation.metrics.counts import count
from finetune.evaluation.metrics.deciding import selected
from finetune.evaluation.metrics.rows import Rows
from finetune.evaluation.metrics.spec import MetricSpec
from finetune.evaluation.metrics.sums import averaged
from finetune.evaluation.scoring import measure
from finetune.evaluation.significance import interval
from finetune.report import render, verdict
from finetune.report.sections.edition import Edition


def missed(text: str, right: list[str]) -> float:
    """The share of the first right answer's words that are not in the text."""
    words = right[0].split()
    return sum(word not in text.split() for word in words) / max(len(words), 1)


class MissedWords(LocalMetric):
    """As anyone would write a metric for `evaluate`."""

    columns: ClassVar = {"predictions": TEXT, "references": TEXTS}

    def values(self, predictions: list[str], references: list[list[str]]) -> dict[str, Any]:
        rows = [missed(*row) for row in zip(predictions, references, strict=True)]
        return {"missed_words": sum(rows) / len(rows)}


def evaluated(rows: Rows) -> dict[str, Any]:
    references = [list(right) for right in rows.references]
    return dict(MissedWords().compute(predictions=list(rows.texts), references=references))


ENTRY = MetricSpec(
    name="missed_words",
    label=Said("Missed words", "漏词率"),
    meaning=Said("The share of right words that are missing.", "缺失的正确词所占比例。"),
    evaluated=evaluated,
    sums=lambda rows: averaged(
        [missed(t, list(r)) for t, r in zip(rows.texts, rows.references, strict=True)]
    ),
    split="part",
    higher_is_better=False,
    bounds=(0.0, 1.0),
    chance=lambda labels: 1.0,
)


@pytest.fixture(scope="module")
def task() -> Iterator[Any]:
    """Translation with one metric more, which decides."""
    registry.SPECS.append(ENTRY)
    found = apps.load("translation")
    yield dataclasses.replace(
        found,
        metrics=(*found.metrics, "missed_words"),
        select_by=Criterion(metric="missed_words", over_parts="mean"),
    )
    registry.SPECS.remove(ENTRY)


@pytest.fixture(scope="module")
def evaluation(task) -> Evaluation:
    """Two systems, one of which always says what is right."""
    examples, said = made("translation", 3)
    right = tuple(
        one.model_copy(update={"text": example.answers[0]})
        for one, example in zip(said.predictions, examples, strict=True)
    )
    first = dataclasses.replace(said, name="copy the source", kind="baseline", likelihoods=())
    ours = dataclasses.replace(said, name="adapter", predictions=right, likelihoods=())
    return Evaluation(
        task=task,
        data="toy",
        reading=Reading(by_row=tuple((one,) for one in examples)),
        train=(),
        answers=(first, ours),
        seconds=1.0,
    )


def test_it_is_scored_and_its_sums_give_the_same(task, evaluation):
    answers = evaluation.answers[0]
    values, _ = measure(task, evaluation.examples, answers.predictions)
    counted = count(task, evaluation.examples, answers)
    for part in ("en_zh", "zh_en"):
        found = counted[f"missed_words_{part}"]
        assert 0 < found.of_all() == pytest.approx(values[f"missed_words_{part}"])
        drawn = interval(found, seed=0)
        assert 0 <= drawn.low < drawn.value < drawn.high <= 1


def test_its_direction_decides(task, evaluation):
    assert evaluation.deciding == "missed_words_mean"
    assert selected(task, {"missed_words_en_zh": 0.2, "missed_words_zh_en": 0.4}) == (
        pytest.approx(-0.3)
    )
    tests = verdict.comparisons(evaluation, seed=0, resamples=300)
    found = next(one for one in tests if one.metric == "missed_words_mean")
    assert found.difference < 0 and found.outcome == "win"


@pytest.mark.parametrize(("language", "label"), [("en", "Missed words"), ("zh", "漏词率")])
def test_the_report_names_and_explains_it(evaluation, language, label):
    entries = verdict.entries(evaluation, seed=0, resamples=300)
    results = sentiment().model_copy(
        update={
            "entries": entries,
            "subject": "adapter",
            "verdict": sentiment().verdict.model_copy(update={"metric": "missed_words_mean"}),
            "comparisons": (),
            "curves": None,
            "data_card": sentiment().data_card.model_copy(update={"labels": {}}),
        }
    )
    page = render.html(results, language)
    assert label in page and ENTRY.meaning.within(language) in page
    assert Edition(results, language).deciding.spec is ENTRY
    card = render.card(results)
    assert "Missed words (mean)" in card and "type: missed_words" in card
