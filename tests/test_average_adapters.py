"""The mean of several adapters: what each adds to a matrix, averaged, under a passport that holds."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file
from test_finetuning import asked, learned

from benchmarks import average_adapters
from core import backbone as backbones
from core.adapters.passport import WEIGHTS, read_passport


def added(folder, layer):
    """What an adapter adds to the matrix of a layer."""
    config = json.loads((folder / "adapter_config.json").read_text())
    tensors = load_file(folder / WEIGHTS)
    (a,) = (value for name, value in tensors.items() if f"{layer}.lora_A" in name)
    (b,) = (value for name, value in tensors.items() if f"{layer}.lora_B" in name)
    return config["lora_alpha"] / config["r"] * b @ a


def test_the_mean_adds_the_mean_of_what_its_parts_add(tmp_path, tokenizer):
    backbone = backbones.create("nano", tokenizer)
    backbones.save(backbone, tmp_path / "nano")
    folders = []
    for seed in (1, 2):
        settings = {"seed": seed, "max_steps": 4, "lora": {"r": 2}}
        request = asked(tmp_path, output=f"run{seed}", settings=settings)
        learned(request, backbone)
        folders.append(request.output / "adapter")
    mean = tmp_path / "mean" / "adapter"
    average_adapters.average(str(tmp_path / "nano"), folders, 4, mean)
    read_passport(mean).check_files(mean)
    layer = "layers.1.mlp.down_proj"
    one, two, made = (added(folder, layer) for folder in (*folders, mean))
    assert (one - two).norm() > 0.1 * one.norm()
    torch.testing.assert_close(made, (one + two) / 2, atol=1e-6, rtol=1e-4)
    average_adapters.average(str(tmp_path / "nano"), folders, 1, tmp_path / "thin" / "adapter")
    best = torch.linalg.svdvals((one + two) / 2)[1:].norm()
    thin = added(tmp_path / "thin" / "adapter", layer)
    assert (thin - (one + two) / 2).norm() == pytest.approx(float(best), rel=1e-3)
