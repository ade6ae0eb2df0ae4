"""A whole file is scored by `quintet predict` in a process of its own: watched, and ended at will."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from core import store
from core.errors import BadData
from demos.files import tables

_ROOT = Path(__file__).parents[2]
_PATIENCE = 10
"""Seconds that the process has to end by itself."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is to be scored, by which adapter on which backbone."""

    source: Path
    task: str
    backbone: str
    columns: Mapping[str, str]
    """Field of the task → column of the file."""
    device: str = "auto"


class Scoring:
    """The running command. Its answers so far are counted in the file that it keeps."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._kept: TemporaryDirectory[str] = TemporaryDirectory(prefix="quintet-scored-")
        folder = Path(self._kept.name)
        try:
            source = tables.readable(job.source, folder)
            self.rows = tables.count(source)
            self.output = folder / f"{job.source.stem}-scored{_kind(source)}"
            self._said = (folder / "said.txt").open("w+", encoding="utf-8")
            self._process = subprocess.Popen(
                self._command(source),
                stdout=subprocess.DEVNULL,
                stderr=self._said,
                env=_environment(),
                start_new_session=True,  # Ctrl-C at the pages reaches it through `cancel` alone
            )
        except BaseException:
            self._kept.cleanup()
            raise

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    @property
    def answered(self) -> int:
        """Rows that are answered: the lines of the file that is kept, less its first."""
        path = self.output.parent / f".{self.output.name}.partial.jsonl"
        try:
            return max(path.read_bytes().count(b"\n") - 1, 0)
        except FileNotFoundError:
            return 0

    def wait(self, seconds: float) -> bool:
        """Whether it has ended after at most so long."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def result(self) -> Path:
        """The scored file, in the kind of the one that was sent; what the command said if it failed."""
        if self._process.returncode != 0:
            self._said.seek(0)
            lines = self._said.read().strip().splitlines() or ["It ended without a word."]
            raise BadData(self._without_folders(lines[-1].removeprefix("error: ")))
        return tables.finished(self.output, self._job.source)

    def _without_folders(self, said: str) -> str:
        """Whoever sent a file knows it by its name."""
        for folder in (self._job.source.parent, Path(self._kept.name)):
            said = said.replace(f"{folder}{os.sep}", "")
        return said

    def cancel(self) -> None:
        """End it, and take its files away."""
        if self.running:
            self._process.terminate()
            if not self.wait(_PATIENCE):
                self._process.kill()
                self._process.wait()
        self._said.close()
        self._kept.cleanup()

    def _command(self, source: Path) -> list[str]:
        pairs = ",".join(f"{ours}={theirs}" for ours, theirs in self._job.columns.items())
        return [
            sys.executable, "-m", "quintet", "predict", self._job.task,
            "--input", str(source), "--output", str(self.output), "--skip-bad",
            "--backbone", self._job.backbone, "--device", self._job.device,
            *(["--map", pairs] if pairs else []),
        ]  # fmt: skip


def _kind(source: Path) -> str:
    return source.suffix.lower()


def _environment() -> dict[str, str]:
    """Ours, the same home, and a path on which `quintet` is found."""
    path = os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path, "QUINTET_HOME": str(store.home().absolute())}
