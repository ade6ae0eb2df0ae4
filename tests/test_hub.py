"""Hub ids without a network: told at once, or taken from the cache."""

from __future__ import annotations

import socket

import pytest

from core.backbone import hub, loading
from core.errors import MissingBackbone


@pytest.fixture
def offline(monkeypatch):
    """No name can be looked up, and nothing fetches for us."""

    def unknown(*given):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    monkeypatch.setattr(hub, "getproxies", dict)
    hub.reachable.cache_clear()
    yield
    hub.reachable.cache_clear()


def test_an_unknown_id_is_told_at_once(offline):
    with pytest.raises(MissingBackbone, match="there is no network"):
        loading.load("nobody/nothing")


def test_a_folder_needs_no_network(offline, tmp_path):
    assert hub.options(str(tmp_path)) == {}
    assert hub.options("nobody/nothing") == {"local_files_only": True}


def test_a_proxy_is_trusted_to_know_names(offline, monkeypatch):
    monkeypatch.setattr(hub, "getproxies", lambda: {"https": "http://proxy.example:3128"})
    assert hub.options("nobody/nothing") == {}
