"""Every error Quintet raises on purpose: the fact, the allowed values, the way out."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class QuintetError(Exception):
    """The base of all of them; the command prints its text in one line and exits with 2."""


class Stopped(QuintetError):
    """Ctrl-C or SIGTERM: what was done is kept, and the text says how to go on; exit code 130.

    No KeyboardInterrupt: typer would swallow the text.
    """


class UnknownTask(QuintetError):
    """No file in `apps/` has this name."""


class BadData(QuintetError):
    """A file or row that cannot be read, named by file and line."""


class BadColumns(BadData):
    """The columns are not those the task reads."""


class BadSetting(QuintetError):
    """An unknown key or a value out of its range."""


class BadInput(QuintetError):
    """A text that an application cannot answer."""


class TooLong(BadInput):
    """A text that does not fit, even with what may be cut taken away."""


class MissingAdapter(QuintetError):
    """No adapter is installed or shipped under this name."""


class MissingBackbone(QuintetError):
    """A folder or hub id that holds no causal language model."""


class Mismatch(QuintetError):
    """An adapter meets another backbone, tokenizer or prompt than it was trained with."""


class Damaged(QuintetError):
    """A file on disk is incomplete, altered or holds values that are not numbers."""


class Diverged(QuintetError):
    """Training produced values that are not numbers, or a loss that ran away."""


class Busy(QuintetError):
    """Another process writes where this one would."""


class Overloaded(QuintetError):
    """As many requests wait already as may wait; try again in a moment."""


class Closed(QuintetError):
    """The engine was closed; it takes and finishes no more requests."""


def nearest(word: str, allowed: Iterable[str]) -> str:
    """' Did you mean 'x'?' for the most similar allowed word, or an empty string."""
    close = difflib.get_close_matches(word, list(allowed), n=1, cutoff=0.5)
    return f" Did you mean {close[0]!r}?" if close else ""
