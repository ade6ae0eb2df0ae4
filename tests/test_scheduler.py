"""A continuous batch over mixed adapters: every row is answered as it is alone, whatever goes on."""

from __future__ import annotations

import gc
import random
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch

from core.adapters.lora import AdapterStack
from core.engine.cache import RowCache, token_bytes
from core.engine.engine import Engine
from core.engine.sampling import Sample
from core.engine.scheduler import Limits
from core.engine.sequences import Request
from core.errors import BadInput, BadSetting, Closed, MissingAdapter, Overloaded

NAMES = ("a", "b", "c", "d", "e")
LABEL_TOKENS = (80, 90, 100)
PROMPTS = [(0, 40, 50), (0,), (0, *range(60, 90)), (0, 70, 71, 72, 73)]


@pytest.fixture(scope="module")
def folders(tokenizer, tmp_path_factory):
    """Five adapters on disk: two ranks, two sets of layers."""
    from core import backbone as backbones

    stack = AdapterStack(backbones.create("nano", tokenizer, seed=0))
    root = tmp_path_factory.mktemp("adapters")
    for seed, name in enumerate(NAMES):
        lora = {"r": 4 + 4 * (seed % 2)}
        if name == "c":
            lora["target_modules"] = ["q_proj", "down_proj"]
        stack.create(name, lora, seed=seed)
        source = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in stack.parameters(name):
                parameter.copy_(torch.randn(parameter.shape, generator=source) * 0.2)
        stack.save(name, root / name)
    return {name: root / name for name in NAMES}


@pytest.fixture
def engine(backbone, folders):
    engine = Engine(backbone)
    for name, folder in folders.items():
        engine.adapters.load(name, folder)
    yield engine
    engine.close()


def asked(name, prompt, **more) -> Request:
    return Request(adapter=name, prompt=tuple(prompt), **{"max_new_tokens": 12, **more})


def mixed(names=(None, *NAMES)) -> list[Request]:
    """Closed and free answers of every adapter, greedy and drawn."""
    found = []
    for place, name in enumerate(names):
        for prompt in PROMPTS:
            found.append(asked(name, prompt, max_new_tokens=4 + 5 * place % 17))
            found.append(asked(name, prompt, label_tokens=LABEL_TOKENS))
            found.append(asked(name, prompt, sampling=Sample(seed=place, top_p=0.9)))
            found.append(asked(name, prompt, targets=(41, 42, 43)))
    return found


def same(one, other) -> bool:
    close = torch.allclose(
        torch.tensor(one.probabilities), torch.tensor(other.probabilities), atol=1e-5
    )
    return one.ids == other.ids and close and abs(one.nats - other.nats) < 1e-3


def test_logits_of_a_mixed_batch_are_those_of_each_adapter(engine):
    """Against peft's own routing, token by token and prompt by prompt."""
    forward = engine._scheduler._forward
    names = ["a", "a", "b", "c", None]
    for tokens in ([[5], [6], [7], [8], [9]], [[5, 6, 7]] * 5):
        keys = [engine.adapters.hold(name) for name in names]
        with forward.step():
            found = forward(tokens, keys, [1] * 5, None)
        for row, name, ids in zip(found, names, tokens, strict=True):
            with torch.no_grad(), engine.adapters.use(name) as model:
                assert torch.allclose(
                    row, model(input_ids=torch.tensor([ids])).logits[0, -1], atol=1e-4
                )


def test_all_kinds_of_answers_together_are_what_they_are_alone(engine):
    requests = mixed()
    alone = [engine.submit(request).result(timeout=60) for request in requests]
    together = [handle.result(timeout=60) for handle in engine.submit_all(requests)]
    assert all(map(same, together, alone))
    assert len({written.ids for written in alone}) > len(requests) // 8


def test_prompts_read_in_pieces_are_read_as_in_one(backbone, folders):
    requests = [*mixed(("a", "c")), asked("a", range(100, 180), logprobs=3)]
    found = []
    for limits in (Limits(prefill_tokens=4096), Limits(prefill_tokens=7)):
        engine = Engine(backbone, limits=limits)
        for name in "ac":
            engine.adapters.load(name, folders[name])
        handles = engine.submit_all(requests)
        found.append([handle.result(timeout=60) for handle in handles])
        engine.close()
    assert all(map(same, *found))
    for one, other in zip(found[0][-1].logprobs, found[1][-1].logprobs, strict=True):
        assert one.logprob == pytest.approx(other.logprob, abs=1e-4)


