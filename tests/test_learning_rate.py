"""A run that names no learning rate gets one that suits its backbone, and says which."""

from __future__ import annotations

import json

import pytest
import yaml

from core.engine.engine import Engine
from finetune.data.training_data import gather
from finetune.settings import FinetuneSettings
from finetune.training import learning_rate
from finetune.workflows import finetuning
from tests.test_finetuning import asked, learned


@pytest.mark.parametrize(
    ("width", "layers", "lowest", "highest"),
    [
        (64, 2, 5e-3, 1e-2),  # nano
        (256, 4, 2e-3, 2e-3),  # where it was swept
        (576, 30, 3e-4, 4e-4),  # SmolLM2-135M: 2e-3 derails it, 3e-4 is steady
        (640, 18, 3e-4, 5e-4),  # Gemma 3 270M
        (2048, 16, 1e-4, 3e-4),
        (4096, 32, 5e-5, 2e-4),
    ],
)
def test_the_rate_falls_with_width_and_depth(width, layers, lowest, highest):
    assert lowest <= learning_rate.suited(width, layers) <= highest


def test_a_given_rate_is_obeyed(backbone):
    given = FinetuneSettings(learning_rate=0.5)
    assert learning_rate.fitted(given, backbone).learning_rate == 0.5
    assert learning_rate.fitted(FinetuneSettings(), backbone).learning_rate == 8.6e-3


def test_the_chosen_rate_is_shown_and_written_down(tmp_path, backbone):
    request = asked(tmp_path, settings={"max_steps": 2, "learning_rate": 0.0})
    lines = finetuning.look(request, Engine(backbone), gather(request)).lines()
    assert "learning rate: 0.0086" in lines
    learned(request, backbone)
    assert yaml.safe_load((request.output / "config.yaml").read_text())["learning_rate"] == 0.0086


def test_the_default_rate_learns_and_does_not_derail(tmp_path, backbone):
    request = asked(
        tmp_path, settings={"learning_rate": 0.0, "num_train_epochs": 12, "logging_steps": 1}
    )
    passport = learned(request, backbone)
    lines = map(json.loads, (request.output / "log.jsonl").read_text().splitlines())
    losses = [line["loss"] for line in lines if "loss" in line]
    assert passport.metrics["accuracy"] > 0.9
    assert losses[-1] < losses[0] - 1 and max(losses) < 1.2 * losses[0]
