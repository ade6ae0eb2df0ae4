"""A report catches models that only look good: leaked, mislabelled, constant, asked in other words."""

from __future__ import annotations

import dataclasses
import io
import json
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from accelerate.state import AcceleratorState
from matplotlib.axes import Axes
from rich.console import Console

import apps
import quintet
from core import backbone as backbones
from core.application import Application
from core.engine.engine import Engine
from core.errors import BadData, BadSetting
from core.task import Criterion, Example
from finetune.data.examples import Reading, read_examples
from finetune.data.training_data import Request, gather
from finetune.evaluation import comparison
from finetune.evaluation.comparison import System
from finetune.evaluation.contamination import rows_of
from finetune.report import render
from finetune.report.build import build
from finetune.report.results import Results
from finetune.settings import FinetuneSettings
from finetune.workflows import cross_task, finetuning, seeds

QUIET = Console(quiet=True)
TASK = apps.load("sentiment")
QUICK = FinetuneSettings(
    num_train_epochs=10,
    learning_rate=1e-2,
    max_eval_rows=16,
    per_device_train_batch_size=16,
    bf16="off",
    early_stopping_patience=0,
    eval_steps=1000,
)
GOOD, BAD = ("love", "warm", "good", "很好"), ("hate", "cold", "boring", "很坏")
PLACES = ("film", "book", "town", "house", "market", "mill", "river", "loaf")
FRAMES = ("I {} this {}.", "What a {} {}!", "今天 {} 的 {}", "a {} {} indeed", "the {} old {}")


def rows(places: tuple[str, ...], labels: tuple[str, str] = ("positive", "negative")) -> list[dict]:
    return [
        {"text": frame.format(word, place), "label": label}
        for label, words in zip(labels, (GOOD, BAD), strict=True)
        for word in words
        for frame in FRAMES
        for place in places
    ]


def written(path: Path, found: list[dict]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in found), encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tokenizer):
    """One engine with three adapters: taught well, with turned labels, and with one label only."""
    folder = tmp_path_factory.mktemp("evaluation")
    engine = Engine(backbones.create("nano", tokenizer, seed=0))
    sets = {
        "good": rows(PLACES[:5]),
        "mislabelled": rows(PLACES[:5], ("negative", "positive")),
        "constant": rows(PLACES[:2], ("positive", "positive")),
    }
    for name, training_set in sets.items():
        request = Request(
            task=TASK,
            sources=(written(folder / f"{name}.jsonl", training_set),),
            settings=QUICK,
            output=folder / name,
            device="cpu",
        )
        finetuning.finetune(request, engine, gather(request), QUIET)
        engine.adapters.load(name, folder / name / "adapter")
    return engine, folder


@pytest.fixture(scope="module")
def unseen(tmp_path_factory) -> Reading:
    path = tmp_path_factory.mktemp("test") / "test.jsonl"
    return read_examples(TASK, [written(path, rows(PLACES[5:]))])


# The baselines get a handful of rows: learning a few words is no task for them either.
FEW = [
    Example(input=TASK.input(text=f"{word} {place}"), answers=(label,))
    for label, word in (("positive", "love"), ("negative", "hate"))
    for place in PLACES[:2]
]


def judged(engine: Engine, reading: Reading, name: str, **about) -> Results:
    task = about.get("task", TASK)
    asked = [
        System("base", "base", Application(task, engine)),
        *(System(n, "adapter", Application(TASK, engine, n)) for n in about.get("beside", ())),
        System(name, "adapter", Application(task, engine, name)),
    ]
    found = comparison.evaluate(
        asked,
        reading,
        about.get("train", FEW),
        name="toy",
        own=about.get("own", True),
        seen=about.get("seen"),
    )
    return build(found, commands=("quintet evaluate sentiment",), resamples=300)


def test_a_good_adapter_is_better_than_what_costs_nothing(trained, unseen):
    results = judged(trained[0], unseen, "good")
    assert results.verdict.better and "clearly better" in results.verdict.sentence
    assert [entry.kind for entry in results.entries] == ["baseline", "baseline", "base", "adapter"]
    values = results.entries[-1].metrics
    assert values["accuracy"].value > 0.9 and values["accuracy"].rows == len(unseen.examples)
    assert all(one.low <= one.value <= one.high for one in values.values())
    assert results.leaks and results.leaks.exact == 0


