"""What one client may ask for; every bound is enforced on the server."""

from __future__ import annotations

from dataclasses import dataclass

from core.errors import BadSetting


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Sizes, counts and times; a request beyond one of them is refused."""

    body: int = 2**20
    """Bytes of a request."""
    characters: int = 50_000
    """Of one prompt; what fits into the context is fewer, and what is cut is said."""
    tokens: int = 1024
    """Of one answer."""
    batch: int = 64
    """Inputs of one request."""
    choices: int = 8
    """Answers to one prompt (`n`)."""
    seconds: float = 60.0
    """From a request's arrival to its last byte."""
    rate: int = 600
    """Requests a minute of one key; 0 is no limit."""
    connections: int = 1000

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value < 0 or (value == 0 and name != "rate"):
                raise BadSetting(f"{name} is {value}; it must be above 0.")
