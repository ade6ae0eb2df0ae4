"""What a person watches: step and time left stay whole in a terminal of 80 columns."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from finetune.training import loop
from finetune.workflows import progress


def screen(width: int) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=width, soft_wrap=True)


def last_line(console: Console) -> str:
    said = console.file.getvalue()
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said).replace("\r", "\n")
    return [line.rstrip() for line in plain.splitlines() if line.strip()][-1]


def seen(step: int) -> loop.Progress:
    return loop.Progress(
        step=step, steps=12_345, loss=0.6931, tokens_per_second=12_345.6, flops_utilization=0.55,
        metrics={"macro_f1": 0.81234, "bits_per_byte": 1.23456},
    )  # fmt: skip


@pytest.mark.parametrize("width", [80, 120])
def test_training_keeps_step_and_time_left(width):
    console = screen(width)
    with progress.training(console, "fine-tuning translation") as told:
        told(seen(1))
        told(seen(678))
    line = last_line(console)
    assert "678/12345" in line and "left" in line and "loss 0.693" in line
    assert re.search(r"\d:\d\d:\d\d|-:--:--", line)
    assert len(line) <= width


def test_a_long_title_is_cut_before_the_count():
    console = screen(80)
    with progress.counting(console, "scoring " + "a task with a very long name " * 4) as told:
        told(3, 12_345)
    line = last_line(console)
    assert "3/12345" in line and "left" in line and len(line) <= 80


def test_what_is_done_tells_the_time_it_took_and_none_left():
    console = screen(80)
    with progress.training(console, "fine-tuning spam") as told:
        told(seen(12_345))
    line = last_line(console)
    assert "12345/12345" in line and "in all" in line and "left" not in line
