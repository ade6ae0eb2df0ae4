"""Where backbones, adapters and runs live on disk: folders, atomic writes, hashes, passports."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import platformdirs

from core.errors import Damaged, MissingAdapter
from core.adapters.passport import PASSPORT, Passport, read_passport

SHIPPED = Path(__file__).parent / "pretrained"

__all__ = ["PASSPORT", "Passport", "read_passport"]  # they live in `core/passport.py`


def home() -> Path:
    """`$QUINTET_HOME`, or the platform's user data folder."""
    return Path(os.environ.get("QUINTET_HOME") or platformdirs.user_data_path("quintet"))


def shipped_backbone() -> Path:
    """The backbone in the package."""
    return SHIPPED / "backbone"


def write_text(path: Path, text: str) -> None:
    """Write to a temporary name beside `path`, then rename: a reader never sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any) -> None:
    """`value` as indented JSON, atomically."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A temporary folder that becomes `path` when the block ends well, and vanishes otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        yield temporary
        temporary.chmod(0o755)
        if path.exists():
            retired = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.old."))
            os.replace(path, retired / "folder")
            os.replace(temporary, path)
            shutil.rmtree(retired)
        else:
            os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def file_hash(path: Path) -> str:
    """sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def new_run(root: Path, task: str, name: str) -> Path:
    """A fresh folder `root/task/<time>-<name>`; an existing one is never taken."""
    stem = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{re.sub(r'[^A-Za-z0-9._-]+', '-', name)[:40]}"
    for number in range(1, 1000):
        path = root / task / (stem if number == 1 else f"{stem}-{number}")
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            continue
        return path
    raise Damaged(f"{root / task} is full of runs of this second.")


def installed_versions(task: str) -> dict[int, Path]:
    """Version number -> folder of every installed adapter of the task."""
    root = home() / "adapters" / task
    found = {int(p.name): p for p in root.glob("*") if p.name.isdecimal()} if root.is_dir() else {}
    return dict(sorted(found.items()))


def find_adapter(name: str) -> Path:
    """Folder of the adapter served under 'task' or 'task@version': installed before shipped."""
    task, _, version = name.partition("@")
    versions = installed_versions(task)
    if version:
        if not version.isdecimal() or int(version) not in versions:
            known = ", ".join(map(str, versions)) or "none"
            raise MissingAdapter(f"No version {version!r} of {task}; installed versions: {known}.")
        return versions[int(version)]
    if versions:
        return versions[max(versions)]
    shipped = SHIPPED / "adapters" / task
    if shipped.is_dir():
        return shipped
    raise MissingAdapter(f"No adapter for {task!r}. Train one: quintet finetune {task} --install")


def served(task: str) -> bool:
    """Whether an adapter for the task is installed or shipped."""
    return bool(installed_versions(task)) or (SHIPPED / "adapters" / task).is_dir()


def install(run: Path) -> Path:
    """Copy a run's adapter to the home folder as the next version, the one that is served."""
    source = run / "adapter" if (run / "adapter").is_dir() else run
    task = read_passport(source).task
    number = max(installed_versions(task), default=0) + 1
    target = home() / "adapters" / task / str(number)
    with new_folder(target) as folder:
        shutil.copytree(source, folder, dirs_exist_ok=True)
    return target


def code_version() -> str:
    """The version of the package, and 8 hex digits over its source files."""
    root = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for folder in ("core", "apps", "finetune"):
        for path in sorted((root / folder).rglob("*.py")):
            digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return f"{library_versions().get('quintet', 'unknown')}+{digest.hexdigest()[:8]}"


def library_versions() -> dict[str, str]:
    """Version of every library that shapes the numbers; those not installed are left out."""
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in ("quintet", "torch", "transformers", "peft", "accelerate", "tokenizers"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
