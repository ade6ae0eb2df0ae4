"""Failures of the machine are one line with a way out; faults of ours stay tracebacks."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from torch._inductor.exc import InductorError

from commands import failures
from commands.options import printable

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/runs/log"),
            "/runs/log. Free some space",
        ),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), "Permission denied: /x. Change"),
        (OSError("Cannot write /runs: it is full"), "Cannot write /runs: it is full."),
        (Exception("File too large (os error 27)"), "File too large. Files this large"),
        (
            shutil.Error([("a", "runs/a", "[Errno 28] No space left on device: 'a' -> 'runs/a'")]),
            "No space left on device: runs/a. Free some space",
        ),
        (shutil.Error([("a", "b", "it moved"), ("c", "d", "it moved")]), "b: it moved"),
        (shutil.Error("Destination 'b' exists"), "Destination 'b' exists"),
        (MemoryError(), "Out of memory"),
        (
            InductorError(Exception("no compiler"), None),
            "no compiler. Begin again with --torch-compile",
        ),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried …\nmore"),
            "Out of memory",
        ),
    ],
)
def test_a_failure_of_the_machine_is_one_line(error, words):
    said = failures.said(error)
    assert said is not None and words in said and "\n" not in said


@pytest.mark.parametrize("error", [KeyError("x"), RuntimeError("a fault"), AssertionError()])
def test_a_fault_of_ours_is_not_hidden(error):
    assert failures.said(error) is None


def quintet(*arguments: str, before: str = "") -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, after some lines of python."""
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); {before}\nimport quintet; quintet.main()"
    )
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=120
    )


def test_a_file_that_may_not_grow_ends_in_one_line(tmp_path):
    (tmp_path / "texts.jsonl").write_text('{"text": "one long text of many words"}\n' * 300)
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))"
    ended = quintet(
        *("tokenizer", "train", "--data", str(tmp_path / "texts.jsonl")),
        *("--vocab-size", "300", "--output", str(tmp_path / "tokenizer")),
        before=limit,
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: ") and ended.stderr.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["texts.jsonl"]


def test_control_characters_do_not_reach_the_terminal():
    said = printable("\x1b]0;owned\x07red\x9b31m\r\n你好\tq")
    assert said == "\\x1b]0;owned\\x07red\\x9b31m\\x0d\n你好\tq"


def test_an_error_about_a_hostile_name_is_plain(tmp_path):
    (tmp_path / "rows.csv").write_text("te\x1b[2Jxt,label\na,ham\n")
    ended = quintet(
        *("finetune", "spam", "--data", str(tmp_path / "rows.csv"), "--map", "text=x"), "--dry-run"
    )
    assert ended.returncode == 2 and "\x1b" not in ended.stderr and "x1b[2J" in ended.stderr
