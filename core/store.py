"""Where backbones, adapters and runs live on disk: folders, atomic writes, hashes."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import platformdirs

from core.errors import BadSetting, Damaged

SHIPPED = Path(__file__).parent / "pretrained"
_LEFT = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{12}(?P<old>\.old)?")
"""What a process that was killed leaves beside the file or folder it was writing."""
_NEWEST = ".newest"
_ABANDONED = 3600.0
"""Seconds after which nobody is writing any more."""


def home() -> Path:
    """`$QUINTET_HOME`, or the platform's user data folder."""
    return Path(os.environ.get("QUINTET_HOME") or platformdirs.user_data_path("quintet"))


def shipped_backbone() -> Path:
    """The backbone in the package."""
    return SHIPPED / "backbone"


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """A temporary name that becomes `path` when the block ends well: a reader never sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent, name=path.name)
    temporary = _beside(path)
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a file of text; a reader sees the old one or the new one."""
    # Opened like any file, so that the umask decides who may read it.
    with new_file(path) as new, new.open("x", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}")


def check_writable(folder: Path) -> None:
    """Raise `BadSetting` unless `folder` is a folder that can be written to, or can be made."""
    above = next(one for one in (folder.absolute(), *folder.absolute().parents) if one.exists())
    if not above.is_dir():
        raise BadSetting(f"{above} is a file where a folder is meant. Give another --output.")
    try:
        with tempfile.TemporaryFile(dir=above):  # rights say nothing of read-only file systems
            pass
    except OSError as error:
        raise BadSetting(f"{above} is not writable. Give another --output.") from error


def sweep(folder: Path, *, name: str = "", older: float = _ABANDONED) -> None:
    """Remove what killed processes left of `name`, or of anything, in a folder.

    A folder that was being replaced when its process was killed comes back.
    """
    for path in folder.iterdir():
        found = _LEFT.fullmatch(path.name)
        if found is None or name not in ("", found["name"]) or _age(path) < older:
            continue
        whole = folder / found["name"]
        if found["old"] and not whole.exists():
            os.replace(path, whole)
        elif path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _age(path: Path) -> float:
    """Seconds since it was written or renamed."""
    try:
        return time.time() - path.lstat().st_ctime
    except FileNotFoundError:  # its writer was there all the same
        return 0.0


def write_json(path: Path, value: Any) -> None:
    """`value` as indented JSON, atomically."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A temporary folder that becomes `path` when the block ends well, and vanishes otherwise.

    Raises `BadSetting` where `path` is a file.
    """
    check_writable(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent, name=path.name)
    temporary = _beside(path)
    retired = path.with_name(f"{_beside(path).name}.old")
    temporary.mkdir()
    try:
        yield temporary
        obey_umask(temporary)
        if path.exists():
            os.replace(path, retired)
        os.replace(temporary, path)
    finally:
        if retired.exists() and not path.exists():
            os.replace(retired, path)
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
        write_text(root / task / _NEWEST, path.name)
        return path
    raise Damaged(f"{root / task} is full of runs of this second.")


def newest_run(root: Path, task: str) -> Path | None:
    """The run that was begun last, whatever the clock said."""
    noted = root / task / _NEWEST
    found = root / task / Path(noted.read_text(encoding="utf-8")).name if noted.is_file() else None
    return found if found and found.is_dir() else None


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
