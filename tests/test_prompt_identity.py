"""A prompt is identified by its function: every branch counts, formatting and samples do not."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest

import apps
from core.task import Choice, Criterion, Input, Task

PLAIN = '''
from core.language import language_of
from core.task import Choice, Criterion, Input, Task
from pydantic import Field

_FRAME = "Message"

class Line(Input):
    """A line."""
    text: str = Field(title="Line", description="One.")
    loud: bool = False

    @property
    def shown(self) -> str:
        return self.text.strip()

def _framed(text: str) -> str:
    return f"{_FRAME}: {text}"

def prompt(line: Line) -> str:
    """Frame it."""
    if line.loud and language_of(line.text) == "zh":
        return f"{line.shown}!"
    return _framed(line.shown)  # the usual way

task = Task(
    title="Lines", description="", input=Line, columns=(("text",),), sources=(),
    read=lambda row: [], prompt=prompt, answer=Choice(labels=("no", "yes")),
    metrics=("classification",), select_by=Criterion(metric="accuracy"), samples=(Line(text="a"),),
)
'''


def identity(folder: Path, source: str, monkeypatch) -> str:
    folder.mkdir()
    (folder / "lines.py").write_text(source)
    monkeypatch.setenv("QUINTET_APPS", str(folder))
    return apps.load("lines").prompt_hash


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('samples=(Line(text="a"),)', 'samples=(Line(text="a"), Line(text="b"))'),
        ("  # the usual way", ""),
        ('    """Frame it."""\n', '    """Put a frame around."""\n'),
        ('return f"{_FRAME}: {text}"', 'return (\n        f"{_FRAME}: "\n        f"{text}"\n    )'),
        ("text: str) -> str", "text: object) -> object"),
        ('title="Line", description="One."', 'title="行", description="Two."'),
        ("read=lambda row: []", "read=lambda row: [row]"),
    ],
    ids=["sample", "comment", "docstring", "format", "annotation", "form", "read"],
)
def test_what_changes_no_prompt_changes_no_identity(tmp_path, monkeypatch, old, new):
    assert old in PLAIN
    before = identity(tmp_path / "before", PLAIN, monkeypatch)
    assert identity(tmp_path / "after", PLAIN.replace(old, new), monkeypatch) == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('return f"{line.shown}!"', 'return f"{line.shown}?"'),
        ('_FRAME = "Message"', '_FRAME = "Mail"'),
        ('"{_FRAME}: {text}"', '"{_FRAME}; {text}"'),
        ("self.text.strip()", "self.text"),
        ('labels=("no", "yes")', 'labels=("yes", "no")'),
        ('== "zh"', '== "en"'),
        ("from core.language import language_of", "language_of = lambda text: text[:2]"),
    ],
    ids=["branch", "constant", "function", "property", "labels", "condition", "other function"],
)
def test_a_branch_that_no_sample_touches_counts(tmp_path, monkeypatch, old, new):
    assert old in PLAIN
    before = identity(tmp_path / "before", PLAIN, monkeypatch)
    assert identity(tmp_path / "after", PLAIN.replace(old, new), monkeypatch) != before


class Line(Input):
    text: str


def lines(prompt) -> Task:
    return Task(
        title="", description="", input=Line, columns=(), sources=(), read=lambda row: [],
        prompt=prompt, answer=Choice(labels=("a", "b")), metrics=(), select_by=Criterion(metric=""), samples=(),
    )  # fmt: skip


def test_what_a_function_remembers_counts():
    def framed(frame):
        return lambda line: f"{frame}{line.text}"

    one, two = (lines(framed(frame)).prompt_hash for frame in "ab")
    assert one != two and one == lines(framed("a")).prompt_hash


def test_two_lambdas_of_one_line_are_told_apart():
    one, two = lines(lambda line: line.text), lines(lambda line: line.text * 2)
    a, b = (lambda line: line.text), (lambda line: line.text * 2)
    assert len({one.prompt_hash, two.prompt_hash}) == 2
    assert [lines(a).prompt_hash, lines(b).prompt_hash] == [one.prompt_hash, two.prompt_hash]


def test_code_without_source_is_told_by_its_bytecode():
    made = {}
    exec("def one(x): return x.text\ndef two(x): return x.text + '!'", made)
    one, two = lines(made["one"]).prompt_hash, lines(made["two"]).prompt_hash
    assert one != two


def test_it_is_the_same_in_every_process():
    program = "import apps; print([apps.load(name).prompt_hash for name in apps.names()])"
    seen = {
        subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONHASHSEED": seed}, cwd=Path(__file__).parent.parent,
        ).stdout
        for seed in "12"
    }  # fmt: skip
    assert len(seen) == 1


def test_every_task_has_its_own():
    found = {apps.load(name).prompt_hash for name in apps.names()}
    assert len(found) == len(apps.names())
    spam = apps.load("spam")
    assert dataclasses.replace(spam, samples=()).prompt_hash == spam.prompt_hash
