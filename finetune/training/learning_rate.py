"""The learning rate that a run takes when none is given: it follows the size of the backbone."""

from __future__ import annotations

import math
from typing import Any

from core.backbone import Backbone
from finetune.settings import FinetuneSettings

_BEST, _WIDTH, _LAYERS = 2e-3, 256, 4
"""The best of a sweep on a backbone of 5.3 M parameters, and the size of that."""
_POWER = 0.8
"""The best LoRA rate falls with this power of the width: 0.78 over the Llama models, Schulman et al.
2025, "LoRA Without Regret", https://thinkingmachines.ai/blog/lora."""


def suited(width: int, layers: int) -> float:
    """2e-3 · (256 / width)^0.8 · (4 / layers)^½, in two digits.

    Updates of all layers add up, so that Adam's rate falls with the root of their number: Yang et al.
    2023, "Tensor Programs VI", table 1.
    """
    rate = _BEST * (_WIDTH / width) ** _POWER * math.sqrt(_LAYERS / layers)
    return float(f"{rate:.1e}")


def fitted(settings: FinetuneSettings, backbone: Backbone) -> FinetuneSettings:
    """The settings with a learning rate: the one that was given, or the one that suits the backbone."""
    if settings.learning_rate:
        return settings
    shape: Any = backbone.model.config.get_text_config()
    rate = suited(shape.hidden_size, shape.num_hidden_layers)
    return settings.model_copy(update={"learning_rate": rate})
