"""Every command of the README is one that the command line knows, with its options and values."""

from __future__ import annotations

import ast
import inspect
import re
import shlex
from pathlib import Path

import pytest
import typer

import quintet
from commands import options, table
from finetune import settings

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
FENCES = re.findall(r"^```(\w*)\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)
BLOCKS = [text for language, text in FENCES if not language]
PROGRAMS = ("quintet ", "torchrun ")
LINES = [line for block in BLOCKS for line in block.splitlines() if line.startswith(PROGRAMS)]
SETTINGS = {"finetune": settings.FinetuneSettings, "pretrain": settings.PretrainSettings}


def arguments(line: str) -> list[str]:
    """What follows `quintet`, without the comment."""
    words = shlex.split(line, comments=True)
    return options.gathered(words[words.index("quintet") + 1 :])


def parsed(words: list[str]) -> typer.Context:
    """The context of the innermost command; unknown options and wrong values raise."""
    command, context = typer.main.get_command(table.app), None
    while True:
        name = words[0] if context else "quintet"
        rest = words[1:] if context else words
        context = command.make_context(name, list(rest), parent=context)
        if not hasattr(command, "commands"):
            return context
        words = [*context._protected_args, *context.args]
        command = command.commands[words[0]]


@pytest.mark.parametrize("program", [text for language, text in FENCES if language == "python"])
def test_a_program_calls_what_there_is(program):
    for call in ast.walk(ast.parse(program)):
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
            continue
        if isinstance(call.func.value, ast.Name) and call.func.value.id == "quintet":
            keys = {one.arg: None for one in call.keywords}
            inspect.signature(getattr(quintet, call.func.attr)).bind(*call.args, **keys)
            if call.func.attr == "finetune":
                known = inspect.signature(quintet.finetune).parameters.keys()
                assert keys.keys() - known <= settings.FinetuneSettings.model_fields.keys()


def test_the_readme_shows_commands():
    assert len(LINES) > 25


@pytest.mark.parametrize("line", LINES)
def test_a_command_is_known_with_its_options(line):
    context = parsed(arguments(line))
    kind = SETTINGS.get(context.command.name or "")
    if kind:
        settings.read(kind, None, settings.flags(context.args))
        return
    options_of_fields = settings.flags(context.args, plain=True)
    fields = options.the_task(context.params["task"]).input.model_fields if context.args else {}
    assert set(options_of_fields) <= set(fields)


@pytest.mark.parametrize("line", [line for line in LINES if "--map" in line or "--labels" in line])
def test_maps_and_labels_are_read(line):
    found = parsed(arguments(line)).params
    assert options.mapping(found.get("column_map", ""), found.get("labels", "")).described()


@pytest.mark.parametrize("target", re.findall(r"^make (\w+)", "\n".join(BLOCKS), re.MULTILINE))
def test_a_target_of_make_is_there(target):
    assert f"\n{target}:" in (Path(__file__).parents[1] / "Makefile").read_text()
