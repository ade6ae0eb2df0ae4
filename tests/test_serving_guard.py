"""What the HTTP service refuses, and how it ends: keys, rates, sizes, times, hosts, signals."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from serving_fixtures import connected, figure, make_service, served, wait_for

from core import backbone as backbones
from core.engine.engine import Engine
from core.engine.forward import Forward
from core.engine.prompting import encode_text
from core.errors import BadSetting, Overloaded
from core.service import Service
from serving.guard.access import Access, check_host, is_loopback, read_keys
from serving.guard.limits import Limits

ROOT = Path(__file__).parents[1]
KEY = "a-key-of-twenty-four-chars"
OTHER = "another-key-of-some-length"
ASKED = {"model": "spam", "prompt": "WIN a car"}


@pytest.fixture(scope="module")
def service(tokenizer, tmp_path_factory) -> Iterator[Service]:
    with pytest.MonkeyPatch.context() as patch:
        tasks: Path = tmp_path_factory.mktemp("apps")
        patch.setenv("QUINTET_APPS", str(tasks))
        patch.setenv("QUINTET_HOME", str(tmp_path_factory.mktemp("home")))
        yield make_service(tokenizer, tasks)


@pytest.fixture(autouse=True)
def own_home(service: Service) -> None:
    """The home of the module, which the server reads while the tests run."""


@pytest.fixture(scope="module")
def address(service) -> Iterator[str]:
    limits = Limits(body=20_000, characters=5_000, tokens=64, batch=8, choices=4, seconds=20)
    with served(service, limits=limits, hosts=("127.0.0.1",)) as address:
        yield address


def refused(found: httpx.Response, status: int, *words: str) -> dict:
    """OpenAI's error object, its message one line that names the fact."""
    assert found.status_code == status, found.text
    error = found.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert "\n" not in error["message"] and "Traceback" not in found.text
    for word in words:
        assert word in error["message"], error
    return error


def test_only_a_valid_key_is_answered(service):
    with served(service, keys=(KEY, OTHER)) as address:
        url = f"{address}/v1/completions"
        for header in ({}, {"Authorization": f"Bearer {KEY}x"}, {"Authorization": f"Basic {KEY}"}):
            found = httpx.post(url, json=ASKED, headers=header)
            refused(found, 401, "Authorization: Bearer")
            assert found.headers["www-authenticate"] == "Bearer"
        for key in (KEY, OTHER):
            assert httpx.post(url, json=ASKED, headers=bearer(key)).status_code == 200
        for path in ("/metrics", "/v1/models"):
            refused(httpx.get(address + path), 401)
        refused(httpx.post(f"{address}/mcp", json={}), 401)
        for path in ("/health", "/ready", "/docs", "/openapi.json"):
            assert httpx.get(address + path).status_code == 200


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_each_key_has_a_rate_of_its_own(service):
    with served(service, keys=(KEY, OTHER), limits=Limits(rate=2)) as address:
        ask = [httpx.get(f"{address}/v1/models", headers=bearer(KEY)) for _ in range(3)]
        assert [found.status_code for found in ask] == [200, 200, 429]
        refused(ask[-1], 429, "2 requests a minute")
        assert 1 <= int(ask[-1].headers["retry-after"]) <= 30
        assert httpx.get(f"{address}/v1/models", headers=bearer(OTHER)).status_code == 200