def test_a_mislabelled_adapter_is_worse_than_the_baseline(trained, unseen):
    results = judged(trained[0], unseen, "mislabelled")
    assert not results.verdict.better
    found = {one.metric: one.outcome for one in results.comparisons if one.against == "TF-IDF"}
    assert found[results.verdict.metric] == "loss" and "win" not in found.values()
    assert all(one.prediction not in one.answers for one in results.mistakes)
    assert len(results.mistakes) == 20


def test_a_constant_adapter_is_no_better_than_the_majority(trained, unseen):
    results = judged(trained[0], unseen, "constant")
    assert not results.verdict.better
    assert results.entries[-1].metrics["mcc"].value == pytest.approx(0, abs=0.2)
    assert results.curves and min(map(sum, zip(*results.curves.confusion, strict=True))) < 15


def test_another_prompt_loses_against_the_right_one(trained, unseen):
    other = dataclasses.replace(TASK, prompt=lambda review: f"mill river {review.text[::-1]}?")
    results = judged(trained[0], unseen, "good", task=other, beside=("constant",))
    right = judged(trained[0], unseen, "good")
    value = results.verdict.metric
    there, here = (r.entries[-1].metrics[value] for r in (results, right))
    assert there.high < here.low and not results.verdict.better


def test_a_leaked_score_is_told_with_and_without_the_leak(trained, unseen):
    half = len(unseen.by_row) // 2
    leaked = [example for row in unseen.by_row[:half] for example in row]
    results = judged(trained[0], unseen, "good", train=leaked)
    assert results.leaks and results.leaks.exact == half
    without = results.leaks.without["accuracy"]
    assert without.rows == len(unseen.by_row) - half - results.leaks.near
    assert results.leaks.pairs[0].similarity == 1.0
    everything = judged(trained[0], unseen, "good", train=list(unseen.examples))
    assert everything.leaks and everything.leaks.without == {}


def test_rows_that_the_adapter_has_learned_are_told_in_red_and_decide_nothing(trained, unseen):
    half = len(unseen.examples[::2])
    seen = rows_of(TASK, unseen.examples[::2], picked=unseen.examples[1:6:2])
    results = judged(trained[0], unseen, "good", seen=seen)
    assert results.leaks and results.leaks.known
    assert results.leaks.learned >= half and results.leaks.picked <= 3
    gone = results.leaks.learned + results.leaks.picked
    assert results.leaks.without["accuracy"].rows == len(unseen.examples) - gone
    assert (
        f"On {len(unseen.examples) - gone} rows that had not been seen" in results.verdict.sentence
    )
    for page in (render.html(results), render.markdown(results), render.card(results)):
        assert f"SCORED ROWS HAD BEEN SEEN: {gone} OF {len(unseen.examples)}" in page
    assert "评分样本曾被使用" in render.html(results, "zh")
    learned = judged(trained[0], unseen, "good", seen=rows_of(TASK, unseen.examples[::2]))
    assert "SCORED ROWS WERE LEARNED: " in render.html(learned)
    assert "评分样本见于训练" in render.html(learned, "zh")


def test_it_is_told_where_near_duplicates_were_not_sought(trained, unseen):
    seen = rows_of(TASK, unseen.examples[:30])
    few = dataclasses.replace(seen, sketches=seen.sketches[:2])
    results = judged(trained[0], unseen, "good", seen=few, own=False)
    assert results.leaks and results.leaks.compared == (2, len(few.learned))
    assert f"sought among 2 of {len(few.learned)} learned texts" in render.html(results)
    assert "近似重复只在" in render.html(results, "zh")
    at_hand = judged(trained[0], unseen, "good", seen=few, train=list(unseen.examples[:30]))
    assert at_hand.leaks and at_hand.leaks.compared is None


def test_where_every_row_was_learned_nothing_is_decided(trained, unseen):
    results = judged(trained[0], unseen, "good", seen=rows_of(TASK, unseen.examples))
    assert not results.verdict.better and "nothing is decided" in results.verdict.sentence


