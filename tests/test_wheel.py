"""The wheel, installed elsewhere, is whole: its data are in it, and the command answers from it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from quintet.packages import NAMES

ROOT = Path(__file__).parents[1]
NOT_SHIPPED = shutil.ignore_patterns("__pycache__", "*.pyi")


def done(*command: object, cwd: Path, **environment: str) -> str:
    found = subprocess.run(
        [str(part) for part in command], cwd=cwd, env={**os.environ, **environment},
        capture_output=True, text=True, timeout=400,
    )  # fmt: skip
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    for package in ("quintet", *(name for name in NAMES if (ROOT / name).is_dir())):
        shutil.copytree(ROOT / package, folder / package, ignore=NOT_SHIPPED)
    return folder


@pytest.fixture(scope="module")
def wheel(source, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    options = ("--wheel", "--no-isolation", "--outdir", folder)
    done(sys.executable, "-m", "build", *options, source, cwd=source, PYTHONPATH="")
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    pip = (
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--no-compile",
        "--target",
        folder,
        wheel,
    )
    done(sys.executable, *pip, cwd=folder)
    return folder


def test_every_file_of_the_packages_is_in_it(source, wheel):
    there = set(zipfile.ZipFile(wheel).namelist())
    wanted = {
        str(path.relative_to(source))
        for package in (source / name for name in ("quintet", *NAMES))
        for path in package.rglob("*")
        if path.is_file()
    }
    assert wanted - there == set()
    assert {"quintet/py.typed", "core/py.typed", "apps/samples/qa/test.jsonl"} <= there
    assert any(name.endswith("report.html.j2") for name in there)


def test_it_answers_in_a_folder_with_packages_of_our_names(installed, tmp_path):
    for name in (*NAMES, "typer"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"raise SystemExit('the {name} of the user')")
    said = done(
        *(sys.executable, "-m", "quintet", "predict", "sentiment", "What a warm film!"),
        *("--backbone", "mini"),
        cwd=tmp_path, PYTHONPATH=str(installed), QUINTET_HOME=str(tmp_path / "home"),
    )  # fmt: skip
    assert said.split()[0] in ("positive", "negative")


def test_the_script_shows_the_commands(installed, tmp_path):
    said = done(installed / "bin" / "quintet", "--help", cwd=tmp_path, PYTHONPATH=str(installed))
    assert "quickstart" in said and "adapters" in said


def test_another_package_of_our_name_is_named(installed, tmp_path):
    (tmp_path / "core.py").write_text("")
    program = (
        "import core, quintet\ntry: quintet.load('spam')\nexcept ImportError as error: print(error)"
    )
    said = done(sys.executable, "-c", program, cwd=tmp_path, PYTHONPATH=str(installed))
    assert str(tmp_path / "core.py") in said and "Rename yours" in said
