"""How a step is taken: its size over the run, its direction, and when it is not taken at all."""

from __future__ import annotations

import json
import math

import pytest
import torch
from torch import nn

from core import hardware
from core.errors import BadSetting, Diverged
from core.hardware import Machine
from finetune.settings import LoopSettings
from finetune.training import optimizers
from finetune.training.divergence import Guard
from finetune.training.optimizers import StackedMuon

NAN, INF = math.nan, math.inf


def settings(**values) -> LoopSettings:
    return LoopSettings(**values)


@pytest.mark.parametrize(
    ("kind", "shares"),
    [
        ("warmup_stable_decay", {0: 0.1, 4: 0.5, 9: 1, 10: 1, 70: 1, 85: 0.5, 97: 0.1, 99: 1 / 30}),
        ("linear", {0: 0.1, 9: 1, 10: 1, 55: 0.5, 99: 1 / 90}),
        ("cosine", {0: 0.1, 9: 1, 10: 1, 55: 0.5, 99: 0.5 * (1 - math.cos(math.pi / 90))}),
        ("constant", {0: 0.1, 9: 1, 10: 1, 99: 1}),
    ],
)
def test_the_rate_over_a_run(kind, shares):
    share = optimizers.schedule(settings(lr_scheduler_type=kind, warmup_steps=10), 100)
    for step, expected in shares.items():
        assert share(step) == pytest.approx(expected), step


@pytest.mark.parametrize("kind", ["warmup_stable_decay", "linear", "cosine", "constant"])
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_the_shortest_runs_have_a_rate(kind, steps):
    share = optimizers.schedule(settings(lr_scheduler_type=kind), steps)
    assert all(0 < share(step) <= 1 for step in range(steps))