def test_a_baseline_with_other_rows_is_starved_and_nothing_better_is_claimed(trained, unseen):
    results = judged(trained[0], unseen, "good", own=False)
    assert not results.verdict.better and results.verdict.starved
    assert "no better is claimed" in results.verdict.sentence
    assert "win" not in {c.outcome for c in results.comparisons if c.against == "TF-IDF"}
    assert "starved" in {c.outcome for c in results.comparisons if c.against == "TF-IDF"}
    assert "beating them proves nothing" in render.html(results)
    assert "Not all rows" in render.markdown(results)  # what it learned is not known either


def test_next_to_the_bare_backbone_no_baseline_is_starved(trained, unseen):
    asked = [System("base", "base", Application(TASK, trained[0]))]
    found = comparison.evaluate(asked, unseen, FEW, name="toy", own=False)
    results = build(found, commands=(), resamples=300)
    assert not results.verdict.starved
    assert "starved" not in {one.outcome for one in results.comparisons}
    assert results.leaks and results.leaks.known
    assert results.leaks.looked_in == {"rows of the baselines": len(FEW)}
    page = render.html(results)
    assert "beating them proves nothing" not in page and "Not all rows" not in page
    assert "the bare backbone has learned none" in page


def test_a_baseline_with_all_the_rows_is_hard_to_beat(trained, unseen):
    many = [one for row in rows(PLACES[:5]) for one in TASK.read(row)]
    results = judged(trained[0], unseen, "good", train=many)
    tfidf = next(entry for entry in results.entries if entry.name == "TF-IDF")
    assert tfidf.metrics["accuracy"].value > 0.8
    assert {c.outcome for c in results.comparisons if c.against == "TF-IDF"} <= {"tie", "loss"}


def test_one_class_leaves_what_is_undefined_out_and_decides_nothing(trained, unseen):
    only = Reading(by_row=tuple(row for row in unseen.by_row if row[0].answers == ("positive",)))
    results = judged(trained[0], only, "good")
    assert {"mcc", "macro_f1", "recall_negative"} <= results.undefined.keys()
    assert "accuracy" in results.entries[-1].metrics and "mcc" not in results.entries[-1].metrics
    assert not results.verdict.better and "is undefined on these" in results.verdict.sentence
    assert "NOTHING IS DECIDED" in render.html(results)
    assert "NOT BETTER" not in render.html(results)


def test_further_comparisons_are_corrected_for_how_many_there_are(trained, unseen):
    results = judged(trained[0], unseen, "good")
    verdict = results.verdict
    for one in results.comparisons:
        raw = one.p_mcnemar if one.p_mcnemar is not None else one.p_randomisation
        assert one.p is not None
        first = (one.against, one.metric) == (verdict.baseline, verdict.metric)
        assert one.p == raw if first else one.p >= raw
        assert one.outcome == "tie" or (one.p < 0.05 and not one.low <= 0 <= one.high)
    assert any(one.p > 1.5 * one.p_randomisation for one in results.comparisons if one.p)


def test_documents_are_searched_and_counted(trained, unseen):
    engine, _ = trained
    asked = [System("good", "adapter", Application(TASK, engine, "good"))]
    found = comparison.evaluate(asked, unseen, FEW, name="toy")
    texts = (text for text in ("Nothing to see.", "The mill stood by the river.", "天气很好"))
    results = build(found, commands=(), resamples=300, documents={"pre-training": texts})
    assert results.leaks and results.leaks.looked_in == {"training": 4, "pre-training": 3}


def test_results_survive_their_file_and_do_not_depend_on_the_order_of_rows(trained, unseen):
    results = judged(trained[0], unseen, "good")
    assert Results.model_validate_json(results.model_dump_json()) == results
    turned = Reading(by_row=unseen.by_row[::-1])
    again = judged(trained[0], turned, "good")
    for before, after in zip(results.entries, again.entries, strict=True):
        for name, one in before.metrics.items():
            assert after.metrics[name].value == pytest.approx(one.value)


