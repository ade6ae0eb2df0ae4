"""Every command of both READMEs is one that the command line knows, with its options and values."""

from __future__ import annotations

import ast
import inspect
import json
import re
import shlex
from pathlib import Path

import pytest
import typer

import quintet
from commands import options, table
from finetune import settings

ROOT = Path(__file__).parents[1]
READMES = ("README.md", "README.zh.md")
PROGRAMS = ("quintet ", "torchrun ")


def blocks(readme: str, language: str = "") -> list[str]:
    """Its code in a language; commands name none."""
    text = (ROOT / readme).read_text(encoding="utf-8")
    fences = re.findall(r"^```(\w*)\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    return [code for named, code in fences if named == language]


def shown(readme: str) -> list[str]:
    lines = "".join(blocks(readme)).splitlines()
    return [line for line in lines if line.startswith(PROGRAMS)]


PYTHON = [code for readme in READMES for code in blocks(readme, "python")]
LINES = list(dict.fromkeys(line for readme in READMES for line in shown(readme)))
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


@pytest.mark.parametrize("program", PYTHON)
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


@pytest.mark.parametrize("readme", READMES)
def test_the_readme_shows_commands(readme):
    assert len(shown(readme)) > 25


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


def cells(*rows: tuple[object, ...]) -> str:
    return "".join(",".join(map(str, row)) + "\n" for row in rows)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Somebody's files, under the names that the README gives them."""
    mails = [(f"come at {n}", "ham") if n % 2 else (f"win {n} now", "spam") for n in range(60)]
    stars = [(f"a film of {n} hours", n % 5 + 1) for n in range(80)]
    said = (json.dumps({"text": text, "label": label}) for text, label in mails)
    (tmp_path / "mails.csv").write_text(cells(("text", "label"), *mails))
    (tmp_path / "reviews").mkdir()
    (tmp_path / "reviews" / "train.csv").write_text(cells(("text", "stars"), *stars))
    (tmp_path / "said.jsonl").write_text("\n".join(said))
    monkeypatch.chdir(tmp_path)
    return tmp_path


LEARNING = [
    line
    for line in LINES
    if line.startswith("quintet finetune") and "--data" in line and "--backbone" not in line
]


@pytest.mark.parametrize("line", LEARNING)
def test_its_data_can_be_learned_as_it_says(line, folder, capsys):
    words = [word for word in arguments(line) if word not in ("--dry-run", "--install")]
    app = typer.main.get_command(table.app)
    app([*words, "--backbone", "mini", "--dry-run"], standalone_mode=False)
    assert "to learn" in capsys.readouterr().err


def test_keys_are_neither_committed_nor_in_the_image():
    lines = "".join(blocks("README.md"))
    (keys,) = set(re.findall(r"QUINTET_API_KEYS=(\S+)", lines))
    assert f"/{keys}:/run/secrets/" in lines
    assert keys in (ROOT / ".dockerignore").read_text().split()
    assert f"/{keys}" in (ROOT / ".gitignore").read_text().split()


@pytest.mark.parametrize("readme", READMES)
def test_its_targets_of_make_are_there(readme):
    targets = re.findall(r"^make (\w+)", "".join(blocks(readme)), re.MULTILINE)
    makefile = (ROOT / "Makefile").read_text()
    assert targets and all(f"\n{target}:" in makefile for target in targets)
