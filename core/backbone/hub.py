"""Ids on the Hugging Face hub: told at once where neither a network nor the cache has them."""

from __future__ import annotations

import socket
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from core.errors import MissingBackbone


def check(source: str) -> None:
    """`MissingBackbone` for an id that is not cached while the hub cannot be reached."""
    from huggingface_hub import try_to_load_from_cache

    if not reachable() and not isinstance(try_to_load_from_cache(source, "config.json"), str):
        raise MissingBackbone(
            f"{source!r} is no folder here and not in the hub's cache, and there is no network. "
            "'quintet backbone list' shows the names that are known."
        )


def options(source: str) -> dict[str, Any]:
    """For `from_pretrained`: without a network the cache alone, instead of a minute of attempts."""
    return {} if Path(source).is_dir() or reachable() else {"local_files_only": True}


@cache
def reachable() -> bool:
    """Whether the hub's name can be looked up, or something else fetches for us."""
    from huggingface_hub import constants

    if getproxies():
        return True
    try:
        socket.getaddrinfo(urlsplit(constants.ENDPOINT).hostname, 443)
    except OSError:
        return False
    return True
