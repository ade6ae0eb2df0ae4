"""Pre-training learns, counts right, and goes on bit by bit from wherever it was stopped."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

from core import backbone as backbones
from core.errors import BadData, Busy, Damaged, Diverged, Mismatch
from finetune.data import corpus
from finetune.settings import Part, PretrainSettings
from finetune.training import checkpoint, language_modeling, loop

QUICK = PretrainSettings(
    max_steps=8,
    block_size=32,
    per_device_train_batch_size=4,
    learning_rate=1e-2,
    logging_steps=1,
    eval_steps=4,
    save_steps=4,
    bf16="off",
)
WEIGHTS = "backbone/model.safetensors"


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Matrices this small are multiplied faster by one thread, above all on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def packed(tokenizer, texts, tmp_path_factory) -> corpus.Corpus:
    folder = tmp_path_factory.mktemp("corpus")
    rows = [{"text": f"{text} {number}"} for number in range(12) for text in texts]
    for name, part in (("train", rows[:-6]), ("held", rows[-6:])):
        lines = "".join(json.dumps(row) + "\n" for row in part)
        (folder / f"{name}.jsonl").write_text(lines)
    parts = [
        Part(path=str(folder / "train.jsonl")),
        Part(path=str(folder / "held.jsonl"), split="validation"),
    ]
    return corpus.build(parts, tokenizer, folder / "tokens", tasks={})


def trained(packed, tokenizer, folder: Path, *, seed=0, resume=False, report=None, **changes):
    folder.mkdir(parents=True, exist_ok=True)
    state = language_modeling.pretrain(
        backbones.create("nano", tokenizer, seed=seed),
        packed,
        QUICK.model_copy(update=changes),
        folder,
        device="cpu",
        resume=resume,
        report=report or (lambda progress: None),
    )
    return state, folder


def logged(folder: Path) -> list[dict]:
    """What does not depend on the clock."""
    lines = map(json.loads, (folder / "log.jsonl").read_text().splitlines())
    return [{k: v for k, v in line.items() if k != "tokens_per_second"} for line in lines]


def test_a_compiled_run_learns_the_same_and_its_minutes_begin_after_compiling(
    packed, tokenizer, tmp_path, monkeypatch
):
    """Traced and differentiated, but not made into C++, which takes half a minute."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    plain, _ = trained(packed, tokenizer, tmp_path / "plain")
    compiled, folder = trained(packed, tokenizer, tmp_path / "compiled", torch_compile=True)
    assert compiled.metrics["validation_loss"] == pytest.approx(
        plain.metrics["validation_loss"], abs=1e-4
    )
    assert compiled.elapsed < compiled.seconds
    rates = [line["learning_rate"] for line in logged(folder) if "learning_rate" in line]
    assert rates == [line["learning_rate"] for line in logged(tmp_path / "plain") if "loss" in line]


def stop_at(step: int):
    def stop(seen: loop.Progress) -> None:
        if seen.step == step:
            os.kill(os.getpid(), signal.SIGINT)

    return stop


@pytest.fixture(scope="module")
def whole(packed, tokenizer, tmp_path_factory) -> Path:
    """A run of 8 steps that nobody has stopped."""
    return trained(packed, tokenizer, tmp_path_factory.mktemp("whole"))[1]


@pytest.fixture
def stopped(whole, tmp_path) -> Path:
    """The same run as it lay on disk after 4 steps and a crash in the sixth."""
    folder = tmp_path / "stopped"
    shutil.copytree(whole / "checkpoint-4", folder / "checkpoint-4")
    lines = (whole / "log.jsonl").read_text().splitlines(keepends=True)
    (folder / "log.jsonl").write_text("".join(lines[:6]))
    return folder