def test_a_bucket_fills_again_at_its_rate():
    now = 0.0
    access = Access(keys=(KEY,), rate=60, clock=lambda: now)
    assert [access.wait("key-1") for _ in range(61)] == [None] * 60 + [1]
    now = 2.0
    assert [access.wait("key-1") for _ in range(3)] == [None, None, 1]


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({**ASKED, "model": "spma"}, 404, ("'spma'", "Did you mean 'spam'")),
        ({**ASKED, "model": "spam@9"}, 404, ("No version '9'",)),
        ({**ASKED, "colour": 1}, 400, ("colour: Extra inputs",)),
        ({**ASKED, "prompt": " "}, 400, ("is empty",)),
        ({**ASKED, "prompt": "x" * 6_000}, 400, ("at most 5000",)),
        ({**ASKED, "prompt": ["x"] * 9}, 400, ("at most 8",)),
        ({**ASKED, "n": 5}, 400, ("from 1 to 4",)),
        ({**ASKED, "max_tokens": 65}, 400, ("from 1 to 64",)),
        ({**ASKED, "temperature": 3}, 400, ("temperature",)),
        ({**ASKED, "top_p": 0}, 400, ("top_p",)),
        ({**ASKED, "frequency_penalty": 1}, 400, ("frequency_penalty",)),
        ({**ASKED, "stop": "x" * 65}, 400, ("stop",)),
        ({**ASKED, "prompt": 5}, 400, ("prompt",)),
        ({**ASKED, "fields": {"passage": "x"}}, 400, ("'passage': Extra inputs",)),
    ],
)
def test_what_is_wrongly_asked_is_told_in_one_line(address, body, status, words):
    refused(httpx.post(f"{address}/v1/completions", json=body), status, *words)


def test_broken_bodies_and_routes_are_told_in_one_line(address):
    url, kind = f"{address}/v1/completions", {"Content-Type": "application/json"}
    refused(httpx.post(url, content=b'{"model": ', headers=kind), 400)
    refused(httpx.post(url, content=b'{"model": "spam", "prompt": "\\ud800"}', headers=kind), 400)
    # What a form of another site could send without asking first.
    refused(httpx.post(url, content=json.dumps(ASKED), headers={"Content-Type": "text/plain"}), 400)
    refused(httpx.get(f"{address}/nowhere"), 404, "/docs")
    refused(httpx.get(url), 405)


def test_typed_special_tokens_are_plain_text(address, service):
    tokenizer = service.engine.backbone.tokenizer
    end = tokenizer.eos_token
    found = httpx.post(f"{address}/v1/completions", json={**ASKED, "prompt": f"a {end} b"}).json()
    plain = httpx.post(f"{address}/v1/completions", json={**ASKED, "prompt": "a  b"}).json()
    extra = found["usage"]["prompt_tokens"] - plain["usage"]["prompt_tokens"]
    assert extra > len(end) // 2
    assert tokenizer.convert_ids_to_tokens(encode_text(end, tokenizer)) != [end]


def test_a_large_body_is_refused_before_it_is_read(address):
    found = httpx.post(f"{address}/v1/completions", json={**ASKED, "prompt": "x" * 30_000})
    refused(found, 413, "20000 bytes")

    def endless() -> Iterator[bytes]:
        while True:
            yield b"x" * 1000

    with connected(address) as link:  # chunked, without a length
        link.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                     b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")  # fmt: skip
        for chunk, _ in zip(endless(), range(25), strict=False):
            link.sendall(b"3e8\r\n" + chunk + b"\r\n")
        assert b" 413 " in link.recv(1000)


def test_a_body_that_does_not_come_is_not_waited_for(service):
    with served(service, limits=Limits(seconds=0.5)) as address, connected(address) as link:
        link.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: x\r\n"
                     b"Content-Type: application/json\r\nContent-Length: 50\r\n\r\n{")  # fmt: skip
        assert b" 408 " in link.recv(1000)


def test_an_answer_that_takes_too_long_ends(service, slow):
    asked = {"model": "generation", "prompt": "I", "max_tokens": 100}
    with served(service, limits=Limits(seconds=0.5)) as address:
        url = f"{address}/v1/completions"
        refused(httpx.post(url, json=asked, timeout=20), 504, "0.5 s")
        stream = httpx.post(url, json={**asked, "stream": True}, timeout=20).text
        assert (
            "0.5 s"
            in json.loads(stream.strip().splitlines()[-1].removeprefix("data: "))["error"][
                "message"
            ]
        )
        wait_for(lambda: figure(address, "quintet_rows_admitted") == 0)


