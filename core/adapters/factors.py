"""The low-rank factors of a layer, of one adapter or of several side by side."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from core.backbone import few_tokens


@dataclass(frozen=True)
class Factors:
    """Of one layer: A of all adapters (ranks, in), and B with its scaling (ranks, out)."""

    first: Tensor
    second: Tensor

    @property
    def quick(self) -> Factors:
        """For a few tokens: a half-precision product as small takes a CPU ten times as long as fp32."""
        if self.first.device.type != "cpu":
            return self
        return Factors(self.first.float(), self.second.float())

    def add(self, y: Tensor, x: Tensor, blocked: Tensor | None = None) -> None:
        """Onto y (tokens, out), from x (tokens, in); `blocked` (tokens, ranks) are left out."""
        if len(x) == 1 and y.dtype == x.dtype == self.first.dtype and blocked is None:
            y[0].addmv_(self.second.t(), torch.mv(self.first, x[0]))
            return
        hidden = torch.nn.functional.linear(x.to(self.first.dtype), self.first)
        if blocked is not None:
            hidden.masked_fill_(blocked, 0)
        if y.dtype == hidden.dtype:
            y.addmm_(hidden, self.second)
        else:
            y.add_(hidden @ self.second)

    def add_runs(self, y: Tensor, x: Tensor, runs: Tensor) -> bool:
        """Onto y (tokens, out), from x (tokens, in), by a kernel: tokens of one adapter after another.

        `runs` (runs, 4) are the first token and the one behind the last, then the same of ranks. Nothing is
        done where kernels are not loaded, or do not read these numbers; it says so.
        """
        known = y.dtype == x.dtype and x.dtype in (torch.bfloat16, torch.float32)
        if (
            not known
            or self.first.dtype != torch.bfloat16
            or x.device.type != "cpu"
            or not few_tokens.loaded()
        ):
            return False
        from core.kernels import low_rank
        from core.kernels.layers import array

        fits = low_rank.fits(runs.numpy(), x.shape[1], y.shape[1])
        if fits and x.is_contiguous() and y.is_contiguous():
            factors = array(self.first), array(self.second)
            low_rank.add_runs(array(y), array(x), *factors, runs.numpy())
            return True
        return False

    def add_own(self, y: Tensor, x: Tensor, spans: Tensor) -> None:
        """Onto y (rows, out), from x (rows, in), by the ranks of each row alone, `spans` (rows, 2)."""
        from core.kernels import blocks
        from core.kernels.layers import array

        found = torch.zeros(y.shape)
        parts = (array(self.first),), (array(self.second),)
        blocks.adapt(found.numpy(), x.float().contiguous().numpy(), parts, spans.numpy())
        y.add_(found)
