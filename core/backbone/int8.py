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

from core.backbone import few_tokens
from core.backbone.frozen import FrozenLinear
from core.errors import BadSetting

_MOST = 127
"""Of a weight."""
_ROWS = 2048
"""Of a weight that are put into int8 at once."""
_LEAST = torch.finfo(torch.float32).tiny
_ENGINES = ("x86", "fbgemm")
_MULTIPLY = "linear_with_input_q_dq_qweight_dq_output_fp32"
"""fbgemm's product with a scale for its input that is given, not found."""


class Int8Linear(FrozenLinear):
    """What an `nn.Linear` computes, to within 2 %; it passes no gradient."""

    @property
    def beside(self) -> torch.dtype:
        halves = self.blocks is not None and few_tokens.multiplies_halves()
        return torch.bfloat16 if halves else torch.float32

    @property
    def weight(self) -> Tensor:
        """In fp32, computed anew (out, in); what is set is put into int8."""
        return self._product.weight()

    @weight.setter
    def weight(self, value: Tensor) -> None:
        scales = value.abs().amax(1).float().clamp_min_(_LEAST).div_(_MOST)
        whole = torch.empty(value.shape, dtype=torch.int8)
        parts = zip(whole.split(_ROWS), value.split(_ROWS), scales.split(_ROWS), strict=True)
        for part, some, sizes in parts:  # a head in fp32 takes more than all layers in int8
            part.copy_((some.float() / sizes[:, None]).round_())
        if Blocks.fit(*whole.shape):
            self._product: Product = Blocks(whole, scales)
        else:
            self._product = (Fbgemm if fbgemm_here() else Dequantized)(whole, scales)

    @property
    def whole(self) -> tuple[Tensor, Tensor]:
        """The weight in int8 (out, in), and what its rows are multiplied with for whole inputs (out,)."""
        return self._product.whole()

    @property
    def blocks(self) -> tuple[Tensor, Tensor, Tensor] | None:
        """The weight as `core.kernels` reads it, with what belongs to it; None where it lies otherwise."""
        return self._product.parts if isinstance(self._product, Blocks) else None

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled() and x.requires_grad:
            raise BadSetting("Layers in int8 cannot be trained through. Load the backbone in fp32.")
        return self.product(x.reshape(-1, self.in_features)).view(*x.shape[:-1], self.out_features)

    def product(self, x: Tensor) -> Tensor:
        """y (tokens, out) from x (tokens, in)."""
        y = self._product(x.float())
        return (y if self.bias is None else y.add_(self.bias)).to(x.dtype)


def _scaled(x: Tensor) -> tuple[Tensor, Tensor]:
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
        """y (tokens, out) of x (tokens, in), both in fp32."""
        ...

    def weight(self) -> Tensor:
        """In fp32 (out, in)."""
        ...

    def whole(self) -> tuple[Tensor, Tensor]:
        """As it is (out, in), and its scales (out,) for inputs that are whole numbers."""
        ...


class Blocks:
    """By a kernel of ours that multiplies four numbers at once, where the CPU has VNNI."""

    def __init__(self, whole: Tensor, scales: Tensor) -> None:
        from core.kernels import layers

        (out, width), block = whole.shape, few_tokens.BLOCK
        fours = whole.view(-1, block, width // 4, 4).transpose(1, 2).contiguous()
        zeros = whole.sum(1, dtype=torch.int32) * (_MOST + 1)  # inputs without a sign: 128 is 0
        self.parts = fours.view(torch.int32).squeeze(-1), scales / _MOST, zeros
        self._shape = out, width
        self._layer = layers.in_whole_blocks([self.parts])

    @staticmethod
    def fit(out: int, width: int) -> bool:
        """Whether a weight of that shape can be laid out so, and multiplied here."""
        return out % few_tokens.BLOCK == width % 4 == 0 and few_tokens.multiplies_whole()

    def __call__(self, x: Tensor) -> Tensor:
        return few_tokens.by_kernel(x, self._layer, self._shape[0])

    def weight(self) -> Tensor:
        whole, scales = self.whole()
        return whole.float() * (scales * _MOST)[:, None]

    def whole(self) -> tuple[Tensor, Tensor]:
        blocks, scales, _ = self.parts
        fours = blocks.unsqueeze(-1).view(torch.int8)
        return fours.transpose(1, 2).reshape(self._shape), scales


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
        inputs, sizes = _scaled(x)
        found: Tensor = self._multiply(inputs, self._scale, self._zero, self._packed)
        return found.mul_(sizes)

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
        inputs, sizes = _scaled(x)
        found = nn.functional.linear((inputs * self._most).round_(), self._whole.float())
        return found.mul_(self._scales / self._most).mul_(sizes)

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