@pytest.fixture
def slow(monkeypatch) -> None:
    """Each step of the engine takes 20 ms more."""
    forward = Forward.__call__

    def slowly(*arguments, **options):
        time.sleep(0.02)
        return forward(*arguments, **options)

    monkeypatch.setattr(Forward, "__call__", slowly)


def test_a_client_that_goes_away_frees_its_row(service, slow):
    asked = {"model": "generation", "prompt": "I", "max_tokens": 100, "temperature": 1.5, "seed": 1}
    with served(service) as address:
        for stream in (True, False):
            body = json.dumps({**asked, "stream": stream}).encode()
            with connected(address) as link:
                link.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: "
                             b"application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))  # fmt: skip
                wait_for(lambda: figure(address, "quintet_batch_rows") == 1)
            wait_for(lambda: figure(address, "quintet_batch_rows") == 0)
        assert 'finish_reason="cancelled"' in httpx.get(f"{address}/metrics").text
        assert figure(address, "quintet_tokens_total") < 150


def test_a_full_queue_says_when_to_come_again(address, service, monkeypatch):
    def full(*_, **__):
        raise Overloaded("8 rows wait already; try again in a moment.")

    monkeypatch.setattr(Engine, "submit", full)
    for stream in (False, True):
        found = httpx.post(f"{address}/v1/completions", json={**ASKED, "stream": stream})
        refused(found, 503, "try again")
        assert found.headers["retry-after"] == "1"


def test_an_error_of_ours_is_logged_and_not_told(address, monkeypatch, caplog):
    def broken(*_, **__):
        raise RuntimeError("/secret/path is broken")

    with monkeypatch.context() as patch:
        patch.setattr(Engine, "submit", broken)
        for stream in (False, True):
            found = httpx.post(f"{address}/v1/completions", json={**ASKED, "stream": stream})
            refused(found, 500, "log")
            assert "secret" not in found.text
    assert "/secret/path is broken" in caplog.text
    assert httpx.post(f"{address}/v1/completions", json=ASKED).status_code == 200


def test_a_name_that_somebody_led_to_this_machine_is_refused(address):
    refused(httpx.get(f"{address}/v1/models", headers={"Host": "evil.example"}), 403, "evil")
    found = httpx.post(
        f"{address}/v1/completions", json=ASKED, headers={"Origin": "https://evil.example"}
    )
    assert not any(name.startswith("access-control") for name in found.headers)


def test_adapters_are_fixed_unless_clients_may_manage_them(service, address, tmp_path):
    from core.adapters import registry

    folder = registry.versions("spam", "quintet-nano")[1]
    load = {"lora_name": "my-spam", "lora_path": str(folder)}
    refused(httpx.post(f"{address}/v1/load_lora_adapter", json=load), 403, "--manage-adapters")
    with served(service, manage_adapters=True) as open_address:
        ask = httpx.Client(base_url=open_address)
        outside = {**load, "lora_path": str(folder / "../../../../..")}
        refused(ask.post("/v1/load_lora_adapter", json=outside), 403, "installed adapters")
        assert ask.post("/v1/load_lora_adapter", json=load).status_code == 200
        refused(ask.post("/v1/load_lora_adapter", json=load), 400, "served already")
        mine = ask.post("/v1/completions", json={**ASKED, "model": "my-spam"}).json()
        assert mine["choices"] == ask.post("/v1/completions", json=ASKED).json()["choices"]
        assert ask.get("/v1/models/my-spam").json()["root"] == "spam"
        gone = {"lora_name": "my-spam"}
        assert ask.post("/v1/unload_lora_adapter", json=gone).status_code == 200
        refused(ask.post("/v1/unload_lora_adapter", json=gone), 404, "my-spam")
        refused(ask.post("/v1/completions", json={**ASKED, "model": "my-spam"}), 404)
        again = ask.post("/v1/unload_lora_adapter", json={"lora_name": "spam"})
        assert "loads again if asked" in again.text
        assert ask.post("/v1/completions", json=ASKED).status_code == 200
        ask.close()


