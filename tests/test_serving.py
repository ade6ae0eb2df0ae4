"""The HTTP service, asked by the clients that people use: openai, mcp, curl."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest
from serving_fixtures import BACKBONE, make_service, served

import apps
from core.service import Service


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
    with served(service) as address:
        yield address


@pytest.fixture(scope="module")
def client(address) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0) as client:
        yield client


def test_models_are_the_tasks_their_versions_and_the_backbone(client):
    names = [model.id for model in client.models.list()]
    assert names == [n for task in apps.names() for n in (task, f"{task}@1")] + [BACKBONE]
    assert client.models.retrieve("spam@1").root == "spam"


@pytest.mark.parametrize("task", ["generation", "sentiment", "spam", "translation", "urgency"])
def test_a_completion_is_what_the_application_answers(client, service, task):
    for sample in service.tasks[task].samples[:2]:
        first, *others = sample.model_dump()
        found = client.completions.create(
            model=task, prompt=getattr(sample, first), max_tokens=12, temperature=0,
            extra_body={"fields": {name: getattr(sample, name) for name in others}},
        )  # fmt: skip
        expected = next(service.application(task).predict([sample], max_new_tokens=12))
        assert found.choices[0].text == expected.text
        assert found.choices[0].finish_reason == expected.finish_reason
        assert found.usage.prompt_tokens == expected.prompt_tokens > 0
        assert found.usage.total_tokens == expected.prompt_tokens + expected.completion_tokens


def test_several_prompts_and_answers_keep_their_order(client, service):
    prompts = ["I love", "The weather", "Once upon a time"]
    found = client.completions.create(
        model="generation", prompt=prompts, n=2, temperature=1.0, seed=3, max_tokens=6
    )
    assert [choice.index for choice in found.choices] == list(range(6))
    again = client.completions.create(
        model="generation", prompt=prompts[1], n=2, temperature=1.0, seed=3, max_tokens=6
    )
    assert [c.text for c in found.choices[2:4]] == [c.text for c in again.choices]
    assert len({choice.text for choice in found.choices}) > 3


def test_without_a_seed_draws_differ(client):
    texts = {
        client.completions.create(
            model=BACKBONE, prompt="I", temperature=1.5, max_tokens=12
        ).choices[0].text
        for _ in range(5)
    }  # fmt: skip
    assert len(texts) > 1


def test_a_stream_adds_up_to_the_whole_answer_with_its_usage(client):
    asked = dict(model="translation", prompt="Where is the station?", max_tokens=20)
    whole = client.completions.create(**asked)
    pieces = list(
        client.completions.create(**asked, stream=True, stream_options={"include_usage": True})
    )
    assert "".join(p.choices[0].text for p in pieces[:-1]) == whole.choices[0].text
    assert pieces[-2].choices[0].finish_reason == whole.choices[0].finish_reason
    assert pieces[-1].usage == whole.usage
    assert len(pieces) > 4


def test_a_stop_ends_the_text_before_it_in_a_stream_too(client):
    asked = dict(model="generation", prompt="I love", max_tokens=40, temperature=1.5, seed=1)
    whole = client.completions.create(**asked).choices[0].text
    stop = re.search(r"[a-zA-Z ]{3}", whole[5:])[0]
    cut = client.completions.create(**asked, stop=stop).choices[0]
    assert cut.text == whole[: whole.find(stop)]
    pieces = client.completions.create(**asked, stop=[stop, "never said"], stream=True)
    assert "".join(piece.choices[0].text for piece in pieces) == cut.text


def test_log_probabilities_come_with_every_token(client):
    found = client.completions.create(model="generation", prompt="I", max_tokens=6, logprobs=3)
    told = found.choices[0].logprobs
    assert len(told.tokens) == len(told.token_logprobs) == len(told.top_logprobs) == 6
    for value, top in zip(told.token_logprobs, told.top_logprobs, strict=True):
        assert value <= 0 and value == pytest.approx(max(top.values()), abs=1e-4)
    streamed = client.completions.create(
        model="generation", prompt="I", max_tokens=6, logprobs=3, stream=True
    )
    tokens = [t for piece in streamed for t in piece.choices[0].logprobs.tokens]
    assert tokens == told.tokens


def test_a_choice_tells_its_shares_as_log_probabilities(client, service):
    found = client.chat.completions.create(
        model="spam", messages=[{"role": "user", "content": "WIN a car!"}],
        logprobs=True, top_logprobs=2,
    )  # fmt: skip
    expected = service.application("spam")("WIN a car!")
    (token,) = found.choices[0].logprobs.content
    assert token.token == found.choices[0].message.content == expected.text
    assert {top.token for top in token.top_logprobs} == {"ham", "spam"}


def test_a_chat_with_qa_is_its_conversation(client, service):
    said = [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Yes"},
        {"role": "user", "content": "Where is the mill?"},
    ]
    found = client.chat.completions.create(model="qa", messages=said, max_tokens=16)
    qa = service.application("qa")
    asked = qa.input("Where is the mill?", history=said[:3])
    expected = next(qa.predict([asked], max_new_tokens=16))
    assert found.choices[0].message.content == expected.text
    pieces = list(
        client.chat.completions.create(model="qa", messages=said, max_tokens=16, stream=True)
    )
    assert pieces[0].choices[0].delta.role == "assistant"
    told = "".join(piece.choices[0].delta.content for piece in pieces)
    assert told == expected.text


def test_a_chat_about_a_passage_copies_from_it(client):
    passage = "The old mill by the river was built in 1820."
    found = client.chat.completions.create(
        model="qa", messages=[{"role": "user", "content": "When was it built?"}],
        extra_body={"fields": {"passage": passage}},
    )  # fmt: skip
    assert found.choices[0].message.content in passage


def test_the_backbone_chats_in_its_template_or_says_that_it_has_none(client, service):
    said = [{"role": "user", "content": "Hi <|im_start|>"}]
    with pytest.raises(openai.BadRequestError, match="no chat template"):
        client.chat.completions.create(model=BACKBONE, messages=said)
    tokenizer = service.engine.backbone.tokenizer
    tokenizer.chat_template = (
        "{% for m in messages %}<|endoftext|>{{ m.role }}: {{ m.content }}\n{% endfor %}"
    )
    try:
        found = client.chat.completions.create(model=BACKBONE, messages=said, max_tokens=5)
    finally:
        tokenizer.chat_template = None
    assert found.usage.completion_tokens == 5


def test_each_task_has_a_typed_route_and_known_verbs(address, service):
    samples = {
        name: [sample.model_dump() for sample in task.samples[:3]]
        for name, task in service.tasks.items()
    }
    for name, inputs in samples.items():
        found = httpx.post(
            f"{address}/v1/tasks/{name}", json={"inputs": inputs, "max_tokens": 8}, timeout=30
        ).json()
        expected = service.application(name).predict(
            [service.application(name).input(**one) for one in inputs], max_new_tokens=8
        )
        assert [p["text"] for p in found["predictions"]] == [one.text for one in expected]
    for route, body in {
        "translate": {"inputs": ["Hi", {"text": "Hello", "direction": "en-zh"}]},
        "answer": {"inputs": [{"question": "When?", "passage": "In 1820."}]},
        "generate": {"inputs": ["I love"], "temperature": 0.5, "seed": 1, "max_tokens": 5},
        "classify": {"model": "urgency", "inputs": ["Now", {"text": "x", "channel": "wall"}]},
    }.items():
        found = httpx.post(f"{address}/v1/{route}", json=body)
        assert found.status_code == 200, found.text
        assert len(found.json()["predictions"]) == len(body["inputs"])
    wrong = httpx.post(f"{address}/v1/classify", json={"model": "qa", "inputs": ["x"]})
    assert wrong.status_code == 404 and "spam" in wrong.json()["error"]["message"]


def test_mcp_offers_one_tool_a_task(address, service):
    from mcp import Client

    async def ask():
        async with Client(f"{address}/mcp") as client:
            tools = (await client.list_tools()).tools
            good = await client.call_tool("sentiment", {"text": "What a film!"})
            bad = await client.call_tool("sentiment", {"colour": "red"})
            return tools, good, bad

    tools, good, bad = asyncio.run(ask())
    assert [tool.name for tool in tools] == list(service.tasks)
    expected = service.application("sentiment")("What a film!")
    assert good.structured_content == expected.model_dump(mode="json")
    assert good.content[0].text == expected.text
    assert bad.is_error and "'text': Field required" in bad.content[0].text


def test_curl_reads_a_stream_line_by_line(address):
    body = json.dumps({"model": "generation", "prompt": "I love", "stream": True, "max_tokens": 5})
    found = subprocess.run(
        ["curl", "-sN", f"{address}/v1/completions", "-H", "Content-Type: application/json",
         "-d", body],
        capture_output=True, text=True, check=True, timeout=30,
    )  # fmt: skip
    lines = [line for line in found.stdout.splitlines() if line]
    assert lines[-1] == "data: [DONE]"
    assert all(json.loads(line.removeprefix("data: "))["id"] for line in lines[:-1])


def test_figures_are_told_by_adapter(address):
    httpx.post(f"{address}/v1/tasks/spam", json={"inputs": ["WIN"]})
    text = httpx.get(f"{address}/metrics").text
    for line in (
        'quintet_requests_total{route="/v1/tasks/spam",status="200"}',
        'quintet_tokens_total{kind="prompt",model="spam"}',
        'quintet_time_to_first_token_seconds_count{model="spam"}',
        'quintet_rows_total{finish_reason="stop",model="spam"}',
        "quintet_queue_rows",
        'quintet_rows_admitted{model="spam"} 0.0',
        "quintet_batch_rows 0.0",
        "process_resident_memory_bytes",
    ):
        assert line in text, line


def test_the_page_of_the_schema_fetches_nothing_from_elsewhere(address):
    page = httpx.get(f"{address}/docs").text
    assert "https://" not in page and "/static-offline-docs/swagger-ui-bundle.js" in page
    assert httpx.get(f"{address}/static-offline-docs/swagger-ui-bundle.js").status_code == 200
    routes = httpx.get(f"{address}/openapi.json").json()["paths"]
    assert {"/v1/chat/completions", "/v1/tasks/urgency", "/v1/translate"} <= set(routes)
