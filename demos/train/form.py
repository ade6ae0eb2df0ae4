"""What the form of the page 'Train' asks for, as the arguments of `quintet finetune`."""

from __future__ import annotations

import shlex
import shutil
import uuid
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from core import store
from core.errors import BadInput

_REFUSED = ("--output", "--resume", "--data", "--backbone", "--dry-run", "--install", "--seeds")
"""What the form itself gives, or what would not be found again as one run."""

_OF_ROWS = ("--map", "--labels", "--encoding")
"""Options that say how rows are read: `quintet data check` takes them as well."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A fine-tuning, as it was filled in."""

    task: str
    backbone: str
    data: str = ""
    epochs: float = 3
    limit: int = 0
    from_base: bool = False
    more: str = ""

    def arguments(self, *last: str) -> list[str]:
        """Behind `quintet`; raises `BadInput` for options that cannot be given here."""
        found = ["finetune", self.task]
        for source in self.sources:
            found += ["--data", source]
        found += ["--backbone", self.backbone]
        if self.epochs != 3:
            found += ["--num-train-epochs", f"{self.epochs:g}"]
        if self.limit:
            found += ["--limit", f"{self.limit}"]
        if self.from_base:
            found.append("--from-base")
        return [*found, *self._options(), *last]

    def check(self) -> list[str] | None:
        """The arguments of `quintet data check`; None for the bundled rows."""
        if not self.sources:
            return None
        options = self._options()
        shared = [
            part
            for name, value in zip_longest(options, options[1:], fillvalue="")
            if name in _OF_ROWS
            for part in (name, value)
        ]
        return [
            "data", "check", self.sources[0], "--task", self.task, "--backbone", self.backbone,
            *shared,
        ]  # fmt: skip

    @property
    def sources(self) -> list[str]:
        """One a line."""
        return [line.strip() for line in self.data.splitlines() if line.strip()]

    def _options(self) -> list[str]:
        try:
            options = shlex.split(self.more)
        except ValueError as error:
            raise BadInput(f"The options cannot be read: {error}.") from error
        if options and not options[0].startswith("--"):
            raise BadInput(f"{options[0]!r} is no option; give them as --key value.")
        for option in options:
            if option.partition("=")[0] in _REFUSED:
                raise BadInput(f"{option} cannot be given here: the form has it, or the page does.")
        return options


def kept_upload(path: str) -> Path:
    """A file that was brought, in a place of its own: a resumed run reads it again."""
    source = Path(path)
    folder = store.home() / "uploads" / uuid.uuid4().hex[:12]
    folder.mkdir(parents=True)
    return Path(shutil.copyfile(source, folder / source.name))
