"""A folder of files in, answers and a summary out: restartable, and the same on Ray."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

import apps
from core import backbone as backbones
from core.application import Application
from core.engine.engine import Engine
from core.errors import BadData, BadSetting
from finetune.workflows.folders import on_ray, parts, summary
from finetune.workflows.folders.parts import Options
from finetune.workflows.folders.predict_folder import predict_folder

ROWS = 90


def opened(folder: Path, slow: float = 0.0) -> Application:
    """The bare backbone as the sentiment application; in an actor as well as here."""
    application = Application(apps.load("sentiment"), Engine(backbones.load(folder)))
    if slow:
        predict = application.predict

        def slowly(*arguments, **options):
            time.sleep(slow)
            return predict(*arguments, **options)

        application.predict = slowly  # type: ignore[method-assign]
    return application


@pytest.fixture(scope="module")
def nano(tokenizer, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("backbone") / "nano"
    backbones.save(backbones.create("nano", tokenizer), folder)
    return folder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Three files of different kinds, one in a folder below."""
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    rows = [
        {"text": f"number {n} is | <b>here</b>", "source": f"s{n % 2}", "date": f"2026-0{n % 3 + 1}-05"}
        for n in range(ROWS)
    ]  # fmt: skip
    (folder / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[:40]))
    (folder / "sub" / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[40:80]))
    lines = [f"{row['text']},{row['source']},{row['date']}" for row in rows[80:]]
    (folder / "b.csv").write_text("\n".join(["text,source,date", *lines]) + "\n")
    return folder


def answers(output: Path) -> dict[str, dict]:
    rows = [
        json.loads(line)
        for path in sorted((output / "answers").rglob("*.jsonl"))
        for line in path.read_text().splitlines()
    ]
    assert len({row["text"] for row in rows}) == len(rows), "A row was answered twice."
    return {row["text"]: row for row in rows}


def test_every_row_of_every_file_is_answered_and_summed_up(nano, source, tmp_path):
    found = predict_folder(partial(opened, nano), source, tmp_path / "out", Options())
    got = answers(tmp_path / "out")
    application = opened(nano)
    texts = list(got)
    for text, one in zip(
        texts, application.predict([application.input(t) for t in texts]), strict=True
    ):
        assert got[text]["prediction"] == one.text
        assert got[text]["probability_positive"] == pytest.approx(
            one.probabilities["positive"], abs=1e-4
        )
    counts = Counter(row["prediction"] for row in got.values())
    assert found.rows == ROWS and {s.label: s.rows for s in found.shares} == {
        label: counts[label] for label in ("negative", "positive")
    }
    assert set(found.groups) == {"source", "month of date"}
    assert sum(s.rows for s in found.groups["source"]["s0"]) == ROWS // 2
    sure = sorted(max(r["probability_positive"], r["probability_negative"]) for r in got.values())
    (first, last) = found.surest[0], found.least_sure[0]
    assert max(first["probability_positive"], first["probability_negative"]) == sure[-1]
    assert max(last["probability_positive"], last["probability_negative"]) == sure[0]
    page = (tmp_path / "out" / "summary.md").read_text()
    assert "## By month of date" in page and "<b>" not in page and "\\|" in page
    assert (tmp_path / "out" / "shares.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("output", "way_out"),
    [("answers.csv", "answers-answers"), ("in/b.csv", "b-answers"), ("in", "holds the rows"),
     (".", "holds the rows")],
)  # fmt: skip
def test_an_output_that_is_no_folder_of_its_own_is_told_before_the_backbone_loads(
    source, tmp_path, output, way_out
):
    with pytest.raises(BadSetting, match=way_out):
        predict_folder(lambda: pytest.fail("It was loaded."), source, tmp_path / output, Options())


def test_intervals_are_wilsons():
    (one, other) = summary.shares(Counter(spam=1, ham=9), ("spam", "ham"))
    assert (one.low, one.high) == pytest.approx((0.0179, 0.4042), abs=1e-3)
    assert other.share == 0.9 and other.high < 1


def test_a_torn_run_goes_on_where_it_was_cut(nano, source, tmp_path):
    opener, output = partial(opened, nano), tmp_path / "out"
    predict_folder(opener, source, output, Options())
    whole = answers(output)
    torn = output / "answers" / "a.jsonl.jsonl"
    kept = torn.with_name(f".{torn.name}.partial")
    kept.write_bytes(b"".join(torn.read_bytes().splitlines(keepends=True)[:7]) + b'{"text": "ha')
    torn.unlink()
    first = kept.read_bytes().splitlines()[0]
    predict_folder(opener, source, output, Options())
    assert torn.read_bytes().splitlines()[0] == first and not kept.exists()
    assert {t: r["prediction"] for t, r in answers(output).items()} == {
        t: r["prediction"] for t, r in whole.items()
    }