def test_no_answer_is_crossed_while_adapters_come_and_go(engine, folders):
    """16 threads, five adapters and the backbone, 1,000 calls, closed and free answers."""
    requests = [replace(request, max_new_tokens=2) for request in mixed()]
    alone = [engine.submit(request).result(timeout=60) for request in requests]
    over, wrong = threading.Event(), []

    def ask(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(63):
            place = chance.randrange(len(requests))
            if not same(engine.submit_all([requests[place]])[0].result(60), alone[place]):
                wrong.append(place)

    def change() -> int:
        turns = 0
        while turns < 60 and not over.wait(0.05):
            engine.adapters.load(f"more{turns % 3}", folders[NAMES[turns % 5]])
            engine.adapters.load(NAMES[turns % 5], folders[NAMES[turns % 5]])  # while it answers
            if turns % 3 == 2:
                engine.adapters.delete("more2")
            turns += 1
        return turns

    with ThreadPoolExecutor(17) as pool:
        changing = pool.submit(change)
        try:
            for asking in [pool.submit(ask, seed) for seed in range(16)]:
                asking.result(timeout=300)
        finally:
            over.set()
        assert changing.result(timeout=60) > 3
    assert wrong == []
    assert set(engine.adapters.routing.held.values()) <= {0}


def failing_on(engine, token: int):
    """The model raises in every pass that holds the token."""

    def look(module, args, kwargs):
        if bool((kwargs["input_ids"] == token).any()):
            raise ArithmeticError("a fault in the middle")

    return engine.backbone.model.register_forward_pre_hook(look, with_kwargs=True)


def test_a_failing_pass_fails_its_own_request_only(engine):
    requests = mixed(("a", "b"))
    alone = [engine.submit(request).result(timeout=60) for request in requests]
    bad = asked("a", (0, 7))
    # Fails while its prompt is read, and, with another one, in the middle of writing.
    first = engine.submit(asked("b", PROMPTS[2])).result(timeout=60).ids[3]
    for token, wrong in ((7, bad), (first, asked("b", PROMPTS[2]))):
        hook = failing_on(engine, token)
        handles = engine.submit_all([*requests[:6], wrong, *requests[6:]])
        with pytest.raises(ArithmeticError):
            handles.pop(6).result(timeout=60)
        hook.remove()
        for handle, expected in zip(handles, alone, strict=True):
            if token == 7:
                assert same(handle.result(timeout=60), expected)
        after = [handle.result(timeout=60) for handle in engine.submit_all(requests)]
        assert all(map(same, after, alone))
    assert set(engine.adapters.routing.held.values()) <= {0}


def test_an_unknown_adapter_is_an_error_and_never_the_base(engine):
    with pytest.raises(MissingAdapter, match="No adapter 'z' is loaded"):
        engine.submit(asked("z", PROMPTS[0]))
    with pytest.raises(MissingAdapter):
        engine.submit_all([asked("a", PROMPTS[0]), asked("z", PROMPTS[0])])
    assert set(engine.adapters.routing.held.values()) <= {0}


def test_a_deleted_adapter_ends_what_it_began(engine):
    expected = engine.submit(asked("b", PROMPTS[0], max_new_tokens=200)).result(timeout=60)
    handle = engine.submit(asked("b", PROMPTS[0], max_new_tokens=200))
    engine.adapters.delete("b")
    assert same(handle.result(timeout=60), expected)
    with pytest.raises(MissingAdapter):
        engine.submit(asked("b", PROMPTS[0]))


def test_a_bad_reload_leaves_the_adapter_that_was_there(engine, folders, tmp_path):
    expected = engine.rank("a", [list(PROMPTS[0])], LABEL_TOKENS)
    with pytest.raises(MissingAdapter):
        engine.adapters.load("a", tmp_path)
    assert torch.equal(engine.rank("a", [list(PROMPTS[0])], LABEL_TOKENS), expected)


@pytest.mark.parametrize("leave", ["cancel", "close"])
def test_who_goes_away_stops_the_row_and_frees_its_cache(engine, leave):
    handle = engine.submit(asked(None, PROMPTS[0], max_new_tokens=250, allowed=lambda ids: [9]))
    steps = iter(handle)
    assert len(next(steps).ids) == 1
    assert engine.load.writing == 1 and engine.load.cache_bytes > 0
    handle.cancel() if leave == "cancel" else steps.close()
    written = handle.result(timeout=60)
    assert written.finish == "cancelled"
    assert 1 <= len(written.ids) < 250
    engine.submit(asked(None, PROMPTS[0], label_tokens=LABEL_TOKENS)).result(timeout=60)
    assert engine.load.writing == 0 and engine.load.cache_bytes == 0


def test_a_long_row_does_not_delay_a_short_one(engine):
    long = engine.submit(asked("a", PROMPTS[0], max_new_tokens=250, allowed=lambda ids: [9]))
    steps = iter(long)
    next(steps)
    assert engine.submit(asked("b", PROMPTS[1], max_new_tokens=3)).result(timeout=60).ids
    assert not long.done
    long.cancel()


def test_a_long_prompt_is_read_beside_short_ones(backbone):
    engine = Engine(backbone, limits=Limits(prefill_tokens=8))
    order = []
    prompts = [range(1, 200), *(range(1, 4) for _ in range(4))]
    handles = [
        engine.submit(
            asked(None, prompt, label_tokens=LABEL_TOKENS), lambda handle: order.append(handle)
        )
        for prompt in prompts
    ]
    for handle in handles:
        handle.result(timeout=60)
    assert order[-1] is handles[0]
    engine.close()


def test_finish_reasons_and_counts(engine):
    end = engine.backbone.tokenizer.eos_token_id
    spelled = engine.backbone.tokenizer("the", add_special_tokens=False)["input_ids"][0]
    text = engine.backbone.tokenizer.decode([spelled])

    def written(**more):
        found = engine.submit(asked("a", PROMPTS[0], max_new_tokens=5, **more)).result(timeout=60)
        return found.finish, len(found.ids), found.completion_tokens, found.prompt_tokens

    assert written(allowed=lambda ids: [9]) == ("length", 5, 5, 3)
    assert written(allowed=lambda ids: [9, end][len(ids) > 1 :][:1]) == ("stop", 2, 3, 3)
    assert written(allowed=lambda ids: [end]) == ("stop", 0, 1, 3)
    assert written(allowed=lambda ids: [spelled], stop=("§", text)) == ("stop", 1, 1, 3)
    assert written(label_tokens=LABEL_TOKENS) == ("stop", 0, 1, 3)


def test_log_probabilities_are_those_of_the_model(engine):
    found = engine.submit(asked(None, PROMPTS[0], logprobs=2)).result(timeout=60)
    assert len(found.logprobs) == len(found.ids)
    with torch.no_grad():
        logits = engine.backbone.model(input_ids=torch.tensor([PROMPTS[0]])).logits[0, -1]
    expected = logits.log_softmax(-1)
    assert found.logprobs[0].token == found.ids[0] == found.logprobs[0].top[0][0]
    assert found.logprobs[0].logprob == pytest.approx(float(expected.max()), abs=1e-4)
    assert len(found.logprobs[0].top) == 2


def test_a_full_queue_refuses_and_blocking_calls_wait(backbone):
    engine = Engine(backbone, limits=Limits(rows=1, queue=2))
    gate = threading.Event()

    def hold(ids):
        assert gate.wait(60)
        return [9]

    busy = engine.submit(asked(None, PROMPTS[0], allowed=hold))
    while engine.load.waiting:  # until it is in the batch
        time.sleep(0.001)
    waiting = [engine.submit(asked(None, PROMPTS[0])) for _ in range(2)]
    with pytest.raises(Overloaded, match="2 requests wait already, and 2 may"):
        engine.submit(asked(None, PROMPTS[0]))
    with ThreadPoolExecutor(1) as pool:
        patient = pool.submit(engine.rank, None, [list(PROMPTS[0])] * 5, LABEL_TOKENS)
        gate.set()
        assert patient.result(timeout=60).shape == (5, 3)
    assert [handle.result(timeout=60).finish for handle in (busy, *waiting)]
    engine.close()


def test_a_long_prompt_delays_others_by_steps_that_can_be_counted(backbone):
    """A writer gets its token in every step; who comes while a long prompt is read does not wait for its end."""
    engine = Engine(backbone, limits=Limits(prefill_tokens=8))
    scheduler, step, arrived, told = engine._scheduler, engine._scheduler.step, 6, []
    long = asked(None, [40] * 240, max_new_tokens=2)  # 30 pieces
    closed = [asked(None, [9 + n] * 6, label_tokens=LABEL_TOKENS) for n in range(20)]
    brief = asked(None, PROMPTS[0], max_new_tokens=8, allowed=lambda ids: [9])
    handles = {}

    def counted(outbox):
        step(outbox)
        told.append(
            {name: (len(one.latest.ids), one.done) for name, one in handles.items()}
            | {"reading": scheduler._long is not None}
        )
        if len(told) == 2:
            handles["long"] = engine.submit(long)
        if len(told) == arrived:
            more = engine.submit_all([brief, *closed])
            handles.update({str(place): one for place, one in enumerate(more)})

    scheduler.step = counted
    handles["writer"] = engine.submit(replace(brief, max_new_tokens=60))
    assert [one.result(timeout=60) for one in list(handles.values())]
    while "20" not in handles or not all(one.done for one in list(handles.values())):
        time.sleep(0.001)
    assert sum(one["reading"] for one in told) >= 30
    lengths = [one["writer"][0] for one in told if not one["writer"][1]]
    assert lengths == list(range(lengths[0], lengths[0] + len(lengths)))
    # Two steps until it is in the batch, which tells of each token a step later; then one token a step.
    assert told[arrived + 3]["0"][0] >= 1
    assert told[arrived + 3 + 8]["0"][1]
    # Twenty closed answers: a piece of the long prompt and one of these, in turns.
    done = next(place for place, one in enumerate(told) if one.get("20", (0, False))[1])
    assert told[done]["reading"]
    engine.close()


def test_keys_and_values_stay_within_their_limit(backbone):
    engine = Engine(backbone, limits=Limits(rows=16, cache_tokens=512))
    seen = []
    handles = engine.submit_all([asked(None, PROMPTS[2], max_new_tokens=60)] * 12)
    while not all(handle.done for handle in handles):
        seen.append(engine.load.cache_bytes)
    assert all(handle.result().ids for handle in handles)
    assert 0 < max(seen) <= engine.cache_limit
    assert max(seen) <= 512 * token_bytes(backbone.model)
    engine.close()


def test_rows_keep_their_keys_and_values_when_others_come_and_go(backbone):
    """Against one pass over each row, with lengths that move the batch in its tensors."""
    model, cache = backbone.model, RowCache(backbone.model)
    texts: list[list[int]] = []

    def read(tokens):
        mask = torch.tensor(
            [[0] * (max(map(len, texts)) - len(row)) + [1] * len(row) for row in texts]
        )
        logits = model(
            input_ids=tokens,
            attention_mask=mask,
            position_ids=torch.tensor([[len(row) - 1] for row in texts]),
            past_key_values=cache.cache,
        ).logits[:, -1]
        cache.advance([1] * len(texts))
        for row, found in zip(texts, logits, strict=True):
            assert torch.allclose(
                found, model(input_ids=torch.tensor([row])).logits[0, -1], atol=1e-4
            )

    def join(row):
        other = RowCache(model)
        other.begin(1)
        model(input_ids=torch.tensor([row]), past_key_values=other.cache)
        other.advance([len(row)])
        cache.join(other)
        texts.append(row)

    def step():
        cache.prepare(1)
        for row in texts:
            row.append(len(row) + 1)
        read(torch.tensor([row[-1:] for row in texts]))

    with torch.no_grad():
        for length in (5, 2, 30, 7):
            join(list(range(3, 3 + length)))
            step()
        for place in (2, 0):
            cache.drop(place)
            texts[place] = texts[-1]
            texts.pop()
            for _ in range(70):
                step()


def test_what_cannot_be_answered_is_refused_at_once(engine):
    size = engine.backbone.model.config.vocab_size
    with pytest.raises(BadInput, match="is no token"):
        engine.submit(asked("a", (0, size)))
    with pytest.raises(BadSetting, match="logprobs is -1"):
        engine.submit(asked("a", (0,), logprobs=-1))
    with pytest.raises(BadSetting, match="A stop is empty"):
        engine.submit(asked("a", (0,), stop=("x", "")))


def test_a_closed_engine_refuses_and_its_thread_ends(backbone):
    engine = Engine(backbone)
    running = engine.submit(asked(None, PROMPTS[0], max_new_tokens=250, allowed=lambda ids: [9]))
    steps = iter(running)
    next(steps)
    engine.close()
    with pytest.raises(Closed):
        running.result(timeout=60)
    with pytest.raises(Closed):
        engine.submit(asked(None, PROMPTS[0]))


def test_the_thread_of_a_forgotten_engine_ends(backbone):
    engine = Engine(backbone)
    engine.rank(None, [[0]], LABEL_TOKENS)
    thread, gone = engine._worker._thread, weakref.ref(engine)
    del engine
    gc.collect()
    thread.join(timeout=60)
    assert gone() is None and not thread.is_alive()
