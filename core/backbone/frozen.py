"""What stands in for a linear layer that answers and does not learn, its weight kept in another form."""

from __future__ import annotations

from torch import nn


class FrozenLinear(nn.Linear):
    """Shape and bias of a layer; a subclass has `weight` as a property that takes and gives it (out, in)."""

    def __init__(self, layer: nn.Linear) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.register_parameter("bias", layer.bias)
        self.weight = layer.weight.detach()
