"""The prefix cache: prompts that begin alike are read once, and answered as without it."""

from __future__ import annotations

import pytest
import torch

from core.engine.cache import token_bytes
from core.engine.engine import Engine
from core.engine.prefixes import BLOCK, Prefixes
from core.engine.scheduler import Limits
from core.engine.sequences import Request, Written

PASSAGE = tuple(range(100, 150))
QUESTIONS = [(60, 61), (62,), tuple(range(70, 90)), (63, 64, 65)]


@pytest.fixture
def engine(backbone, tmp_path):
    """Two adapters that differ, and a third with the weights of the second."""
    engine = Engine(backbone)
    for seed, name in enumerate("ab"):
        engine.adapters.create(name, {"r": 4, "init_lora_weights": False}, seed=seed)
        engine.adapters.save(name, tmp_path / name)
        engine.adapters.delete(name)
        engine.adapters.load(name, tmp_path / name)
    yield engine
    engine.close()


def asked(name, prompt, **more) -> Request:
    return Request(
        adapter=name, prompt=tuple(prompt), **{"max_new_tokens": 6, "logprobs": 5, **more}
    )


def answer(engine, request) -> Written:
    return engine.submit(request).result(timeout=60)


def uncached(engine, request) -> Written:
    """By an engine that has read nothing yet, on the same backbone with the same adapters."""
    other = Engine(engine.backbone, engine.adapters)
    found = answer(other, request)
    other.close()
    assert found.cached_tokens == 0
    return found


def assert_same(found: Written, expected: Written) -> None:
    assert found.ids == expected.ids
    for one, other in zip(found.logprobs, expected.logprobs, strict=True):
        values = [torch.tensor([value for _, value in each.top]) for each in (one, other)]
        assert torch.allclose(*values, atol=1e-4)
    assert found.probabilities == pytest.approx(expected.probabilities, abs=1e-5)


@pytest.mark.parametrize("more", [{}, {"label_tokens": (80, 90, 100)}], ids=["written", "ranked"])
def test_a_known_beginning_is_not_read_again_and_changes_nothing(engine, more):
    answer(engine, asked("a", PASSAGE))
    for question in QUESTIONS:
        request = asked("a", (*PASSAGE, *question), **more)
        found = answer(engine, request)
        assert found.cached_tokens == len(PASSAGE) // BLOCK * BLOCK
        assert_same(found, uncached(engine, request))


def test_questions_that_arrive_together_share_their_passage(engine):
    requests = [asked("a", (*PASSAGE, *question)) for question in QUESTIONS]
    found = [handle.result(timeout=60) for handle in engine.submit_all(requests)]
    assert sorted(one.cached_tokens > 0 for one in found) == [False, True, True, True]
    for one, request in zip(found, requests, strict=True):
        assert_same(one, uncached(engine, request))


def test_the_next_turn_of_a_chat_reads_what_is_new(engine):
    first = answer(engine, asked("a", PASSAGE, max_new_tokens=30))
    request = asked("a", (*PASSAGE, *first.ids, 60, 61))
    found = answer(engine, request)
    assert found.cached_tokens > len(PASSAGE) + len(first.ids) - BLOCK - 1
    assert_same(found, uncached(engine, request))


def test_what_one_adapter_read_is_never_used_by_another(engine, tmp_path):
    requests = [asked(name, (*PASSAGE, 60)) for name in ("a", "b", None)]
    found = [answer(engine, request) for request in requests]
    assert [one.cached_tokens for one in found] == [0, 0, 0]
    assert len({one.logprobs for one in found}) == 3
    engine.adapters.load("a", tmp_path / "b")
    replaced = answer(engine, requests[0])
    assert replaced.cached_tokens == 0
    assert_same(replaced, found[1])


def test_weights_that_were_set_anew_forget_what_they_read(engine):
    request = asked("a", PASSAGE)
    before = answer(engine, request)
    engine.adapters.restore("a", {k: -2 * v for k, v in engine.adapters.state("a").items()})
    after = answer(engine, request)
    assert after.cached_tokens == 0 and after.logprobs != before.logprobs


def test_weights_that_learn_are_never_kept(engine):
    engine.adapters.create("new", {"r": 4}, seed=0)
    for _ in range(2):
        assert answer(engine, asked("new", PASSAGE)).cached_tokens == 0


def test_a_small_bound_evicts_and_answers_stay(engine):
    small = Engine(engine.backbone, engine.adapters, limits=Limits(cache_tokens=256))
    texts = [tuple(range(start, start + 60)) for start in range(0, 400, 40)]
    requests = [asked("a", text) for text in texts] * 2
    for request in requests:
        assert_same(answer(small, request), uncached(engine, request))
        assert small.load.cache_bytes <= small.cache_limit
        assert small.load.cache_bytes <= 256 * token_bytes(engine.backbone.model)
    small.close()


def test_rows_that_write_take_the_room_of_what_is_kept(engine):
    small = Engine(engine.backbone, engine.adapters, limits=Limits(rows=8, cache_tokens=1024))
    answer(small, asked("a", PASSAGE))
    assert small.load.cache_bytes > 0
    handles = small.submit_all([asked("b", range(100 + n, 150 + n)) for n in range(8)] * 3)
    while not all(handle.done for handle in handles):
        assert small.load.cache_bytes <= 1024 * token_bytes(engine.backbone.model)
    small.close()


def test_closed_prompts_are_kept_from_the_second_of_a_kind_on(engine):
    requests = [asked("a", (*PASSAGE, n), label_tokens=(80, 90)) for n in range(3)]
    assert [answer(engine, request).cached_tokens > 0 for request in requests] == [
        False, False, True,
    ]  # fmt: skip


def test_the_block_that_was_used_last_stays_longest():
    prefixes = Prefixes()
    prefixes.shrink(4 * BLOCK)
    texts = [tuple(range(n, n + 2 * BLOCK)) for n in (0, 100, 200)]

    def store(text):
        prefixes.store((None, 0), text, lambda some: [torch.zeros(1, some.stop - some.start, 1)])

    for text in (texts[0], texts[1], texts[0], texts[2]):
        store(text)
    assert [prefixes.match((None, 0), text) for text in texts] == [2 * BLOCK, 0, 2 * BLOCK]
    prefixes.shrink(3 * BLOCK)
    assert [prefixes.match((None, 0), text) for text in texts] == [BLOCK, 0, 2 * BLOCK]
    assert prefixes.match((None, 1), texts[2]) == 0
    prefixes.retain({("other", 0)})
    assert prefixes.tokens == 0
