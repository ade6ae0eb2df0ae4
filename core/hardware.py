"""What this machine can do: its peak FLOP/s in matrix products, whether bf16 pays, memory at hand."""

from __future__ import annotations

import ctypes
import sys
import time
from dataclasses import dataclass

import psutil
import torch

from core.errors import BadSetting

_SIZE, _SIZE_GPU = 1024, 8192
"""Rows of the product that is timed: one that a GPU finishes in microseconds would time its start."""
_GAIN_WORTH_HAVING = 1.2


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Measured, in FLOP per second; memory in bytes."""

    device: str
    cores: int
    memory: int
    flops_fp32: float
    flops_bf16: float

    @property
    def bf16_pays(self) -> bool:
        """Whether bf16 products are clearly faster: on many CPUs they are far slower."""
        return self.flops_bf16 > _GAIN_WORTH_HAVING * self.flops_fp32

    def peak_flops(self, bf16: bool) -> float:
        """FLOP per second of one large product in the precision used."""
        return self.flops_bf16 if bf16 else self.flops_fp32


_known: dict[str, Machine] = {}


def measure(device: str = "cpu") -> Machine:
    """About a second, the first time: one large matrix product in each precision."""
    if device not in _known:
        _known[device] = _measured(device)
    return _known[device]


def remember(device: str, machine: Machine) -> None:
    """Take `machine` for what `measure` finds, as several processes must do alike."""
    _known[device] = machine


def _measured(device: str) -> Machine:
    if device.startswith("cuda"):
        fp32, bf16 = (_flops(device, kind, _SIZE_GPU) for kind in (torch.float32, torch.bfloat16))
    else:
        fp32, bf16 = _of_cpu(device)
    return Machine(
        device=device,
        cores=torch.get_num_threads(),
        memory=all_memory(),
        flops_fp32=fp32,
        flops_bf16=bf16,
    )


def _of_cpu(device: str) -> tuple[float, float]:
    fp32 = _flops(device, torch.float32, _SIZE)
    # A small probe first: without hardware support a large bf16 product takes minutes.
    quick = _flops(device, torch.bfloat16, _SIZE // 8)
    slow = quick < 0.1 * _flops(device, torch.float32, _SIZE // 8)
    return fp32, quick if slow else _flops(device, torch.bfloat16, _SIZE)


def _flops(device: str, dtype: torch.dtype, size: int, repeats: int = 5) -> float:
    order = torch.Generator(device).manual_seed(0)  # the global one stays as it is
    left = torch.randn(size, size, device=device, generator=order).to(dtype)
    best = float("inf")
    left @ left
    _wait(device)
    for _ in range(repeats):
        start = time.perf_counter()
        left @ left
        _wait(device)
        best = min(best, time.perf_counter() - start)
    return 2 * float(size) ** 3 / best


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def all_memory() -> int:
    """Bytes of memory this machine has."""
    return int(psutil.virtual_memory().total)


def free_memory(device: str = "cpu") -> int:
    """Bytes that a process may still take on a device now, without swapping."""
    if device.startswith("cuda"):
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


def return_memory() -> None:
    """Give pages that hold nothing back to the system, which glibc keeps: as much again as a small model's
    weights after long prompts. Takes some ten milliseconds; does nothing without glibc."""
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        trim(0)


def pick_device(device: str = "auto") -> str:
    """'auto' is the first GPU, or the CPU; raises `BadSetting` for a device that is not here."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    there = ["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
    if device not in there and not (device == "cuda" and len(there) > 1):
        raise BadSetting(f"No device {device!r} here; there: {', '.join(there)} (or auto).")
    return device
