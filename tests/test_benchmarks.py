"""Systems learn the same rows in processes of their own, and agree on the loss."""

from __future__ import annotations

import itertools
import json

import pytest
import torch
from transformers import LlamaForCausalLM
from typer.testing import CliRunner

from benchmarks import interleaved, load, serving
from benchmarks.interleaved import Measured, Order
from benchmarks.peers import llama_cpp_peer
from commands import bench_traffic, benching
from commands.table import app
from core import backbone as backbones
from core import store
from core.adapters.lora import AdapterStack
from core.backbone import presets
from core.engine.sequences import Request

OPTIONAL = (
    "ctranslate2, merged models",
    "llama.cpp, adapter set a request",
    "transformers decision pipeline",
)
"""Systems that cannot answer everything, or not everywhere."""


@pytest.fixture
def order(tmp_path, tokenizer) -> Order:
    torch.manual_seed(0)
    backbones.save(presets.create("nano", tokenizer), tmp_path / "nano")
    rows = [[20 + (n * step) % 500 for step in range(6 + n % 7)] for n in range(12)]
    return Order(
        workload="finetune",
        backbone=str(tmp_path / "nano"),
        rows=rows,
        starts=[len(row) - 2 for row in rows],
        epochs=1,
        batch_size=4,
        learning_rate=5e-3,
    )


def test_ours_and_the_tuned_trainer_learn_the_same(order):
    seen = []
    ours, tuned = interleaved.compare(
        order, ["quintet", "trainer-tuned"], told=lambda done, total: seen.append((done, total))
    )
    assert interleaved.agree(ours, tuned) and ours.before == pytest.approx(tuned.before, rel=1e-4)
    assert ours.after < ours.before
    assert ours.flops == pytest.approx(tuned.flops)
    assert ours.tokens == sum(map(len, order.rows)) and 0 < ours.flops_utilization <= 1
    assert seen == [(1, 2), (2, 2)]


def test_a_system_that_fails_says_why(order):
    with pytest.raises(interleaved.Failed, match=r"'quintet' ended with 1: .*No folder"):
        broken = Order(**{**vars(order), "backbone": "/nowhere"})
        interleaved.compare(broken, ["quintet"])


def test_losses_that_differ_are_told():
    one = dict(
        seconds=1.0, examples=1, tokens=1, peak_bytes=1, flops=1.0, peak_flops=1.0, before=5.0
    )
    same = Measured(name="a", after=1.0, **one)
    assert interleaved.agree(same, Measured(name="b", after=1.05, **one))
    assert not interleaved.agree(same, Measured(name="b", after=1.5, **one))
    assert not interleaved.agree(same, Measured(name="b", after=1.0, **{**one, "before": 6.0}))


def test_pretraining_is_compared_from_the_command_line(order, tmp_path):
    found = CliRunner().invoke(
        app,
        ["bench", "pretrain", "--backbone", order.backbone, "--preset", "nano", "--rows", "8",
         "--length", "16", "--batch-size", "4", "--json"],
    )  # fmt: skip
    assert found.exit_code == 0, found.output
    rows = json.loads(found.stdout)
    assert [row["name"] for row in rows] == ["quintet", "trainer", "trainer-tuned"]
    assert all(row["tokens_per_second"] > 0 and row["loss_after"] < 7 for row in rows)


def test_a_backbone_is_named_as_in_every_command(tmp_path, monkeypatch):
    shipped = str(store.shipped_backbone())
    assert benching._folder("mini") == benching._folder(None) == shipped
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path)
    assert benching._folder("here") == str(tmp_path / "here")
    assert benching._folder("Qwen/Qwen3-0.6B-Base") == "Qwen/Qwen3-0.6B-Base"


