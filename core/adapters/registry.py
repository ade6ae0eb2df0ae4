"""The adapters that can be served: those shipped and those installed, by backbone, task and version."""

from __future__ import annotations

import errno
import os
import re
import shutil
import uuid
from pathlib import Path

from core import store
from core.adapters.configuration import configuration_hash
from core.adapters.passport import TRAINING_ROWS, Passport, read_passport
from core.errors import Damaged, MissingAdapter

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_FILES = ("adapter_config.json", "adapter_model.safetensors")
REPORT = "report.html"
REPORT_ZH = "report.zh.html"
"""In Chinese, where it came with the adapter."""
_MOST_WRITERS = 1000
_TAKEN_BACK = "taken_back"
"""An empty file in the folder of a version that was rolled back."""


def slug(backbone: str) -> str:
    """The folder of a backbone's adapters: its name, a hub id's slash as two dashes."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", backbone.replace("/", "--")).strip(".-") or "backbone"


def root() -> Path:
    """Where adapters are installed."""
    return store.home() / "adapters"


def versions(task: str, backbone: str) -> dict[int, Path]:
    """Version number -> folder of every installed adapter of the task on the backbone of that name."""
    folder = root() / slug(backbone) / task
    found = {int(p.name): p for p in folder.glob("*") if p.name.isdecimal()}
    return dict(sorted(found.items()))


def shipped(task: str, backbone: str) -> Path | None:
    """The adapter in the package, if there is one."""
    folder = store.SHIPPED / "adapters" / slug(backbone) / task
    return folder if folder.is_dir() else None


def served(task: str, backbone: str) -> bool:
    """Whether an adapter for the task is installed or shipped."""
    return bool(_candidates(task, backbone))


def find(name: str, backbone: str, fingerprint: str = "") -> Path:
    """Folder of the adapter served under 'task' or 'task@version': installed before shipped.

    With `fingerprint`, one that was trained on other weights under the same name hides none that fits.
    """
    task, _, version = name.partition("@")
    known = versions(task, backbone)
    if version:
        if not version.isdecimal() or int(version) not in known:
            there = ", ".join(map(str, known)) or "none"
            raise MissingAdapter(
                f"No version {version!r} of {task} on {backbone}; installed versions: {there}."
            )
        return known[int(version)]
    candidates = _candidates(task, backbone)
    if not candidates:
        raise MissingAdapter(_none(task, backbone))
    fitting = (path for path in candidates if _fits(path, fingerprint))
    return next(fitting, candidates[0])


def _candidates(task: str, backbone: str) -> list[Path]:
    """What may be served, best first: installed versions that were not taken back, then the shipped."""
    own = shipped(task, backbone)
    return [*reversed(standing(task, backbone).values()), *([own] if own else [])]


def standing(task: str, backbone: str) -> dict[int, Path]:
    """The installed versions that were not taken back, oldest first: the last one is served."""
    found = versions(task, backbone)
    return {number: path for number, path in found.items() if not taken_back(path)}


def taken_back(folder: Path) -> bool:
    """Whether a version was rolled back: it is served only where it is named."""
    return (folder / _TAKEN_BACK).exists()


def rollback(task: str, backbone: str) -> tuple[Path, Path]:
    """Take back the version that is served; its folder, and that of the one before, served from now on.

    Raises `MissingAdapter` where no installed version stands, or nothing before it.
    """
    candidates = _candidates(task, backbone)
    if not candidates or candidates[0] == shipped(task, backbone):
        raise MissingAdapter(
            f"No installed version of {task} on {backbone} is served: nothing to take back."
        )
    if len(candidates) == 1:
        raise MissingAdapter(
            f"{candidates[0]} is the only adapter of {task} on {backbone}: there is none before it. "
            f"Take it off the disk with: quintet adapters remove {task}@{candidates[0].name}"
        )
    store.write_text(candidates[0] / _TAKEN_BACK, "")
    return candidates[0], candidates[1]


def _fits(folder: Path, fingerprint: str) -> bool:
    if not fingerprint:
        return True
    try:
        return read_passport(folder).fingerprint == fingerprint
    except (Damaged, MissingAdapter):
        return False


def _none(task: str, backbone: str) -> str:
    others = sorted({path.parent.name for path in _all(task)} - {slug(backbone)})
    there = f" There is one for: {', '.join(others)} (--backbone)." if others else ""
    return (
        f"No adapter for {task!r} on {backbone}.{there} "
        f"Train one: quintet finetune {task} --install"
    )


def _all(task: str) -> list[Path]:
    return [*root().glob(f"*/{task}"), *(store.SHIPPED / "adapters").glob(f"*/{task}")]


def backbones() -> list[str]:
    """The names (as folders) of every backbone that has an adapter installed or shipped."""
    places = (root(), store.SHIPPED / "adapters")
    return sorted(
        {p.name for place in places if place.is_dir() for p in place.iterdir() if p.is_dir()}
    )


def install(run: Path) -> Path:
    """Copy a run's adapter to the home folder as the next version, the one that is served.

    Raises `MissingAdapter` or `Damaged` for what could not be served. Writers at the same time get
    versions of their own.
    """
    source = run / "adapter" if (run / "adapter").is_dir() else run
    passport = checked(source)
    parent = root() / slug(passport.backbone) / passport.task
    folder = parent / f".incoming.{uuid.uuid4().hex[:12]}"
    folder.mkdir(parents=True)
    store.sweep(parent)
    try:
        shutil.copytree(
            source, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(_TAKEN_BACK)
        )
        for report in (REPORT, REPORT_ZH):  # the pages show it beside the answers
            if (run / "report" / report).is_file():
                shutil.copy(run / "report" / report, folder / report)
        store.obey_umask(folder)
        return _numbered(folder, parent, passport)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _numbered(folder: Path, parent: Path, passport: Passport) -> Path:
    """Rename `folder` to the next free number; where another writer was first, to the one after."""
    number = max(versions(passport.task, passport.backbone), default=0) + 1
    for target in (parent / str(number + more) for more in range(_MOST_WRITERS)):
        try:
            os.rename(folder, target)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
            continue
        return target
    raise Damaged(f"{parent} is full of versions.")


def checked(folder: Path) -> Passport:
    """The passport of a folder that holds a whole adapter of its own: no links, no missing or cut file."""
    passport = read_passport(folder)
    if not _NAME.fullmatch(passport.task):
        raise Damaged(f"{folder}: {passport.task!r} is no name of a task.")
    links = [path for path in (folder, *folder.rglob("*")) if path.is_symlink()]
    if links:
        raise Damaged(f"{links[0]} is a link; an adapter holds its own files. Copy them first.")
    for name in _FILES:
        if not (folder / name).is_file():
            raise MissingAdapter(f"{folder} is no whole adapter: {name} is missing.")
    hashed = store.file_hash(folder / _FILES[1])
    if passport.weights_hash and passport.weights_hash != hashed:
        raise Damaged(
            f"{folder / _FILES[1]} is not the file that was trained: it was altered or cut."
        )
    if configuration_hash(folder) != passport.configuration_hash:
        raise Damaged(f"{folder / _FILES[0]} was altered after the adapter was scored.")
    rows = folder / TRAINING_ROWS
    known = store.file_hash(rows) if rows.is_file() else ""
    if passport.training_rows_hash and passport.training_rows_hash != known:
        raise Damaged(
            f"{rows} is missing or was altered: it tells which rows the adapter has learned."
        )
    return passport


def remove(name: str, backbone: str) -> Path:
    """Take 'task@version' from the home folder; shipped adapters stay."""
    if "@" not in name:
        there = ", ".join(f"{name}@{number}" for number in versions(name, backbone)) or "none"
        raise MissingAdapter(f"Name the version to remove; installed: {there}.")
    folder = find(name, backbone)
    shutil.rmtree(folder)
    return folder