@pytest.mark.parametrize("optim", ["muon", "adamw"])
def test_a_dozen_steps_lower_the_validation_loss(packed, tokenizer, tmp_path, optim):
    before = language_modeling.bits_per_byte(backbones.create("nano", tokenizer), packed, 32)
    state, folder = trained(packed, tokenizer, tmp_path / "run", max_steps=12, optim=optim)
    assert before["validation_loss"] == pytest.approx(math.log(600), rel=0.05)
    assert state.metrics["validation_loss"] < before["validation_loss"] - 0.5
    assert state.finished and (state.step, state.tokens, state.skipped) == (12, 12 * 4 * 32, 0)
    loaded = backbones.load(folder / "backbone")
    again = language_modeling.bits_per_byte(loaded, packed, 32)
    assert again == pytest.approx(state.metrics, rel=1e-6)


@pytest.mark.parametrize("optim", ["muon", "adamw"])
def test_a_run_stopped_by_a_signal_ends_bit_by_bit_as_a_whole_one(
    packed, tokenizer, tmp_path, optim
):
    _, one = trained(packed, tokenizer, tmp_path / "one", optim=optim)
    before = signal.getsignal(signal.SIGINT)  # ignored where a shell runs this in the background
    with pytest.raises(loop.Interrupted, match=r"Stopped at step 3; saved in .*two.*--resume"):
        trained(packed, tokenizer, tmp_path / "two", optim=optim, report=stop_at(3))
    assert signal.getsignal(signal.SIGINT) is before
    assert [path.name for path in checkpoint.checkpoints(tmp_path / "two")] == ["checkpoint-3"]
    assert not (tmp_path / "two/backbone").exists()
    # other weights to begin with: all of them come from the checkpoint
    _, two = trained(packed, tokenizer, tmp_path / "two", seed=9, optim=optim, resume=True)
    assert (one / WEIGHTS).read_bytes() == (two / WEIGHTS).read_bytes()
    assert logged(one) == logged(two)


def test_a_run_that_crashed_goes_on_from_its_last_checkpoint(packed, tokenizer, whole, stopped):
    (stopped / ".checkpoint-8.half").mkdir()
    (stopped / "checkpoint-8.old").mkdir()
    state, _ = trained(packed, tokenizer, stopped, resume=True)
    assert state.step == 8
    assert (stopped / WEIGHTS).read_bytes() == (whole / WEIGHTS).read_bytes()
    assert logged(stopped) == logged(whole)


def test_a_finished_run_changes_nothing_when_resumed(packed, tokenizer, whole, tmp_path):
    folder = tmp_path / "again"
    shutil.copytree(whole, folder)
    state, _ = trained(packed, tokenizer, folder, seed=9, resume=True)
    assert state.finished and state.step == 8
    for name in (WEIGHTS, "log.jsonl", "checkpoint-8/state.json"):
        assert (folder / name).read_bytes() == (whole / name).read_bytes()


def test_resuming_where_nothing_was_saved_begins(packed, tokenizer, whole, tmp_path):
    _, folder = trained(packed, tokenizer, tmp_path / "new", resume=True)
    assert (folder / WEIGHTS).read_bytes() == (whole / WEIGHTS).read_bytes()


@pytest.mark.parametrize(
    ("key", "value"),
    [("learning_rate", 0.02), ("optim", "adamw"), ("max_steps", 9), ("block_size", 16)],
)
def test_a_changed_setting_is_refused_by_name(packed, tokenizer, stopped, key, value):
    then = getattr(QUICK, key)
    with pytest.raises(Mismatch, match=f"checkpoint-4: {key}: {then} then, {value} now") as caught:
        trained(packed, tokenizer, stopped, resume=True, **{key: value})
    assert str(caught.value).count(" then, ") == 1


def test_how_often_to_save_may_change(packed, tokenizer, whole, stopped):
    changed = {"save_steps": 3, "save_total_limit": 1, "save_half": True}
    trained(packed, tokenizer, stopped, resume=True, **changed)
    assert [path.name for path in checkpoint.checkpoints(stopped)] == ["checkpoint-8"]
    half = backbones.load(stopped / "backbone").model
    same = backbones.load(whole / "backbone").model.half().float()
    assert all(torch.equal(a, b) for a, b in zip(half.parameters(), same.parameters(), strict=True))


