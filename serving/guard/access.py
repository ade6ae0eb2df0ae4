"""Who may ask, and how often: bearer keys, hosts, and a token bucket for each key."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import BadSetting

KEYS_FILE = "QUINTET_API_KEYS"
"""The environment variable that names a file of keys, one a line."""

_LEAST = 16


def read_keys(given: Sequence[str]) -> tuple[str, ...]:
    """The keys that were given and those of the file that the environment names."""
    keys = tuple(dict.fromkeys([*given, *_of_file(os.environ.get(KEYS_FILE, ""))]))
    for key in keys:
        if len(key) < _LEAST or not key.isascii() or not key.isprintable() or " " in key:
            raise BadSetting(
                f"A key has {len(key)} characters; it must have at least {_LEAST}, of ASCII and "
                'without blanks: python -c "import secrets; print(secrets.token_urlsafe(32))"'
            )
    return keys


def _of_file(name: str) -> list[str]:
    if not name:
        return []
    try:
        lines = Path(name).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadSetting(f"{KEYS_FILE} names {name!r}, which cannot be read: {error}") from error
    keys = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    if not keys:
        raise BadSetting(f"{KEYS_FILE} names {name!r}, which holds no key. Write one a line.")
    return keys


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_host(host: str, keys: Sequence[str]) -> None:
    """`BadSetting` where others would reach a service that asks for no key."""
    if not keys and not is_loopback(host):
        raise BadSetting(
            f"On {host} others reach the service, so it needs a key. Give --api-key KEY, or name a "
            f"file of keys in {KEYS_FILE}; without one it serves on 127.0.0.1."
        )


@dataclass
class Access:
    """The keys, compared in constant time, and what is left to each of them this minute."""

    keys: tuple[str, ...] = ()
    rate: int = 0
    """Requests a minute of one key; 0 is no limit."""
    clock: Callable[[], float] = time.monotonic
    _left: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Of each key: requests left, and when that was."""

    def knows(self, header: str | None) -> str | None:
        """A name for the key in an `Authorization` header, or None; "" where none is needed."""
        if not self.keys:
            return ""
        scheme, _, given = (header or "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        hashed = _digest(given.strip())
        # Every key is compared, whichever fits, so that time tells nothing.
        fits = [hmac.compare_digest(hashed, _digest(key)) for key in self.keys]
        return f"key-{fits.index(True) + 1}" if any(fits) else None

    def wait(self, name: str) -> int | None:
        """Take one request of the key; None, or the seconds to wait where none is left."""
        if not self.rate:
            return None
        now = self.clock()
        left, before = self._left.get(name, (float(self.rate), now))
        left = min(float(self.rate), left + (now - before) * self.rate / 60)
        if left < 1:
            self._left[name] = (left, now)
            return max(1, math.ceil((1 - left) * 60 / self.rate))
        self._left[name] = (left - 1, now)
        return None


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
