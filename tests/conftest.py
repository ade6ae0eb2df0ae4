"""A small real tokenizer and backbone that the tests share. Nothing touches the network."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Two workers on two cores: more threads than that wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

TEXTS = (
    "The weather in the small town was cold, and nobody wanted to leave the warm house.",
    "She bought 12 apples, 3 pears and a loaf of bread at the market on Monday morning.",
    "A positive review: I love this film. A negative review: I hate this boring book.",
    "Question: where is the old mill? Answer: near the river. This message is: ham, spam.",
    "English: How are you? Chinese: 你好吗？ Sentiment: positive, negative. User: Assistant:",
    "今天的天气很好，我们一起去公园散步，然后回家吃饭。",
    "这本书非常有意思，我一口气读完了，推荐给大家。",
    "问题：那座老磨坊在哪里？回答：在河边。价格便宜，味道不错。",
)


@pytest.fixture(scope="session")
def texts() -> tuple[str, ...]:
    return TEXTS


@pytest.fixture(scope="session")
def tokenizer():
    from core.backbone import tokenizer as tokenizers

    return tokenizers.train(TEXTS * 3, vocab_size=600)


@pytest.fixture
def backbone(tokenizer):
    from core import backbone as backbones

    return backbones.create("nano", tokenizer, seed=0)


@pytest.fixture
def engine(backbone, tmp_path):
    """With two adapters, a and b, for different layers and of different ranks."""
    from core.engine.engine import Engine

    engine = Engine(backbone)
    for seed, lora in enumerate(({"r": 4}, {"r": 8, "target_modules": ["k_proj", "up_proj"]})):
        name = "ab"[seed]
        engine.adapters.create(name, {**lora, "init_lora_weights": False}, seed=seed)
        engine.adapters.save(name, tmp_path / name)
        engine.adapters.delete(name)
        engine.adapters.load(name, tmp_path / name)
    yield engine
    engine.close()


@pytest.fixture(params=[1, 2])
def threads(request):
    """As many as torch may use within the test."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Installed adapters of the person running the tests stay out of them, and unharmed."""
    monkeypatch.setenv("QUINTET_HOME", str(tmp_path / "quintet-home"))
