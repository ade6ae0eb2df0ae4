"""The pages as a server: who may enter, how much may be sent, what happens to those who leave."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from page_fixtures import pages_home, tiny_service

from core.errors import BadSetting
from demos import pages, server
from demos.answers.programs import Door, curl, python


@pytest.fixture(autouse=True)
def own_home() -> None:
    """The home of the whole file, not one of each test."""


@pytest.fixture(scope="module")
def service(tmp_path_factory, tokenizer):
    with pages_home(tmp_path_factory):
        yield tiny_service(tokenizer)


@pytest.fixture(scope="module")
def client(service) -> Iterator[httpx.Client]:
    blocks = pages.build(service, [*service.tasks, "spam@1", "spam@7"])
    with httpx.Client(base_url=pages.start(blocks), timeout=60) as client:
        yield client
    blocks.close(verbose=False)


def test_another_host_needs_a_login():
    with pytest.raises(BadSetting, match=r"0\.0\.0\.0 can be reached by others.*--auth"):
        server.login("0.0.0.0", None)
    assert server.login("0.0.0.0", "ann:se:cret") == ("ann", "se:cret")
    assert server.login("127.0.0.1", None) is None


@pytest.mark.parametrize("given", ["ann", "ann:", ":secret", ""])
def test_a_login_needs_a_user_and_a_password(given):
    with pytest.raises(BadSetting, match="USER:PASSWORD"):
        server.login("0.0.0.0", given)


@pytest.mark.parametrize("port", [0, 99_999, -1])
def test_a_wrong_port_is_refused_before_the_work(port):
    with pytest.raises(BadSetting, match="from 1 to 65535"):
        server.check_port("127.0.0.1", port)


def test_a_login_guards_the_pages_and_their_routes(service, tmp_path):
    blocks = pages.build(service, ["spam"])
    with httpx.Client(base_url=pages.start(blocks, auth=("ann", "secret")), timeout=60) as client:
        asked = {"data": ["hello", {}]}
        assert client.post("gradio_api/run/spam", json=asked).status_code == 401
        assert client.get("config").status_code == 401
        client.post("login", data={"username": "ann", "password": "secret"})
        found = client.post("gradio_api/run/spam", json=asked)
        assert found.status_code == 200
        door, fields = Door(str(client.base_url), "ann"), {"text": "hello"}
        for run, listing in (("bash", curl), (sys.executable, python)):
            code = listing(door, "spam", fields, {}).replace("PASSWORD", "secret")
            told = subprocess.run(
                [run, "-c", code], capture_output=True, check=True, text=True, cwd=tmp_path
            ).stdout
            assert ("'ham'" if run != "bash" else '"ham"') in told
    blocks.close(verbose=False)


def test_the_listing_for_curl_is_answered(client, service):
    found = client.post("gradio_api/run/generation", json={"data": ["I love", "continue", {}]})
    expected = service.application("generation")(text="I love", mode="continue")
    assert found.json()["data"] == [expected.model_dump()]


@pytest.mark.parametrize(
    "path",
    [
        "nothing",
        "gradio_api/nothing",
        "docs",
        "runs",
        "gradio_api/file=http://127.0.0.1:9/a",
    ],
)
def test_what_is_not_there_is_a_404(client, path):
    assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    ("header", "value", "status"),
    [
        ("Host", "evil.example", 403),
        ("Host", "localhost:7860", 200),
        ("Host", "[::1]:7860", 200),
        ("Origin", "http://evil.example", 403),
        ("Origin", "http://127.0.0.1.evil.example:7860", 403),
        ("Origin", "null", 403),
        ("Origin", "http://localhost:7860", 200),
    ],
)
def test_pages_are_asked_by_their_own_names_and_from_no_other_site(client, header, value, status):
    assert client.get("/", headers={header: value}).status_code == status


def test_bodies_and_files_are_bounded(client, monkeypatch):
    big = json.dumps({"data": ["a" * server.LARGEST_BODY, "continue"]})
    assert client.post("gradio_api/run/generation", content=big).status_code == 413
    monkeypatch.setattr(server, "LARGEST_FILE", 1000)
    sent = {"files": ("a.csv", b"text\n" * 1000)}
    assert client.post("gradio_api/upload", files=sent).status_code == 413


def test_a_body_of_unsaid_length_is_read_no_further_than_allowed(client):
    def pieces() -> Iterator[bytes]:
        for _ in range(100):
            yield b" " * 100_000

    try:
        found = client.post("gradio_api/run/generation", content=pieces())
    except httpx.HTTPError:
        return  # the connection was ended
    assert found.status_code >= 400


def test_an_answer_that_nobody_listens_to_is_cancelled(client, service, monkeypatch):
    handles = []
    submit = service.engine.submit
    monkeypatch.setattr(
        service.engine,
        "submit",
        lambda *given: handles.append(submit(*given)) or handles[-1],
    )
    fn = next(
        dependency["id"]
        for dependency in client.get("config").json()["dependencies"]
        if len(dependency["outputs"]) > 5 and len(dependency["inputs"]) > 5
    )
    values = ["quintet-nano", "served", "—", [], "I love", "continue"]
    sampled = ["sampled", 1.0, 1.0, 0, 1.0, 0, 60, ""]
    asked = {"data": [*values, *sampled], "fn_index": fn, "session_hash": "gone"}
    assert client.post("gradio_api/queue/join", json=asked).status_code == 200
    with client.stream("GET", "gradio_api/queue/data", params={"session_hash": "gone"}) as came:
        for line in came.iter_lines():
            if "process_generating" in line:
                break
    for _ in range(100):
        if handles and handles[0].done:
            break
        time.sleep(0.1)
    assert handles[0].latest.finish == "cancelled"


@pytest.fixture(scope="module")
def programs(client) -> Any:
    from gradio_client import Client

    return Client(str(client.base_url), verbose=False)


def test_programs_get_the_same_answer_under_the_name_of_the_task(programs, service):
    asked = {"question": "And now?", "history": [{"role": "user", "content": "Hi"}]}
    found = service.application("qa")(**asked)
    assert programs.predict(**asked, api_name="/qa") == found.model_dump()
    names = programs.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert set(names) == {*(f"/{name}" for name in service.tasks), "/spam_1", "/spam_7"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a" * 50_001, "50,001 characters; at most 50,000"),
        (None, "should be a valid string"),
        (5, "should be a valid string"),
        (" ", "is empty"),
    ],
)
def test_the_server_checks_what_programs_send(programs, text, message):
    with pytest.raises(Exception, match=message):
        programs.predict(text=text, api_name="/sentiment")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"adapter": "spam@9"}, "No adapter 'spam@9' on quintet-nano; known: spam@2, "),
        ({"backbone": "/etc"}, "No backbone '/etc' here"),
        ({"max_new_tokens": 10_000}, "max_new_tokens is 10000"),
    ],
)
def test_a_program_is_told_who_cannot_answer(programs, options, message):
    with pytest.raises(Exception, match=message):
        programs.predict(text="Hello", options=options, api_name="/spam")


def test_no_task_and_a_taken_port_are_refused(service, client):
    with pytest.raises(BadSetting, match="No task to show; known: generation"):
        pages.build(service, [])
    blocks = pages.build(service, ["spam"])
    with pytest.raises(BadSetting, match="Cannot serve on"):
        pages.start(blocks, port=client.base_url.port)
