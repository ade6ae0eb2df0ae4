"""Where backbones, adapters and runs live on disk: folders, atomic writes, hashes."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import platformdirs

from core.errors import Damaged

SHIPPED = Path(__file__).parent / "pretrained"


def home() -> Path:
    """`$QUINTET_HOME`, or the platform's user data folder."""
    return Path(os.environ.get("QUINTET_HOME") or platformdirs.user_data_path("quintet"))


def shipped_backbone() -> Path:
    """The backbone in the package."""
    return SHIPPED / "backbone"


def write_text(path: Path, text: str) -> None:
    """Write to a temporary name beside `path`, then rename: a reader never sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(path)
    try:
        # Opened like any file, so that the umask decides who may read it.
        with temporary.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}")


def write_json(path: Path, value: Any) -> None:
    """`value` as indented JSON, atomically."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A temporary folder that becomes `path` when the block ends well, and vanishes otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary, retired = _beside(path), _beside(path)
    temporary.mkdir()
    try:
        yield temporary
        obey_umask(temporary)
        if path.exists():
            os.replace(path, retired)
        os.replace(temporary, path)
    finally:
        for leftover in (temporary, retired):
            shutil.rmtree(leftover, ignore_errors=True)


def obey_umask(folder: Path) -> None:
    """Files that libraries wrote for the owner alone get what the umask gave the folder."""
    mode = folder.stat().st_mode & 0o666
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            path.chmod(mode)


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
