"""What stands in for a linear layer that answers and does not learn, its weight kept in another form."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class FrozenLinear(nn.Linear):
    """Shape and bias of a layer; a subclass has `weight` as a property that takes and gives it (out, in)."""

    @property
    def beside(self) -> torch.dtype:
        """In what adapters beside it are multiplied."""
        return torch.float32

    def __init__(self, layer: nn.Linear) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.register_parameter("bias", layer.bias)
        self.weight = layer.weight.detach()


def layers(model: nn.Module) -> list[FrozenLinear]:
    """All of a model that are in another form."""
    return [layer for layer in model.modules() if isinstance(layer, FrozenLinear)]


def size(model: Any) -> int:
    """Weights that are no parameters any more; those of a tied head are counted as embeddings."""
    tied = model.get_output_embeddings() if model.config.tie_word_embeddings else None
    return sum(one.in_features * one.out_features for one in layers(model) if one is not tied)
