"""A run that will not fit is refused before it takes anything, and the forecast is near the peak."""

from __future__ import annotations

import pytest

from core import hardware
from core.engine.engine import Engine
from core.engine.prompting import Encoded
from core.errors import BadSetting
from finetune.settings import FinetuneSettings
from finetune.training import memory, sft
from finetune.training.collation import Shape


def plan_of(backbone, length: int, rows: int = 64):
    made = [Encoded([n % 500 + 20 for n in range(length)], length - 4)] * rows
    return sft.plan(made, backbone, FinetuneSettings(max_batch_tokens=10**9, bf16="off"))


@pytest.mark.parametrize("rank", [65, 100_000])
def test_a_rank_above_that_of_every_matrix_is_refused(rank, backbone):
    engine = Engine(backbone)
    with pytest.raises(BadSetting, match=f"r is {rank}; .* rank 64 at most"):
        engine.adapters.create("one", {"r": rank}, seed=0)
    assert engine.adapters.names == ()


@pytest.mark.parametrize(
    "lora_keys",
    [
        {},
        {"r": 64},
        {"target_modules": ["q_proj"], "rank_pattern": {"0.*q_proj": 2}},
        {"modules_to_save": ["lm_head", "norm"]},
    ],
)
def test_the_adapter_is_counted_before_it_is_made(lora_keys, backbone):
    engine = Engine(backbone)
    planned = engine.adapters.planned(lora_keys)
    engine.adapters.create("one", lora_keys, seed=0)
    assert planned == sum(p.numel() for p in engine.adapters.parameters("one"))
    assert planned == Engine(backbone).adapters.planned(lora_keys)


def test_twice_the_rows_keep_twice_as_much(backbone):
    engine = Engine(backbone)
    small = memory.forecast(engine, plan_of(backbone, 64, 8), FinetuneSettings(bf16="off"))
    large = memory.forecast(engine, plan_of(backbone, 64, 16), FinetuneSettings(bf16="off"))
    assert large.activations == pytest.approx(2 * small.activations, rel=0.1)
    assert large.logits == 2 * small.logits
    assert engine.adapters.names == ()


def test_what_is_forecast_for_a_long_row_is_what_it_keeps(backbone):
    engine = Engine(backbone)
    settings = FinetuneSettings(bf16="off")
    kept = memory._kept(engine, plan_of(backbone, 160), settings)
    engine.adapters.create("one", seed=0)
    with engine.adapters.training("one") as model, sft.operations(backbone, [Encoded([1], 0)]):
        assert kept(Shape(1, 160, 1)) == pytest.approx(
            memory._saved(model, 160, settings), rel=0.05
        )


def test_a_run_that_does_not_fit_names_the_keys(backbone):
    engine = Engine(backbone)
    free = hardware.free_memory()
    needed = memory.Memory(weights=1, adapter=5, activations=2 * free, logits=3)
    with pytest.raises(BadSetting, match=r"are free.*Lower max_batch_tokens .*max_length"):
        memory.must_fit(needed, engine)
    with pytest.raises(BadSetting, match=r"Lower lora\.r"):
        memory.must_fit(memory.Memory(weights=1, adapter=2 * free, activations=1, logits=1), engine)
