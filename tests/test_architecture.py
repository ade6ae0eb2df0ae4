"""What ARCHITECTURE.md names is there: files of its table, functions of its walks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
PACKAGES = ("apps", "benchmarks", "commands", "core", "demos", "finetune", "quintet", "serving")


def _files(row: str) -> list[str]:
    """A name without a folder stands in the folder of the one before it."""
    folder, found = "", []
    for name in re.findall(r"`([\w/]+(?:\.py|/))`", row.split("|")[1]):
        whole = name if "/" in name.rstrip("/") or not folder else f"{folder}/{name}"
        folder = str(Path(whole).parent)
        found.append(whole)
    return found


ROWS = [row for row in TEXT.splitlines() if row.startswith("| `")]
FILES = sorted({name for row in ROWS for name in _files(row)})
STEPS = [line for line in TEXT.splitlines() if re.match(r"\d\. |   ", line)]
ENDINGS = ("json", "html", "md", "py", "yaml", "jsonl", "png", "db", "safetensors")
NAMES = set(re.findall(r"`([a-z_]+)\.([a-zA-Z_]+)`", "\n".join(STEPS)))
CALLS = sorted(one for one in NAMES if one[1] not in ENDINGS)


def test_the_table_names_much_of_the_house():
    assert len(FILES) > 100 and len(CALLS) > 10


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_the_table_is_there(name):
    assert (ROOT / name).exists()


@pytest.mark.parametrize(("module", "name"), CALLS)
def test_a_function_of_a_walk_is_there(module, name):
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    near = [path for path in files if module in (path.stem, *path.parts)]
    if not near:  # an attribute of a thing, as in `Engine.submit`
        near = files
    defined = rf"^ *(async )?(def|class) {name}\b|^ *{name}\b *[:=]"
    here = any(re.search(defined, path.read_text(encoding="utf-8"), re.MULTILINE) for path in near)
    assert here or any(path.stem == name for path in near)