@pytest.mark.parametrize("shape", [(64, 64), (96, 32), (32, 96)])
@pytest.mark.parametrize("count", [1, 3])
def test_muon_agrees_with_torch_up_to_its_bf16(shape, count):
    torch.manual_seed(0)
    ours = [nn.Parameter(torch.randn(shape)) for _ in range(count)]
    theirs = [nn.Parameter(one.detach().clone()) for one in ours]
    options = dict(lr=0.01, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    pair = StackedMuon(ours, **options), torch.optim.Muon(theirs, **options)
    for _ in range(2):  # the second step has momentum
        before = [[one.detach().clone() for one in side] for side in (ours, theirs)]
        for one, two in zip(ours, theirs, strict=True):
            one.grad = torch.randn(shape)
            two.grad = one.grad.clone()
        for optimizer in pair:
            optimizer.step()
        for one, two, was, had in zip(ours, theirs, *before, strict=True):
            assert ((one - was) - (two - had)).norm() < 2e-2 * (two - had).norm()


def test_muon_leaves_a_matrix_without_gradient_alone():
    still, moved = nn.Parameter(torch.ones(4, 4)), nn.Parameter(torch.ones(4, 4))
    moved.grad = torch.randn(4, 4)
    StackedMuon([still, moved], lr=0.1, weight_decay=0.1).step()
    assert torch.equal(still, torch.ones(4, 4)) and not torch.equal(moved, torch.ones(4, 4))


def test_orthogonal_directions_have_singular_values_near_one():
    torch.manual_seed(0)
    stack = torch.randn(3, 20, 8) * torch.tensor([1e-3, 1.0, 1e3])[:, None, None]
    found = optimizers.orthogonalise(stack, (3.4445, -4.775, 2.0315), 5)
    values = torch.linalg.svdvals(found)
    assert found.shape == stack.shape
    assert values.min() > 0.5 and values.max() < 1.3
    assert torch.equal(
        optimizers.orthogonalise(torch.zeros(1, 4, 4), (3.4, -4.7, 2.0), 5), torch.zeros(1, 4, 4)
    )


@pytest.mark.parametrize("optim", ["adamw", "muon"])
def test_every_weight_has_one_optimizer(backbone, optim):
    made = optimizers.for_pretraining(backbone.model, settings(optim=optim, weight_decay=0.1))
    held = [id(p) for one in made for group in one.param_groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in backbone.model.parameters())
    for one in made:
        for group in one.param_groups:
            flat = {p.ndim < 2 for p in group["params"]}
            assert flat == {group["weight_decay"] == 0}


def test_muon_is_given_the_matrices_inside_the_blocks(backbone):
    found = optimizers.hidden_matrices(backbone.model)
    assert len(found) == 2 * 7
    assert all(".layers." in name for name in found)


@pytest.mark.parametrize(("loss", "norm"), [(NAN, 1.0), (1.0, NAN), (INF, 1.0), (1.0, INF)])
def test_a_step_that_is_no_number_is_not_taken(loss, norm):
    guard = Guard()
    assert guard.accepts(2.0, 1.0, 0)
    assert not guard.accepts(loss, norm, 1)
    assert guard.accepts(2.0, 1.0, 2)


def test_five_bad_steps_in_a_row_end_the_run():
    guard = Guard()
    for step in range(12):  # many, but none after another
        assert guard.accepts(2.0, 1.0, step)
        assert not guard.accepts(NAN, NAN, step)
    assert guard.accepts(2.0, 1.0, 12)
    for step in range(4):
        assert not guard.accepts(NAN, 1.0, step)
    with pytest.raises(Diverged, match=r"5 bad steps in a row up to step 4 .*Lower learning_rate"):
        guard.accepts(NAN, 1.0, 4)


def steady(guard: Guard, steps: int, loss: float = 2.0) -> Guard:
    for step in range(steps):
        assert guard.accepts(loss + 0.01 * (step % 3), 1.0 + 0.01 * (step % 5), step)
    return guard


@pytest.mark.parametrize(
    ("steps", "loss", "norm", "taken"),
    [
        (64, 4.0, 50.0, False),
        (64, 2.0, 50.0, True),  # the gradient alone is no spike
        (64, 4.0, 1.0, True),  # nor is the loss alone
        (63, 4.0, 50.0, True),  # too early to tell
    ],
)
def test_a_spike_is_far_above_the_last_64_in_both(steps, loss, norm, taken):
    assert steady(Guard(), steps).accepts(loss, norm, steps) is taken


def test_a_loss_that_runs_away_ends_the_run():
    guard = steady(Guard(), 20)
    with pytest.raises(Diverged, match="the loss rose from 2"):
        for step in range(64):
            guard.accepts(2.0 + 0.2 * step, 1.0 + step, step)


def test_a_loss_that_only_wavers_goes_on():
    guard = steady(Guard(), 40)
    for step in range(200):
        assert guard.accepts(2.0 + math.sin(step / 9) / 2, 1.0 + step % 7, step)


@pytest.mark.parametrize("seen", [0, 3, 64])
def test_a_guard_goes_on_from_its_memory(seen):
    guard = steady(Guard(), seen)
    for step in range(3):
        assert not guard.accepts(NAN, 1.0, step)
    again = Guard(json.loads(json.dumps(guard.memory())))
    assert again.memory() == guard.memory()
    for one in (guard, again):
        if seen == 64:
            assert not one.accepts(4.0, 50.0, 3)
        else:
            assert not one.accepts(NAN, 1.0, 3)
        with pytest.raises(Diverged):
            one.accepts(NAN, 1.0, 4)


@pytest.mark.parametrize(("bf16", "pays"), [(0.1, False), (1.1, False), (1.3, True), (8.0, True)])
def test_bf16_pays_where_it_is_clearly_faster(bf16, pays):
    one = Machine(device="cpu", cores=2, memory=2**30, flops_fp32=1e9, flops_bf16=bf16 * 1e9)
    assert one.bf16_pays is pays
    assert one.peak_flops(True) == bf16 * 1e9 and one.peak_flops(False) == 1e9


def test_the_machine_is_measured_once():
    one = hardware.measure("cpu")
    assert one is hardware.measure("cpu")
    assert one.flops_fp32 > 1e8 and one.flops_bf16 > 0
    assert one.cores == torch.get_num_threads() and one.memory > 2**28


def test_a_device_that_is_named_is_taken():
    assert hardware.pick_device("cpu") == "cpu"
    if torch.cuda.device_count() < 2:
        with pytest.raises(BadSetting, match="No device 'cuda:1' here"):
            hardware.pick_device("cuda:1")
    assert hardware.pick_device() == ("cuda" if torch.cuda.is_available() else "cpu")
