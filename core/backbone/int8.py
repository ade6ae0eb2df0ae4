"""Linear layers with weights in int8, for answering: a quarter of the bytes that fp32 reads for a token.

A weight has a scale for each output channel and an input one for each token, both symmetric about zero
(LLM.int8(), Dettmers et al. 2022, section 2). So a token is computed alike whoever stands beside it; the
dynamic layers of `torch.ao.nn.quantized` have one scale for the whole batch.
"""

from __future__ import annotations

import warnings
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from core.backbone.frozen import FrozenLinear
from core.errors import BadSetting

_MOST = 127
"""Of a weight."""
_LEAST = torch.finfo(torch.float32).tiny
_ENGINES = ("x86", "fbgemm")
_MULTIPLY = "linear_with_input_q_dq_qweight_dq_output_fp32"
"""fbgemm's product with a scale for its input that is given, not found."""


class Int8Linear(FrozenLinear):
    """What an `nn.Linear` computes, to within 2 %; it passes no gradient."""

    @property
    def weight(self) -> Tensor:
        """In fp32, computed anew (out, in); what is set is put into int8."""
        return self._product.weight()

    @weight.setter
    def weight(self, value: Tensor) -> None:
        value = value.float()
        scales = value.abs().amax(1).clamp_min_(_LEAST).div_(_MOST)
        whole = (value / scales[:, None]).round_().to(torch.int8)
        self._product: Product = (Fbgemm if fbgemm_here() else Dequantized)(whole, scales)

    @property
    def whole(self) -> tuple[Tensor, Tensor]:
        """The weight in int8 (out, in), and what its rows are multiplied with for whole inputs (out,)."""
        return self._product.whole()

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled() and x.requires_grad:
            raise BadSetting("Layers in int8 cannot be trained through. Load the backbone in fp32.")
        flat, sizes = scaled(x.reshape(-1, self.in_features).float())
        return self.finished(flat, sizes).view(*x.shape[:-1], self.out_features).to(x.dtype)

    def finished(self, x: Tensor, sizes: Tensor) -> Tensor:
        """y (tokens, out) of what `scaled` gave."""
        y = self._product(x).mul_(sizes)
        return y if self.bias is None else y.add_(self.bias)


def scaled(x: Tensor) -> tuple[Tensor, Tensor]:
    """Tokens (tokens, in) between -1 and 1, and the size of each (tokens, 1)."""
    sizes = torch.linalg.vector_norm(x, torch.inf, -1, keepdim=True).clamp_min_(_LEAST)
    return x / sizes, sizes


def most_of_inputs() -> int:
    """The largest whole number that stands for an input: of 8 bits where the CPU has VNNI, else of 7.

    Without it fbgemm's sums of two products overflow (pytorch/pytorch#44939).
    """
    return 127 if torch.cpu.get_capabilities().get("avx512_vnni") else 63


def fbgemm_here() -> bool:
    """Whether torch multiplies int8 by fbgemm here, as on x86 with AVX2."""
    engines = torch.backends.quantized
    known = hasattr(torch.ops.quantized, _MULTIPLY)
    return known and engines.engine in _ENGINES and "fbgemm" in engines.supported_engines


class Product(Protocol):
    """A weight in int8 (out, in), and what it makes of inputs."""

    def __call__(self, x: Tensor) -> Tensor:
        """y (tokens, out) in fp32 of x (tokens, in), which lies between -1 and 1."""
        ...

    def weight(self) -> Tensor:
        """In fp32 (out, in)."""
        ...

    def whole(self) -> tuple[Tensor, Tensor]:
        """As it is (out, in), and its scales (out,) for inputs that are whole numbers."""
        ...


class Fbgemm:
    """The only place that knows torch's quantized operations, which torch means to replace."""

    def __init__(self, whole: Tensor, scales: Tensor) -> None:
        zeros = torch.zeros(len(scales), dtype=torch.long)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*deprecated", UserWarning)
            one = torch._make_per_channel_quantized_tensor(whole, scales.double(), zeros, 0)
        self._packed: Any = torch.ops.quantized.linear_prepack(one, None)
        self._multiply: Any = getattr(torch.ops.quantized, _MULTIPLY)
        most = most_of_inputs()
        self._scale, self._zero = 1 / most, most + 1  # its inputs have no sign

    def __call__(self, x: Tensor) -> Tensor:
        found: Tensor = self._multiply(x, self._scale, self._zero, self._packed)
        return found

    def weight(self) -> Tensor:
        found: Tensor = self._packed.unpack()[0].dequantize()
        return found

    def whole(self) -> tuple[Tensor, Tensor]:
        found: Any = self._packed.unpack()[0]
        return found.int_repr(), found.q_per_channel_scales().float() * self._scale


class Dequantized:
    """The same numbers anywhere, without the speed."""

    def __init__(self, whole: Tensor, scales: Tensor) -> None:
        self._whole, self._scales, self._most = whole, scales, most_of_inputs()

    def __call__(self, x: Tensor) -> Tensor:
        inputs = (x * self._most).round_()
        return nn.functional.linear(inputs, self._whole.float()).mul_(self._scales / self._most)

    def weight(self) -> Tensor:
        return self._whole.float() * self._scales[:, None]

    def whole(self) -> tuple[Tensor, Tensor]:
        return self._whole, self._scales / self._most


def quantize(model: nn.Module) -> None:
    """Put every `nn.Linear` of a model into int8, one after another; embeddings and norms stay."""
    names = [name for name, layer in model.named_modules() if type(layer) is nn.Linear]
    for name in names:
        layer: Any = model.get_submodule(name)
        model.set_submodule(name, Int8Linear(layer))


def layers(model: nn.Module) -> list[Int8Linear]:
    """Those in int8."""
    return [layer for layer in model.modules() if isinstance(layer, Int8Linear)]