def test_answers_of_other_options_or_files_are_not_gone_on_with(nano, source, tmp_path):
    opener, output = partial(opened, nano), tmp_path / "out"
    predict_folder(opener, source, output, Options())
    with pytest.raises(BadSetting, match="--overwrite"):
        predict_folder(opener, source, output, Options(batch_size=4))
    (source / "b.csv").write_text("text,source,date\nnew,s0,2026-01-01\n")
    with pytest.raises(BadSetting, match="other files"):
        predict_folder(opener, source, output, Options())
    found = predict_folder(opener, source, output, Options(), overwrite=True)
    assert found.rows == 81
    with pytest.raises(BadSetting, match="not empty"):
        predict_folder(opener, tmp_path / "out" / "answers", source, Options())


def test_a_bad_row_is_named_or_kept_with_its_reason(nano, source, tmp_path):
    (source / "c.jsonl").write_text('{"text": "good"}\n{"text": " "}\n')
    opener = partial(opened, nano)
    with pytest.raises(BadData, match=r"c\.jsonl, line 2.*--skip-bad"):
        predict_folder(opener, source, tmp_path / "out", Options())
    found = predict_folder(opener, source, tmp_path / "out2", Options(skip_bad=True))
    assert (found.rows, found.unanswered) == (ROWS + 2, 1)
    lines = (tmp_path / "out2/answers/c.jsonl.jsonl").read_text().splitlines()
    assert "is empty" in json.loads(lines[1])["problem"]


def test_no_more_rows_are_held_than_a_block(nano, tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    many = "".join(f'{{"text": "row {n}"}}\n' for n in range(3000))
    (tmp_path / "in" / "a.jsonl").write_text(many)
    sizes = []
    application = opened(nano)
    predict = application.predict
    monkeypatch.setattr(
        application,
        "predict",
        lambda rows, **more: sizes.append(len(rows)) or predict(rows, **more),
    )
    monkeypatch.setattr(parts, "_BATCHES", 4)
    predict_folder(lambda: application, tmp_path / "in", tmp_path / "out", Options())
    assert max(sizes) == 64 and sum(sizes) == 3000


def test_ray_that_is_not_installed_is_told_before_the_backbone_loads(source, tmp_path, monkeypatch):
    monkeypatch.setattr(on_ray, "find_spec", lambda name: None)
    with pytest.raises(BadSetting, match=r"quintet\[ray\]"):
        predict_folder(
            lambda: pytest.fail("loaded"), source, tmp_path / "out", Options(), engine="ray"
        )


def test_ray_answers_the_same_and_does_a_killed_actors_rows_again(nano, source, tmp_path):
    pytest.importorskip("ray")
    code = """
import functools, sys, test_predict_folder as t
from pathlib import Path
from finetune.workflows.folders.predict_folder import predict_folder
if __name__ == "__main__":
    nano, source, output = map(Path, sys.argv[1:])
    predict_folder(functools.partial(t.opened, nano, 0.5), source, output, t.Options(batch_size=1),
                   engine="ray", workers=1)
"""
    root = Path(__file__).parents[1]
    env = {**os.environ, "PYTHONPATH": f"{root}:{root / 'tests'}",
           "RAY_worker_niceness": "0"}  # fmt: skip
    run = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", code, str(nano), str(source), str(tmp_path / "out")],
        env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        killed = _kill_an_actor(tmp_path / "out", run)
        said, _ = run.communicate(timeout=300)
    finally:
        run.kill()
    assert run.returncode == 0 and killed, said[-2000:]
    local = tmp_path / "local"
    predict_folder(partial(opened, nano), source, local, Options(batch_size=1))
    expected, got = answers(local), answers(tmp_path / "out")
    assert {t: r["prediction"] for t, r in got.items()} == {
        t: r["prediction"] for t, r in expected.items()
    }


def _kill_an_actor(output: Path, run: subprocess.Popen) -> bool:
    """Kill the process that writes the first answers."""
    import psutil

    while run.poll() is None:
        for kept in output.rglob(".*.partial"):
            if kept.stat().st_size == 0:
                continue
            for process in psutil.process_iter(["cmdline"]):
                title = " ".join(process.info["cmdline"] or ())
                if title.startswith("ray::Answerer"):
                    process.send_signal(signal.SIGKILL)
                    return True
        time.sleep(0.05)
    return False