def test_a_run_leaves_its_report_and_the_card_of_its_adapter(trained):
    folder = trained[1] / "good"
    results = Results.model_validate_json((folder / "report" / "results.json").read_bytes())
    assert results.passport and results.passport["task"] == "sentiment"
    assert results.learning and results.learning[-1]["step"] > 50
    how = results.training
    assert how and how.same_rows and how.baseline_rows == how.rows > 100
    assert how.parameters and how.rank and how.settings["learning_rate"] == QUICK.learning_rate
    assert how.steps == results.learning[-1]["step"] and how.seconds and how.tokens
    assert "data" not in how.settings  # a report says nothing of the machine
    page = (folder / "report" / "report.html").read_text(encoding="utf-8")
    assert results.verdict.sentence.split(" ")[0] in page
    assert "model-index" in (folder / "adapter" / "README.md").read_text(encoding="utf-8")
    assert "model-index" in (folder / "report" / "README.md").read_text(encoding="utf-8")
    table = pq.read_table(folder / "report" / "predictions.parquet")
    assert table.num_rows == results.rows
    right = [
        said in answers
        for said, answers in zip(
            table["adapter.prediction"].to_pylist(), table["answers"].to_pylist(), strict=True
        )
    ]
    accuracy = results.entries[-1].metrics["accuracy"].value
    assert sum(right) / len(right) == pytest.approx(accuracy)
    assert {"row", "source", "input.text", "TF-IDF.prediction"} <= set(table.column_names)
    shares = [table[f"adapter.probability.{label}"].to_pylist() for label in TASK.answer.labels]
    assert [sum(row) for row in zip(*shares, strict=True)] == pytest.approx([1] * results.rows)


def test_the_matrix_shows_a_negative_value_as_negative(trained, unseen, tmp_path, monkeypatch):
    task = dataclasses.replace(TASK, select_by=Criterion(metric="mcc"))
    turned = cross_task._cell(
        "turned", Application(task, trained[0], "mislabelled"), unseen.examples
    )
    assert turned.value < -0.5
    found = cross_task.Matrix(("turned",), (task.name,), (turned,))
    assert str(next(cross_task.table(found).columns[1].cells)).split()[0].startswith("-")
    drawn = []
    monkeypatch.setattr(Axes, "text", lambda self, x, y, said, **about: drawn.append(said))
    cell = dataclasses.replace(turned, adapter=cross_task.BASE)
    found = cross_task.Matrix((cross_task.BASE,), (task.name,), (cell,))
    cross_task.draw(found, tmp_path / "matrix.png", {task.name: task})
    assert drawn[0] == f"{turned.value:.3g}" and drawn[0].startswith("-")


def test_the_matrix_fits_a_terminal_with_every_name_whole():
    tasks = ("generation", "qa", "sentiment", "spam", "translation")
    names = (cross_task.BASE, *tasks)
    cells = tuple(
        cross_task.Cell(adapter=name, task=task, metric="bits_per_byte", value=0.5, bits_per_byte=1.25, rows=1)
        for name in names for task in tasks
    )  # fmt: skip
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(cross_task.table(cross_task.Matrix(names, tasks, cells)))
    shown = console.export_text()
    heading = shown.splitlines()[1]
    assert all(name in heading for name in names)
    assert "…" not in shown


def test_the_matrix_says_what_one_label_leaves_undefined(trained, unseen, tmp_path):
    only = [one for one in unseen.examples if one.answers == ("positive",)][:8]
    task = dataclasses.replace(TASK, select_by=Criterion(metric="mcc"))
    cell = cross_task._cell(cross_task.BASE, Application(task, trained[0], "good"), only)
    found = cross_task.Matrix((cross_task.BASE,), (task.name,), (cell,))
    assert cell.value is None
    assert str(next(cross_task.table(found).columns[1].cells)).split()[0] == "undefined"
    cross_task.draw(found, tmp_path / "matrix.png", {task.name: task})


