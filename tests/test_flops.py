"""The FLOPs utilization counts what is computed, and never more."""

from __future__ import annotations

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from core.backbone.loading import in_memory
from core.engine.engine import Engine
from core.engine.prompting import Encoded
from finetune.training import sft

ROWS = [Encoded([0, 40, 50, 60, 70], 3), Encoded([0, 41, 51], 2)]
LEARNED = 3 / 8


def counted(backbone) -> float:
    engine = Engine(backbone)
    engine.adapters.create("one", {"r": 4}, seed=0)
    with engine.adapters.training("one"):
        return sft.flops_per_token(engine.adapters.model, ROWS)


def by_hand(width: int, inner: int, layers: int, vocabulary: int) -> float:
    """Every product of a step, one by one: 2 FLOPs a weight and token."""
    square, wide = width * width, width * inner
    block = 4 * square + 3 * wide
    adapter = 4 * (4 * 2 * width + 3 * (width + inner))
    forward = 2 * layers * (block + adapter) + 2 * width * vocabulary * LEARNED
    backward = 2 * layers * (block + 2 * adapter) + 2 * width * vocabulary * LEARNED
    first = 2 * 3 * square + 2 * 3 * 4 * 2 * width  # q, k, v of the first layer pass nothing on
    return forward + backward - first


def test_the_count_on_nano_is_the_one_by_hand(backbone):
    assert counted(backbone) == pytest.approx(by_hand(64, 176, 2, 600), rel=0.02)
    assert counted(backbone) <= by_hand(64, 176, 2, 600) + 2 * 3 * 4 * 64


@pytest.mark.parametrize("tied", [True, False])
def test_a_head_of_its_own_counts_no_more_than_a_tied_one(tied, tokenizer):
    shape = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64)
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(vocab_size=50_000, tie_word_embeddings=tied, num_key_value_heads=4, **shape)
    )
    found = in_memory(model.eval(), tokenizer, "wide")
    assert counted(found) == pytest.approx(by_hand(32, 64, 2, 50_000), rel=0.02)
