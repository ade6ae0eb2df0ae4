"""One backbone, many adapters, many threads: every call gets the answer it would get alone."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from core import hardware
from core.adapters.lora import AdapterStack
from core.engine import worker
from core.engine.engine import Engine
from core.engine.prompting import Encoded
from core.engine.sampling import Greedy, Sample
from core.engine.sequences import Request
from core.errors import BadInput, BadSetting, Damaged, MissingAdapter

PROMPTS = [[0, 40, 50], [0], [0, 60, 61, 62, 63, 64, 65, 66], [0, 70, 71]]
LABEL_TOKENS = [80, 90, 100]


@pytest.fixture
def engine(backbone) -> Engine:
    """With two adapters, a and b, that answer differently."""
    stack = AdapterStack(backbone)
    for seed, name in enumerate("ab"):
        stack.create(name, seed=seed)
        source = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in stack.parameters(name):
                parameter.copy_(torch.randn(parameter.shape, generator=source) * 0.2)
    return Engine(backbone, stack)


def test_ranks_are_probabilities_over_the_marks(engine):
    rows = engine.rank("a", PROMPTS, LABEL_TOKENS)
    assert rows.shape == (4, 3)
    assert torch.allclose(rows.sum(1), torch.ones(4))
    assert engine.rank("a", [], LABEL_TOKENS).shape == (0, 3)


def test_a_padded_row_is_ranked_as_it_is_alone(engine):
    together = engine.rank("a", PROMPTS, LABEL_TOKENS)
    for row, prompt in zip(together, PROMPTS, strict=True):
        assert torch.allclose(row, engine.rank("a", [prompt], LABEL_TOKENS)[0], atol=1e-6)


def test_a_rank_is_the_softmax_of_the_models_own_logits(engine):
    with torch.no_grad(), engine.adapters.use("b") as model:
        logits = model(input_ids=torch.tensor([PROMPTS[2]])).logits[0, -1, LABEL_TOKENS]
    assert torch.allclose(
        engine.rank("b", [PROMPTS[2]], LABEL_TOKENS)[0], logits.softmax(0), atol=1e-6
    )


@pytest.mark.parametrize("adapter", [None, "a", "b"])
def test_greedy_writing_is_what_generate_writes(engine, adapter):
    written = engine.write(adapter, PROMPTS, max_new_tokens=20)
    with engine.adapters.use(adapter) as model:
        for prompt, ids in zip(PROMPTS, written, strict=True):
            expected = model.generate(
                torch.tensor([prompt]),
                attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
                max_new_tokens=20,
                do_sample=False,
            )[0, len(prompt) :].tolist()
            assert ids == [token for token in expected if token != 0]


def test_a_draw_depends_on_the_seed_and_not_on_the_rows_beside_it(engine):
    def write(prompts, seed):
        return engine.write("a", prompts, max_new_tokens=12, sampling=Sample(seed=seed))

    assert write(PROMPTS, 1) == write(PROMPTS, 1)
    assert write(PROMPTS, 1) != write(PROMPTS, 2)
    assert write(PROMPTS, 1) == [write([prompt], 1)[0] for prompt in PROMPTS]


def test_sampling_leaves_the_global_random_state_alone(engine):
    before = torch.get_rng_state()
    engine.write("a", PROMPTS, max_new_tokens=5, sampling=Sample())
    assert torch.equal(before, torch.get_rng_state())


def test_drawing_from_one_token_is_greedy(engine):
    single = engine.write("a", PROMPTS, max_new_tokens=12, sampling=Sample(top_k=1))
    assert single == engine.write("a", PROMPTS, max_new_tokens=12, sampling=Greedy())


def test_a_penalty_makes_repetition_rarer(engine):
    free, penalised = (
        engine.write(
            None, PROMPTS, max_new_tokens=30, sampling=Sample(top_k=1, repetition_penalty=penalty)
        )
        for penalty in (1.0, 10.0)
    )
    assert sum(len(set(row)) for row in penalised) > sum(len(set(row)) for row in free)


def test_a_rule_decides_what_may_be_written(engine):
    end = engine.backbone.tokenizer.eos_token_id

    def two_of_a_kind(written: list[int]) -> list[int]:
        return [300, 301] if len(written) < 2 else [end]

    written = engine.write("a", PROMPTS[:2], max_new_tokens=9, allowed=[two_of_a_kind, None])
    assert len(written[0]) == 2
    assert set(written[0]) <= {300, 301}
    assert written[1] == engine.write("a", PROMPTS[1:2], max_new_tokens=9)[0]


def test_a_stream_grows_to_what_is_written_at_once(engine):
    steps = list(engine.stream("a", PROMPTS[0], max_new_tokens=10))
    assert steps[-1] == engine.write("a", PROMPTS[:1], max_new_tokens=10)[0]
    assert [len(step) for step in steps[:10]] == list(range(1, len(steps[:10]) + 1))


def test_others_are_served_while_a_stream_waits_and_after_it_is_left(engine):
    stream = engine.stream("a", PROMPTS[0], max_new_tokens=50)
    next(stream)
    with ThreadPoolExecutor(1) as pool:
        busy = pool.submit(engine.rank, "b", PROMPTS, LABEL_TOKENS).result(timeout=30)
        pool.submit(next, stream).result(timeout=30)  # another thread may go on with it
        stream.close()
        free = pool.submit(engine.rank, "b", PROMPTS, LABEL_TOKENS).result(timeout=30)
    assert torch.equal(busy, free)


def test_streams_of_two_adapters_do_not_mix(engine):
    alone = {name: list(engine.stream(name, PROMPTS[2], max_new_tokens=15)) for name in "ab"}
    first = engine.stream("a", PROMPTS[2], max_new_tokens=15)
    second = engine.stream("b", PROMPTS[2], max_new_tokens=15)
    both = [list(pair) for pair in zip(*zip(first, second, strict=False), strict=True)]
    for mixed, name in zip(both, "ab", strict=True):
        assert mixed == alone[name][: len(mixed)]


def test_threads_with_different_adapters_always_get_their_own_answers(engine):
    names = [None, "a", "b"]
    alone = {name: engine.rank(name, PROMPTS, LABEL_TOKENS) for name in names}
    wrong: list[str | None] = []

    def ask(offset: int) -> None:
        for turn in range(15):
            name = names[(offset + turn) % 3]
            if not torch.allclose(engine.rank(name, PROMPTS, LABEL_TOKENS), alone[name], atol=1e-5):
                wrong.append(name)

    threads = [threading.Thread(target=ask, args=(offset,)) for offset in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_an_error_in_the_middle_does_not_leak_its_adapter(engine):
    bare = engine.rank(None, PROMPTS, LABEL_TOKENS)

    def failing(written: list[int]) -> list[int]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        engine.write("a", PROMPTS[:1], max_new_tokens=5, allowed=[failing])
    assert torch.equal(engine.rank(None, PROMPTS, LABEL_TOKENS), bare)
    logits = engine.backbone.model(input_ids=torch.tensor(PROMPTS[:1])).logits[0, -1, LABEL_TOKENS]
    assert torch.allclose(logits.softmax(0), bare[0], atol=1e-6)


def test_training_goes_on_where_it_was(engine):
    model = engine.backbone.model
    with engine.adapters.use("a"):
        model.train()
        engine.write("b", PROMPTS, max_new_tokens=3)
        assert model.training
        loss = model(input_ids=torch.tensor([PROMPTS[2]]), labels=torch.tensor([PROMPTS[2]])).loss
        loss.backward()
        assert all(weight.grad is not None for weight in engine.adapters.parameters("a"))
        assert all(weight.grad is None for weight in engine.adapters.parameters("b"))


def test_the_likelihood_is_that_of_the_answer_given_the_prompt(engine):
    rows = [Encoded([0, 40, 50, 60, 70], 2), Encoded([0, 41, 0], 1), Encoded(list(range(9)), 8)]
    found = engine.log_likelihood("a", rows)
    for row, nats in zip(rows, found, strict=True):
        with torch.no_grad(), engine.adapters.use("a") as model:
            logits = model(input_ids=torch.tensor([row.input_ids])).logits[0].log_softmax(-1)
        expected = -sum(
            float(logits[place - 1, row.input_ids[place]])
            for place in range(row.answer_start, len(row.input_ids))
        )
        assert nats == pytest.approx(expected, abs=1e-4)
    assert engine.log_likelihood("a", []) == []


def test_weights_that_are_not_numbers_are_noticed(engine):
    with torch.no_grad():
        engine.adapters.parameters("a")[0].fill_(float("nan"))
        engine.adapters.parameters("a")[1].fill_(1.0)
    with pytest.raises(Damaged, match="not numbers"):
        engine.write("a", PROMPTS, max_new_tokens=3)
    assert len(engine.write("b", PROMPTS, max_new_tokens=3)) == 4


def test_nothing_is_written_beyond_the_context(engine):
    long = [0, *([40] * 249)]
    assert len(engine.write("a", [long, [0]], max_new_tokens=20)[0]) <= 6
    with pytest.raises(BadInput, match="does not fit"):
        engine.write("a", [[40] * 256], max_new_tokens=1)
    with pytest.raises(BadInput, match="0 tokens"):
        engine.rank("a", [[]], LABEL_TOKENS)


def test_an_unknown_adapter_is_named(engine):
    with pytest.raises(MissingAdapter, match="No adapter 'c' is loaded; loaded: a, b"):
        engine.rank("c", PROMPTS, LABEL_TOKENS)


@pytest.mark.parametrize("length", [0, -1, 10**9, 2.5, True])
def test_lengths_out_of_range_are_refused(engine, length):
    with pytest.raises(BadSetting, match="max_new_tokens is"):
        engine.write("a", PROMPTS, max_new_tokens=length)


@pytest.mark.parametrize(
    "values",
    [
        {"temperature": 0},
        {"temperature": -1.0},
        {"temperature": float("nan")},
        {"temperature": "hot"},
        {"top_p": 0.0},
        {"top_p": 2},
        {"top_k": -1},
        {"top_k": 1.5},
        {"repetition_penalty": 0.5},
        {"seed": -1},
        {"seed": True},
    ],
)
def test_ways_to_sample_that_cannot_work_are_refused(values):
    with pytest.raises(BadSetting, match=f"{next(iter(values))} is .* it must be"):
        Sample(**values)


def test_an_idle_engine_gives_memory_back_once(engine, monkeypatch):
    returned, give = [], hardware.return_memory
    monkeypatch.setattr(worker, "_PAUSE", 0.1)
    monkeypatch.setattr(hardware, "return_memory", lambda: returned.append(give()))
    for expected in (1, 2):
        engine.submit(Request(adapter=None, prompt=(0, 40), max_new_tokens=2)).result(timeout=60)
        end = time.monotonic() + 20
        while len(returned) < expected and time.monotonic() < end:
            time.sleep(0.05)
        time.sleep(0.4)
        assert len(returned) == expected