def test_what_was_trained_in_half_precision_is_scored_as_it_is_served(tmp_path, tokenizer):
    sources = (written(tmp_path / "rows.jsonl", rows(PLACES[:2])),)
    settings = QUICK.model_copy(update={"max_steps": 4, "bf16": "on"})
    request = Request(
        task=TASK, sources=sources, settings=settings, output=tmp_path / "run", device="cpu"
    )
    engine = Engine(backbones.create("nano", tokenizer, seed=0))
    # accelerate keeps one precision for a whole process, and the other runs here took another.
    AcceleratorState._reset_state()
    run = finetuning.finetune(request, engine, gather(request), QUIET)
    AcceleratorState._reset_state()
    table = pq.read_table(run.folder / "report" / "predictions.parquet").to_pylist()
    served = Engine(backbones.create("nano", tokenizer, seed=0))
    served.adapters.load("served", run.folder / "adapter")
    inputs = [TASK.input(text=row["input.text"]) for row in table]
    for row, one in zip(table, Application(TASK, served, "served").predict(inputs), strict=True):
        scored = row["adapter.probability.positive"]
        assert scored == pytest.approx(one.probabilities["positive"], abs=1e-5)


def test_the_matrix_catches_adapters_that_answer_for_each_other(trained, unseen):
    engine, _ = trained
    few = unseen.examples[::10]
    cells = []
    for name, adapter in (("base", None), ("sentiment", "mislabelled"), ("spam", "good")):
        cells.append(cross_task._cell(name, Application(TASK, engine, adapter), few))
    found = cross_task.Matrix(("base", "sentiment", "spam"), ("sentiment",), tuple(cells))
    assert len(found.suspicions()) == 1 and "with 'spam'" in found.suspicions()[0]
    right = cross_task._cell("sentiment", Application(TASK, engine, "good"), few)
    fine = cross_task.Matrix(("base", "sentiment"), ("sentiment",), (cells[0], right))
    assert fine.suspicions() == []


def test_the_matrix_suspects_nothing_on_a_few_rows():
    def cell(name, nats):
        cost = sum(nats)
        return cross_task.Cell(
            adapter=name, task="spam", metric="mcc", value=1, bits_per_byte=cost, rows=4, nats=nats
        )

    def matrix(own, other):
        return cross_task.Matrix(
            ("base", "spam"), ("spam",), (cell("base", other), cell("spam", own))
        )

    own, other = (0.4, 0.5, 0.2, 0.3), (0.1, 0.2, 0.1, 0.2)
    assert matrix(own, other).suspicions() == []  # chance turns four of four one way too often
    assert len(matrix(own * 3, other * 3).suspicions()) == 1
    assert matrix(own * 3, own * 3).suspicions() == []
    assert "nats" not in matrix(own, other).as_json()["cells"][0]


@pytest.mark.parametrize("given", [["--data", "rows.csv"], ["--base"], ["--split", "test"]])
def test_the_matrix_takes_no_rows_but_its_own(given, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["quintet", "evaluate", "--matrix", *given])
    with pytest.raises(SystemExit) as ended:
        quintet.main()
    assert ended.value.code == 2
    assert "--matrix asks the served adapters about bundled rows" in capsys.readouterr().err


def test_no_rows_are_an_error(trained):
    with pytest.raises(BadData, match="holds no rows"):
        judged(trained[0], Reading(by_row=()), "good")


def test_several_seeds_give_mean_and_spread(tmp_path, tokenizer):
    request = Request(
        task=TASK,
        sources=(written(tmp_path / "rows.jsonl", rows(PLACES[:2])),),
        settings=QUICK.model_copy(update={"max_steps": 3}),
        output=tmp_path / "several",
        device="cpu",
    )
    engine = Engine(backbones.create("nano", tokenizer, seed=0))
    folder, runs = seeds.finetune_all(request, engine, seeds.parsed("3, 4"), QUIET)
    found = json.loads((folder / "seeds.json").read_text())
    values = [run.passport.metrics["accuracy"] for run in runs]
    assert found["seeds"] == [3, 4] == [run.passport.seed for run in runs]
    assert found["metrics"]["accuracy"]["mean"] == pytest.approx(sum(values) / 2)
    assert found["metrics"]["accuracy"]["lowest"] == min(values)
    assert (folder / "seed-4" / "report" / "report.html").is_file()
    with pytest.raises(BadSetting, match="two or more different"):
        seeds.parsed("1,1")