def test_other_texts_are_refused(packed, tokenizer, stopped):
    import dataclasses

    other = dataclasses.replace(packed, digest="0" * 16)
    with pytest.raises(Mismatch, match=r"data: .* then, 0000000000000000 now"):
        trained(other, tokenizer, stopped, resume=True)


@pytest.mark.parametrize("file", ["weights.safetensors", "optimizer.pt", "state.json"])
@pytest.mark.parametrize("content", [None, b"", b"{}", "half"])
def test_a_damaged_checkpoint_is_one_line(packed, tokenizer, stopped, file, content):
    path = stopped / "checkpoint-4" / file
    whole = path.read_bytes()
    path.unlink()
    if content is not None:
        path.write_bytes(whole[: len(whole) // 2] if content == "half" else content)
    words = f" is incomplete: {file} is missing" if content is None else f"/{file} is "
    with pytest.raises(Damaged, match=f"checkpoint-4{words}.*Remove") as caught:
        trained(packed, tokenizer, stopped, resume=True)
    assert "\n" not in str(caught.value)
    assert not (stopped / "backbone").exists()


def test_a_checkpoint_with_one_other_bit_is_refused(packed, tokenizer, stopped):
    path = stopped / "checkpoint-4" / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(Damaged, match="altered or cut"):
        trained(packed, tokenizer, stopped, resume=True)


def test_a_full_disk_leaves_the_checkpoint_before(packed, tokenizer, whole, stopped, monkeypatch):
    def full(memory, path) -> None:
        path.write_bytes(b"half")
        raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 12")

    with monkeypatch.context() as patched:
        patched.setattr(torch, "save", full)
        with pytest.raises(OSError, match="Cannot write"):
            trained(packed, tokenizer, stopped, resume=True)
    assert [path.name for path in checkpoint.checkpoints(stopped)] == ["checkpoint-4"]
    assert not list(stopped.glob(".checkpoint*"))
    trained(packed, tokenizer, stopped, resume=True)
    assert (stopped / WEIGHTS).read_bytes() == (whole / WEIGHTS).read_bytes()


def test_runs_in_one_process_may_differ_in_precision(packed, tokenizer, tmp_path):
    for number, bf16 in enumerate(("off", "on", "off")):
        folder = tmp_path / str(number)
        state, _ = trained(packed, tokenizer, folder, bf16=bf16, max_steps=1)
        assert state.finished


def test_what_a_killed_run_left_is_swept(packed, tokenizer, stopped):
    (stopped / ".checkpoint-8.0123456789ab").mkdir()
    trained(packed, tokenizer, stopped, resume=True)
    assert not list(stopped.glob(".checkpoint*"))


def test_a_loss_that_is_no_number_ends_the_run_without_a_backbone(packed, tokenizer, tmp_path):
    backbone = backbones.create("nano", tokenizer)
    with torch.no_grad():
        backbone.model.model.norm.weight.fill_(float("nan"))
    before = backbone.model.model.layers[0].mlp.up_proj.weight.clone()
    with pytest.raises(Diverged, match="5 bad steps in a row"):
        language_modeling.pretrain(backbone, packed, QUICK, tmp_path, device="cpu")
    assert torch.equal(before, backbone.model.model.layers[0].mlp.up_proj.weight)
    assert not (tmp_path / "backbone").exists()


def test_too_little_text_is_refused(packed, tokenizer, tmp_path):
    with pytest.raises(BadData, match=r"tokens do not fill one batch of 9999 x 32\. Lower --per"):
        trained(packed, tokenizer, tmp_path / "run", per_device_train_batch_size=9999)


@pytest.mark.parametrize(
    ("changes", "steps"),
    [({"max_steps": 5}, 5), ({}, 10), ({"num_train_epochs": 2.5}, 25),
     ({"gradient_accumulation_steps": 3}, 3), ({"num_train_epochs": 0.01}, 1)],
)  # fmt: skip
def test_the_steps_follow_from_the_epochs(changes, steps):
    windows = language_modeling.Windows(ids=range(10 * 4 * 32 + 1), length=32, rows=4, seed=0)
    settings = QUICK.model_copy(update={"max_steps": -1, **changes})
    assert language_modeling.steps_of(settings, windows) == steps


def test_a_run_of_minutes_comes_to_the_end_of_its_schedule(packed, tokenizer, tmp_path):
    changes = {"max_steps": 100_000, "max_minutes": 0.02, "logging_steps": 1}
    state, _ = trained(packed, tokenizer, tmp_path, **changes)
    rates = [line["learning_rate"] for line in logged(tmp_path) if "learning_rate" in line]
    assert state.finished and 1 < state.step < 100_000
    assert state.elapsed > 1.2
    assert rates[-1] < max(rates)
    progress = [line["progress"] for line in logged(tmp_path) if "progress" in line]
    assert progress == sorted(progress) and 0.5 < progress[-1] <= 1


def test_minutes_that_suffice_change_nothing(packed, tokenizer, tmp_path):
    free, _ = trained(packed, tokenizer, tmp_path / "free", max_steps=6)
    bound, _ = trained(packed, tokenizer, tmp_path / "bound", max_steps=6, max_minutes=60)
    assert free.step == bound.step == 6
    assert logged(tmp_path / "free") == logged(tmp_path / "bound")


def step_with(rows: int, accumulate: int, packed, tokenizer, folder: Path):
    """One step of plain descent, whose size is that of the gradient."""
    backbone = backbones.create("nano", tokenizer)
    windows = language_modeling.Windows(ids=packed.train, length=32, rows=rows, seed=0)
    folder.mkdir()
    job = loop.Job(
        folder=folder,
        model=backbone.model,
        settings=QUICK,
        steps=1,
        optimizers=[torch.optim.SGD(backbone.model.parameters(), lr=1.0)],
        batches=lambda step: [windows.at(step * accumulate + n) for n in range(accumulate)],
        loss=language_modeling.next_token_loss,
        weights=lambda: {"norm": backbone.model.model.norm.weight},
        restore=lambda weights: None,
        share=language_modeling.share,
        validate=lambda: {"loss": 1.0},
        value=lambda metrics: -metrics["loss"],
    )
    loop.run(job, device="cpu")
    return nn.utils.parameters_to_vector(backbone.model.parameters()), logged(folder)[0]


def test_two_times_four_rows_are_one_times_eight(packed, tokenizer, tmp_path):
    one, first = step_with(8, 1, packed, tokenizer, tmp_path / "one")
    two, second = step_with(4, 2, packed, tokenizer, tmp_path / "two")
    assert torch.allclose(one, two, atol=1e-5)
    assert second == pytest.approx(first, rel=1e-5)
    assert first["tokens"] == 8 * 32


def test_bits_per_byte_are_those_counted_by_hand(packed, tokenizer):
    backbone = backbones.create("nano", tokenizer)
    found = language_modeling.bits_per_byte(backbone, packed, 16, windows=10**6)
    nats = tokens = 0.0
    for language, ids in packed.validation.items():
        own, count = 0.0, 0
        for start in range(0, len(ids) - 1, 16):
            piece = torch.tensor(ids[start : start + 17].astype("int64"))
            with torch.no_grad():
                likely = backbone.model(piece[None, :-1]).logits[0].log_softmax(-1)
            own -= float(likely[torch.arange(len(piece) - 1), piece[1:]].sum())
            count += len(piece) - 1
        assert count == len(ids) - 1
        share = count / len(ids)  # the first end-of-text is given, not predicted
        bytes_ = packed.validation_bytes[language] * share
        assert found[f"bits_per_byte_{language}"] == pytest.approx(own / math.log(2) / bytes_)
        nats, tokens = nats + own, tokens + count
    assert found["validation_loss"] == pytest.approx(nats / tokens)


def test_the_flops_of_a_token_are_six_per_weight_and_attention(backbone):
    layers = 2 * (4 * 64 * 64 + 3 * 64 * 176 + 2 * 64) + 64
    assert (
        language_modeling.flops_per_token(backbone, 32)
        == 6 * (layers + 600 * 64) + 12 * 2 * 64 * 32
    )


@pytest.mark.parametrize("tokens", [4 * 32 + 1, 4 * 32 + 20, 5 * 32])
@pytest.mark.parametrize("rows", [1, 2, 4])
def test_every_step_of_every_epoch_has_its_sequences(tokens, rows):
    windows = language_modeling.Windows(ids=list(range(tokens)), length=32, rows=rows, seed=0)
    for step in range(3 * windows.per_epoch):
        found = windows.at(step)
        assert found.shape == (rows, 33)
        assert torch.equal(found[:, 0] + 32, found[:, -1])


def test_one_sequence_a_step_goes_on_through_two_epochs(packed, tokenizer, tmp_path):
    state, _ = trained(
        packed,
        tokenizer,
        tmp_path / "run",
        per_device_train_batch_size=1,
        max_steps=-1,
        num_train_epochs=2,
        eval_steps=10_000,
        save_steps=10_000,
    )
    assert state.finished


def test_a_torn_last_line_of_the_log_is_cut(packed, tokenizer, whole, stopped):
    with (stopped / "log.jsonl").open("a") as file:
        file.write('{"step": 5, "los')
    trained(packed, tokenizer, stopped, resume=True)
    assert logged(stopped) == logged(whole)


def test_a_run_killed_before_its_first_checkpoint_begins_again(packed, tokenizer, whole, tmp_path):
    folder = tmp_path / "killed"
    folder.mkdir()
    (folder / "log.jsonl").write_text('{"step": 1, "tokens": 128, "loss": 9.0}\n')
    trained(packed, tokenizer, folder, resume=True)
    assert logged(folder) == logged(whole)


def test_early_stopping_saves_its_last_state(packed, tokenizer, tmp_path):
    changes = dict(learning_rate=1e-12, eval_steps=1, early_stopping_patience=1, max_steps=8)
    state, folder = trained(packed, tokenizer, tmp_path / "run", **changes, save_steps=100)
    assert state.finished and state.step < 8
    assert [path.name for path in checkpoint.checkpoints(folder)] == [f"checkpoint-{state.step}"]
    log = (folder / "log.jsonl").read_bytes()
    again, _ = trained(packed, tokenizer, folder, resume=True, **changes, save_steps=100)
    assert again.step == state.step and (folder / "log.jsonl").read_bytes() == log


def test_one_run_has_one_writer(packed, tokenizer, tmp_path):
    with checkpoint.writing(tmp_path / "run"), pytest.raises(Busy, match="Another process trains"):
        trained(packed, tokenizer, tmp_path / "run")
    trained(packed, tokenizer, tmp_path / "run", max_steps=1)


def test_tokens_of_a_run_are_not_made_anew_from_other_texts(packed, tokenizer, tmp_path):
    (tmp_path / "b.jsonl").write_text('{"text": "held out"}\n')
    parts = [
        Part(path=str(tmp_path / "b.jsonl")),
        Part(path=str(tmp_path / "b.jsonl"), split="validation"),
    ]
    corpus.build(parts, tokenizer, tmp_path / "tokens", tasks={})
    (tmp_path / "b.jsonl").write_text('{"text": "changed"}\n')
    before = (tmp_path / "tokens" / "corpus.json").read_bytes()
    with pytest.raises(Mismatch, match="other texts"):
        corpus.build(parts, tokenizer, tmp_path / "tokens", tasks={}, keep=True)
    assert (tmp_path / "tokens" / "corpus.json").read_bytes() == before