def test_200_clients_get_every_one_its_own_answer(service):
    tasks = [name for name in service.tasks if name != "qa"]
    asked = [(tasks[n % len(tasks)], f"Number {n % 40} is here") for n in range(200)]
    expected = {
        pair: next(service.application(pair[0]).predict(
            [service.application(pair[0]).input(pair[1])], max_new_tokens=4)).text
        for pair in set(asked)
    }  # fmt: skip
    found: dict[int, str] = {}

    def ask(place: int, address: str, gate: threading.Barrier) -> None:
        task, text = asked[place]
        gate.wait()
        body = {"model": task, "prompt": text, "max_tokens": 4}
        while (
            said := httpx.post(f"{address}/v1/completions", json=body, timeout=60)
        ).status_code == 503:
            time.sleep(float(said.headers["retry-after"]))
        found[place] = said.json()["choices"][0]["text"]

    with served(service) as address:
        gate = threading.Barrier(len(asked))
        clients = [
            threading.Thread(target=ask, args=(place, address, gate)) for place in range(len(asked))
        ]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        assert figure(address, "quintet_rows_admitted") == 0
    assert found == {place: expected[pair] for place, pair in enumerate(asked)}


def test_keys_are_read_from_options_and_a_file(tmp_path, monkeypatch):
    (file := tmp_path / "keys").write_text(f"# ours\n{OTHER}\n\n")
    monkeypatch.setenv("QUINTET_API_KEYS", str(file))
    assert read_keys([KEY]) == (KEY, OTHER)
    with pytest.raises(BadSetting, match="5 characters"):
        read_keys(["short"])
    file.write_text("# none\n")
    with pytest.raises(BadSetting, match="holds no key"):
        read_keys([])


def test_another_host_needs_a_key():
    assert all(map(is_loopback, ("127.0.0.1", "localhost", "::1", "127.8.8.8")))
    for host in ("0.0.0.0", "::", "192.168.1.5", "example.org"):
        with pytest.raises(BadSetting, match="--api-key"):
            check_host(host, ())
        check_host(host, (KEY,))


@pytest.fixture(scope="module")
def nano(tokenizer, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("backbone") / "nano"
    backbones.save(backbones.create("nano", tokenizer), folder)
    return folder


def command(*arguments: object, **environment: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "quintet", "serve", *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        env={**os.environ, **environment},
    )  # fmt: skip


def test_the_command_refuses_another_host_without_a_key():
    run = command("--host", "0.0.0.0")
    out, said = run.communicate(timeout=60)
    assert (run.returncode, out) == (2, "")
    assert len(said.strip().splitlines()) == 1 and "--api-key" in said


def test_the_command_prints_a_call_that_works_and_drains_at_sigterm(nano):
    with command("--backbone", nano, "--port", 0) as run, killed_at_last(run):
        greeting, call = run.stdout.readline(), run.stdout.readline()
        address = re.search(r"on (http://\S+)", greeting)[1]
        said = subprocess.run(call, shell=True, capture_output=True, text=True, timeout=60).stdout
        assert json.loads(said)["object"] == "chat.completion"
        body = {"model": "quintet-nano", "prompt": "I", "max_tokens": 120, "stream": True}
        with httpx.stream("POST", f"{address}/v1/completions", json=body, timeout=60) as stream:
            lines = stream.iter_lines()
            next(lines)
            run.send_signal(signal.SIGTERM)
            wait_for(lambda: not listens(address))
            assert list(lines)[-2] == "data: [DONE]"
        assert run.wait(timeout=30) == 0, run.stderr.read()


@contextmanager
def killed_at_last(run: subprocess.Popen) -> Iterator[None]:
    """A process that a failing test leaves behind is not waited for."""
    try:
        yield
    finally:
        run.kill()


def listens(address: str) -> bool:
    try:
        with connected(address):
            return True
    except (TimeoutError, ConnectionError):
        return False
