"""What the page 'Train' is made of: the form's command, processes that outlive it, runs found on disk."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from pathlib import Path

import pytest
import yaml

import apps
from commands.naming import naming
from core.errors import BadInput
from demos.answers.reached import Reached, card_of, reached, verdict
from demos.said import Said, html
from demos.train import html as train_html
from demos.train import jobs, plots, run_list, runs
from demos.train.form import Wanted, kept_upload
from demos.train.plots import Line, chart, ticks

TASKS = {name: apps.load(name) for name in apps.names()}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["", *_source()]).strip(os.pathsep))
    return tmp_path


def _source() -> list[str]:
    return [str(Path(__file__).parent.parent)]


def a_run(name: str = "20260101-120000-finetune", task: str = "spam", **settings) -> Path:
    folder = runs.RUNS / task / name
    folder.mkdir(parents=True)
    about = {"task": task, "backbone": "mini", "data": ["mails.csv"], **settings}
    (folder / "config.yaml").write_text(yaml.safe_dump(about))
    return folder


def log(folder: Path, *lines: dict, torn: str = "") -> None:
    text = "".join(f"{json.dumps(line)}\n" for line in lines)
    (folder / "log.jsonl").write_text(text + torn)


def scored(folder: Path, **passport) -> None:
    (folder / "adapter").mkdir()
    found = {"metrics": {"mcc": 0.5}, "baseline": {"mcc": 0.25}, "rows": 80, **passport}
    (folder / "adapter" / "passport.json").write_text(json.dumps(found))


def quiet(folder: Path) -> None:
    """As if nothing had been logged for an hour."""
    past = time.time() - 3600
    os.utime(folder / "log.jsonl", (past, past))


def ended(job: jobs.Job) -> jobs.Job:
    for _ in range(600):
        if job.succeeded is not None:
            return job
        time.sleep(0.05)
    raise TimeoutError(job.console)


def test_the_form_is_the_command_that_does_the_same():
    wanted = Wanted(
        task="spam", backbone="mini", data="a b.csv\nmore.csv", epochs=2, limit=9, from_base=True,
        more="--lora.r 16 --map text=body",
    )  # fmt: skip
    assert jobs.command(wanted.arguments("--output", "runs/x")) == (
        "quintet finetune spam --data 'a b.csv' --data more.csv --backbone mini "
        "--num-train-epochs 2 --limit 9 --from-base --lora.r 16 --map text=body --output runs/x"
    )
    assert jobs.command(wanted.check() or []) == (
        "quintet data check 'a b.csv' --task spam --backbone mini --map text=body"
    )
    assert Wanted(task="spam", backbone="mini").check() is None
    assert Wanted(task="spam", backbone="mini", data="a.csv").check() == [
        "data", "check", "a.csv", "--task", "spam", "--backbone", "mini",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("--output x", "--output cannot be given here"),
        ("--data=x", "--data=x cannot be given here"),
        ("rm -rf /", "'rm' is no option"),
        ("--key 'open", "cannot be read"),
    ],
)
def test_options_that_the_page_gives_itself_are_refused(more, message):
    with pytest.raises(BadInput, match=message):
        Wanted(task="spam", backbone="mini", more=more).arguments()


def test_a_file_that_was_brought_stays_where_a_resumed_run_finds_it(tmp_path):
    (tmp_path / "mails.csv").write_text("text,label\n")
    kept = kept_upload(str(tmp_path / "mails.csv"))
    assert kept.name == "mails.csv"
    assert kept.read_text() == "text,label\n"
    assert "uploads" in kept.parts


def test_a_job_prints_ends_and_is_found_again_without_memory():
    job = ended(jobs.start(["feedback", "list", "--json"]))
    assert (job.console, job.succeeded, job.running) == ("[]", True, False)
    assert jobs.find(job.name) == job
    assert jobs.every() == [job]
    failed = ended(jobs.start(["adapters", "rollback", "nothing"]))
    assert failed.succeeded is False
    assert failed.console.startswith("error: Unknown task 'nothing'")
    with pytest.raises(BadInput, match="no job"):
        jobs.find("../x")


@pytest.mark.parametrize("handler", [signal.default_int_handler, signal.SIG_IGN])
def test_a_job_has_a_session_of_its_own_and_is_stopped(handler):
    """Also from pages that ignore Ctrl-C themselves, as whatever a script starts in the background does."""
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port = str(bound.getsockname()[1])
    before = signal.signal(signal.SIGINT, handler)
    try:
        job = jobs.start(["demo", "--no-browser", "--backbone", "mini", "--port", port])
    finally:
        signal.signal(signal.SIGINT, before)
    assert os.getsid(job.process) == job.process != os.getsid(0)
    time.sleep(1)
    assert job.running
    job.stop()
    assert ended(job).succeeded is False


def test_the_number_of_a_process_that_is_another_by_now_is_not_taken_for_it():
    job = jobs.Job(name="x", arguments=(), process=os.getpid(), created=0.0, started="")
    assert not job.running


def test_a_bar_that_redraws_itself_is_shown_as_it_was_last():
    job = jobs.Job(name="x", arguments=(), process=0, created=0.0, started="")
    job.folder.mkdir(parents=True)
    (job.folder / "console.txt").write_bytes("one\rtwo\rthree\r\n行\n".encode())
    assert job.console == "three\n行"


def test_a_run_of_yesterday_is_found_with_its_curves_and_its_score():
    folder = a_run()
    log(
        folder, {"step": 1, "tokens": 9, "loss": 2.0, "learning_rate": 0.1, "progress": 1 / 8},
        {"step": 2, "tokens": 18, "loss": 1.0, "learning_rate": 0.2, "tokens_per_second": 7},
        {"step": 3, "tokens": 27, "loss": 0.7, "learning_rate": 0.2},
        {"step": 4, "tokens": 36, "loss": 0.5, "learning_rate": 0.15},
        {"step": 5, "tokens": 45, "loss": 0.4, "learning_rate": 0.1, "progress": 5 / 6},
        {"step": 5, "tokens": 45, "mcc": 0.4, "accuracy": 0.7}, torn='{"step": 6, "lo',
    )  # fmt: skip
    (run,) = runs.find()
    found = runs.read_log(run.folder)
    assert (run.name, run.backbone) == ("spam/20260101-120000-finetune", "mini")
    assert found.loss == ((1, 2.0), (2, 1.0), (3, 0.7), (4, 0.5), (5, 0.4))
    assert found.metrics == {"mcc": ((5, 0.4),), "accuracy": ((5, 0.7),)}
    assert (found.steps, found.tokens_per_second) == (5, 7)
    assert runs.planned_steps(run) == 6
    assert reached(run.adapter, run.scores, TASKS["spam"]) is None
    scored(folder)
    (run,) = runs.find()
    found = reached(run.adapter, run.scores, TASKS["spam"])
    assert found == Reached(metric="mcc", value="0.500", rows="80", baseline="", other="0.250")
    assert "5 of at most 6 steps" in train_html.shown(run, TASKS["spam"], naming())


def test_what_a_card_says_stands_where_a_reader_looks_and_not_the_score_beside_it():
    """One adapter, one figure: the card leaves out the rows that were learned, the passport does not."""
    folder = a_run()
    scored(folder, baseline_name="majority")
    (folder / "adapter" / "README.md").write_text(
        "**On 1,072 rows that had not been seen before, 'adapter' reached MCC 0.431 (0.400 to 0.470): "
        "clearly better than the best trivial baseline, 'TF-IDF' at 0.267 (p ≤ 0.001).**"
    )
    run, task = runs.find()[0], TASKS["spam"]
    above = verdict(card_of(run.adapter)).score(task, naming()).en
    for shown in (
        above,
        reached(run.adapter, run.scores, task).said(task, naming()).en,
        train_html.shown(run, task, naming()),
        train_html.compared([run], TASKS, naming()),
    ):
        assert "MCC 0.431" in shown
        assert "1,072" in shown
        assert "0.500" not in shown
    assert "(TF-IDF) 0.267" in train_html.shown(run, task, naming())


def test_the_mean_of_directions_is_what_a_translation_reached():
    scores = {"metrics": {"chrf_en_zh": 10, "chrf_zh_en": 20}, "baseline": {"chrf_en_zh": 1}}
    found = reached(Path("none"), {**scores, "rows": 1280}, TASKS["translation"])
    assert found.said(TASKS["translation"], naming()).en == "chrF (mean) 15.0 on 1,280 rows"
    assert not found.other


def test_a_run_says_where_it_stands():
    folder = a_run()
    (run,) = runs.find()
    assert train_html.state_of(run) == "failed"
    log(folder, {"step": 1, "loss": 1.0})
    assert train_html.state_of(run) == "running"  # started in a terminal
    quiet(folder)
    (folder / "checkpoint-5").mkdir()
    assert train_html.state_of(run) == "stopped"
    scored(folder)
    (run,) = runs.find()
    assert train_html.state_of(run) == "done"


def test_a_run_that_was_only_just_started_is_listed(tmp_path):
    folder = runs.fresh_folder("spam")
    job = jobs.start(["finetune", "spam", "--data", "missing.csv", "--output", str(folder)])
    (run,) = run_list.known(TASKS)
    assert (run.folder, run.settings) == (folder, {})
    assert jobs.of_folder(folder) == job
    ended(job)
    assert train_html.state_of(run) == "failed"
    assert "missing.csv" in job.console


def test_runs_are_compared_in_a_table_and_a_plot():
    for name, value in (("a", 0.5), ("b", 0.7)):
        folder = a_run(name)
        log(folder, {"step": 1, "loss": 2.0}, {"step": 2, "loss": value}, {"step": 2, "mcc": value})
        scored(folder, metrics={"mcc": value})
    found = train_html.compared(runs.find(), TASKS, naming())
    assert found.count("<tr>") == 3
    assert found.count("<figure") == 2
    value = html(Said("MCC 0.700 on 80 rows", "马修斯相关系数 0.700（80 行）"))
    assert f"<td>{value}</td>" in found
    assert "spam/a: 2 at 1, 0.5 at 2" in found


def test_what_files_hold_is_text_in_the_page():
    folder = a_run("<img src=x>", backbone="<b>")
    (folder / "report").mkdir()
    (folder / "report" / "report.html").write_text('<p title="a">"quoted"</p>')
    (run,) = runs.find()
    shown = train_html.shown(run, TASKS["spam"], naming()) + train_html.compared(
        [run], TASKS, naming()
    )
    assert "<img" not in shown
    assert "<b>" not in shown
    frame = train_html.report(run)
    assert frame.count('"') == 6  # none of the report ends the attribute
    assert 'sandbox=""' in frame


def test_a_report_is_shown_in_the_language_of_the_page():
    folder = a_run()
    (run,) = runs.find()
    assert "There is no report yet" in train_html.report(run)
    (folder / "report").mkdir()
    (folder / "report" / "report.html").write_text("its report")
    assert train_html.report(run).count("<iframe") == 1
    (folder / "report" / "report.zh.html").write_text("它的报告")
    english, chinese = train_html.report(run).split('<div class="said" lang="zh">')
    assert "its report" in english
    assert "它的报告" in chinese


def test_a_long_noisy_curve_is_drawn_with_its_moving_mean():
    points = [(float(step), float(step % 2)) for step in range(1, 101)]
    drawn = chart(Said("Loss", "损失"), [Line("a", points)])
    assert drawn.count("<path") == 2
    assert "Thick: the mean of 5 points" in drawn
    *_, last = plots._mean(points, 5)
    assert last == (100.0, pytest.approx(2 / 5))  # 0, 1, 0, 1, 0
    assert chart(Said("Loss", "损失"), [Line("a", points[:59])]).count("<path") == 1
    assert (plots.score(0.85), plots.score(67.1), plots.score(1), plots.score(100)) == (
        "0.850", "67.1", "1.00", "100",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (0.2, 0.21), (-3, 7), (5, 5), (0, 0), (1e-9, 2e-9), (0, 12345)]
)
def test_ticks_are_few_round_and_around(low, high):
    found = ticks(low, high)
    assert found[0] <= low <= high <= found[-1] * (1 + 1e-9)
    assert 2 <= len(found) <= 8
    assert found == sorted(set(found))


def test_a_chart_names_what_it_shows_and_leaves_out_what_is_empty():
    drawn = chart(Said("Loss", "损失"), [Line("a<b", [(1, 2.0), (9, 0.5)]), Line("none", [])])
    assert 'aria-label="a&lt;b: 2 at 1, 0.5 at 9"' in drawn
    assert drawn.count("<path") == 1
    assert "损失" in drawn
    assert chart(Said("x", "x"), []) == ""