def test_all_ways_to_serve_say_the_same(order, tmp_path, tokenizer):
    stack = AdapterStack(backbones.load(order.backbone))
    for seed, name in enumerate("ab"):
        stack.create(name, {"r": 4, "init_lora_weights": False}, seed=seed)
        stack.save(name, tmp_path / name)
    end = tokenizer.eos_token_id
    requests = [
        request
        for name in "ab"
        for request in (
            Request(adapter=name, prompt=(0, 40, 50), max_new_tokens=6),
            Request(adapter=name, prompt=(0, 41), max_new_tokens=9),
            Request(adapter=name, prompt=(0, 42, 43), label_tokens=(80, 90, 100)),
            Request(
                adapter=name,
                prompt=(0, 44),
                max_new_tokens=5,
                allowed=lambda ids: [300, 301] if len(ids) < 2 else [end],
            ),
        )
    ]
    adapters = {name: tmp_path / name for name in "ab"}
    others = (*OPTIONAL, "quintet in int8")
    names = [name for name in serving.SYSTEMS if name not in others]
    served = serving.compare(order.backbone, adapters, [requests], names=names, rounds=1)
    assert [one.name for one in served] == names
    assert all(one.same == len(requests) for one in served)
    assert len({one.tokens for one in served}) == 1
    assert serving.InInt8(order.backbone, adapters, "fp32").answer(requests).tokens > 0


def test_a_missing_peer_is_told_and_closed_traffic_has_one_more(monkeypatch):
    closed = Request(adapter="a", prompt=(0,), label_tokens=(80, 90))
    free = Request(adapter="a", prompt=(0,), max_new_tokens=2)
    monkeypatch.setattr(serving, "find_spec", lambda name: None)
    found = serving.entered([[closed], [free]])
    assert "transformers decision pipeline" not in found.names
    assert len(found.notes) == 2 and "pip install llama-cpp-python" in found.notes[1]
    assert "transformers decision pipeline" in serving.entered([[closed]]).names
    assert not set(found.names) & set(OPTIONAL)


def test_peers_that_stay_in_fp32_are_named(monkeypatch):
    free = Request(adapter="a", prompt=(0,), max_new_tokens=2)
    monkeypatch.setattr(serving, "find_spec", lambda name: True)
    found = serving.entered([[free]], "bf16")
    assert [note for note in found.notes if "fp32" in note and "llama.cpp" in note]
    assert not serving.entered([[free]]).notes


def test_llama_cpp_gets_the_same_backbone(tmp_path):
    """transformers turns queries and keys back as llama.cpp reads them."""
    ours = backbones.load(str(store.shipped_backbone())).model
    llama_cpp_peer.write_backbone(ours, tmp_path / "model.gguf")
    theirs = LlamaForCausalLM.from_pretrained(tmp_path, gguf_file="model.gguf")
    ids = torch.tensor([[5, 80, 41, 1000]])
    with torch.inference_mode():
        torch.testing.assert_close(theirs(ids).logits, ours(ids).logits, atol=1e-4, rtol=0)


@pytest.mark.parametrize("kind", ["mixed", "labels", "passages", "chats"])
def test_each_kind_of_traffic_is_what_it_says(kind):
    adapters, traffic = bench_traffic.build(kind, str(store.shipped_backbone()), 2, 3)
    requests = [request for turn in traffic for request in turn]
    assert {request.adapter for request in requests} <= set(adapters)
    if kind == "labels":
        assert all(request.label_tokens for request in requests)
    if kind in ("passages", "chats"):
        assert len(traffic) == 4 and not any(request.label_tokens for request in requests)
        for earlier, later in itertools.pairwise(traffic):
            for one, other in zip(earlier, later, strict=True):
                half = len(one.prompt) // 2
                assert one.prompt[:half] == other.prompt[:half] and one.prompt != other.prompt


def test_many_clients_are_answered_as_one(tmp_path):
    asked = bench_traffic.bodies(str(store.shipped_backbone()), 1, 3)
    assert len(asked) == 5
    found = load.measure(str(store.shipped_backbone()), asked, clients=6, each=2)
    assert len(found.seconds) + found.refused == 12
    assert found.lost == found.different == 0
    assert 0 < found.quantile(0.5) <= found.quantile(0.99) <= max(found.seconds)
    assert found.before > 0
