"""Commands of Quintet as processes of their own: they outlive the browser, the page and the pages' server.

What a job is, and whether it still runs, is read from `$QUINTET_HOME/jobs/`; nothing is kept in memory.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

from core import store
from core.errors import BadInput

_CONSOLE, _JOB, _STATUS = "console.txt", "job.json", "status.txt"
_STOPPING = "stopping"
"""An empty file: it was asked to stop."""
_SHOWN = 20_000
"""Characters of a console that are shown: its end."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A command that was started here."""

    name: str
    arguments: tuple[str, ...]
    """Behind `quintet`."""
    process: int
    created: float
    """When the process began, as the system counts: numbers of processes are given again."""
    started: str

    @property
    def folder(self) -> Path:
        """Where it is described, with what it prints."""
        return root() / self.name

    @property
    def running(self) -> bool:
        """Whether this very process still works."""
        try:
            found = psutil.Process(self.process)
            same = abs(found.create_time() - self.created) < 1
            return same and found.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False

    @property
    def succeeded(self) -> bool | None:
        """Whether it ended with 0; None while it runs, or where nobody was there to see."""
        with suppress(OSError, ValueError):
            return int((self.folder / _STATUS).read_text()) == 0
        return None

    @property
    def console(self) -> str:
        """The end of what it printed; of a bar that redraws itself, its last state."""
        try:
            text = (self.folder / _CONSOLE).read_bytes().decode("utf-8", "replace")
        except OSError:
            return ""
        lines = (line.rstrip("\r").rpartition("\r")[2] for line in text[-_SHOWN:].split("\n"))
        return "\n".join(lines).strip()

    def stop(self) -> None:
        """Ctrl-C: a training saves what it has after the step in hand, and can be resumed."""
        if self.running:
            (self.folder / _STOPPING).touch()
            os.kill(self.process, signal.SIGINT)

    @property
    def stopping(self) -> bool:
        """Whether it was asked to stop and still works."""
        return self.running and (self.folder / _STOPPING).exists()


def root() -> Path:
    """Where jobs are described."""
    return store.home() / "jobs"


def command(arguments: Sequence[str]) -> str:
    """What a person types to do the same."""
    return shlex.join(["quintet", *arguments])


_QUINTET = (
    "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "runpy.run_module('quintet', run_name='__main__', alter_sys=True)"
)
"""`python -m quintet` that Stop reaches, also where the pages were started in the background, deaf to Ctrl-C."""


def start(arguments: Sequence[str]) -> Job:
    """Start `quintet ARGUMENTS` in a session of its own: no Ctrl-C of the pages reaches it."""
    now = datetime.now(UTC)
    name = f"{now:%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:6]}"
    folder = root() / name
    folder.mkdir(parents=True)
    with (folder / _CONSOLE).open("wb") as console:
        process = subprocess.Popen(
            [sys.executable, "-c", _QUINTET, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "COLUMNS": "100"},
        )
    job = Job(
        name=name,
        arguments=tuple(arguments),
        process=process.pid,
        created=psutil.Process(process.pid).create_time(),
        started=f"{now:%Y-%m-%dT%H:%M:%SZ}",
    )
    store.write_json(folder / _JOB, asdict(job))
    threading.Thread(target=_note_end, args=(process, folder), daemon=True).start()
    return job


def _note_end(process: subprocess.Popen[bytes], folder: Path) -> None:
    code = process.wait()
    with suppress(OSError):
        store.write_text(folder / _STATUS, str(code))


def find(name: str) -> Job:
    """The job of that name."""
    try:
        if Path(name).name != name:
            raise ValueError(name)
        found = json.loads((root() / name / _JOB).read_bytes())
        return Job(**{**found, "arguments": tuple(found["arguments"])})
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BadInput(f"There is no job {name!r}; start one anew.") from error


def every() -> list[Job]:
    """All that were started here, the newest first."""
    found = []
    for path in sorted(root().glob(f"*/{_JOB}"), reverse=True):
        with suppress(BadInput):
            found.append(find(path.parent.name))
    return found


def of_folder(folder: Path) -> Job | None:
    """The newest job whose output is this run."""
    wanted = folder.resolve()
    for job in every():
        if "--output" in job.arguments[:-1]:
            given = job.arguments[job.arguments.index("--output") + 1]
            if Path(given).resolve() == wanted:
                return job
    return None
