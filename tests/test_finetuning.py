"""From rows to an adapter: what is learned, what picks the checkpoint, what is written down."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, GPT2Config, GPTNeoXConfig, LlamaConfig, Qwen3Config

import apps
from core import backbone as backbones
from core.adapters import registry
from core.adapters.passport import Passport, read_passport
from core.application import Application
from core.engine.engine import Engine
from core.engine.prompting import Encoded
from core.errors import BadData, BadSetting, Busy, Mismatch
from core.service import Service
from core.task import Example
from finetune.data.examples import read_examples
from finetune.data.training_data import Request, gather, run_folder
from finetune.settings import FinetuneSettings
from finetune.training import checkpoint, dry_run, sft
from finetune.training.collation import Plan, answer_loss, collate
from finetune.training.loop import Interrupted
from finetune.workflows import finetuning, seeds

QUIET = Console(quiet=True)
QUICK = FinetuneSettings(
    num_train_epochs=12,
    learning_rate=1e-2,
    max_eval_rows=16,
    per_device_train_batch_size=8,
    bf16="off",
    early_stopping_patience=0,
)
GOOD = ("I love this {}.", "What a warm {}!", "今天的{}很好。", "a good {} indeed")
BAD = ("I hate this {}.", "What a cold {}!", "今天的{}很坏。", "a boring {} indeed")
THINGS = ("film", "book", "town", "house", "market", "mill", "river", "loaf", "公园", "饭")


def reviews(folder: Path, copies: int = 1) -> Path:
    rows = [
        {"text": text.format(thing), "label": label}
        for label, texts in (("positive", GOOD), ("negative", BAD))
        for text in texts
        for thing in THINGS * copies
    ]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "train.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def asked(folder: Path, output: str = "run", task: str = "sentiment", **changes) -> Request:
    settings = QUICK.model_copy(update=changes.pop("settings", {}))
    return Request(
        task=apps.load(task),
        sources=(str(reviews(folder)),),
        settings=settings,
        output=folder / output,
        device="cpu",
        **changes,
    )


def learned(request: Request, backbone) -> Passport:
    return finetuning.finetune(request, Engine(backbone), gather(request), QUIET).passport


def test_an_adapter_learns_what_its_rows_say_and_serves_it(tmp_path, backbone):
    request = asked(tmp_path)
    passport = learned(request, backbone)
    assert passport.metrics["accuracy"] > 0.9
    assert passport.scored_on == "validation"
    service = Service(backbone, {"sentiment": request.task})
    application = service.application("sentiment", request.output / "adapter")
    assert application("I love this town.").text == "positive"
    assert application("今天的饭很坏。").text == "negative"


def test_a_run_leaves_everything_a_reader_needs(tmp_path, backbone):
    request = asked(tmp_path, settings={"max_steps": 4})
    learned(request, backbone)
    adapter = request.output / "adapter"
    assert {path.name for path in adapter.iterdir()} == {
        "adapter_config.json", "adapter_model.safetensors", "README.md", "passport.json",
        "decision.json", "decision_template.jinja", "training_rows.safetensors",
    }  # fmt: skip
    assert {"config.yaml", "log.jsonl", "loss.png", "checkpoint-4"} <= {
        path.name for path in request.output.iterdir()
    }
    assert "These rows also picked the checkpoint" in (adapter / "README.md").read_text()


def test_the_split_that_is_scored_picks_no_checkpoint(tmp_path):
    folder = tmp_path / "data"
    train = reviews(folder)
    (folder / "validation.jsonl").write_bytes(train.read_bytes()[:2000].rpartition(b"\n")[0])
    request = asked(tmp_path)
    request = Request(**{**vars(request), "sources": (str(folder),)})
    splits = gather(request)
    validation = read_examples(request.task, [str(folder)], split="validation")
    assert splits.test.digest == validation.digest
    held_out = {example.input for example in splits.validation.examples}
    assert held_out and not held_out & {example.input for example in splits.train.examples}


def test_a_resumed_run_ends_bit_by_bit_as_an_uninterrupted_one(tmp_path, tokenizer):
    whole = asked(tmp_path, "whole", settings={"max_steps": 8, "eval_steps": 3})
    learned(whole, backbones.create("nano", tokenizer))
    broken = asked(tmp_path, "broken", settings={"max_steps": 8, "eval_steps": 3})
    engine = Engine(backbones.create("nano", tokenizer))
    splits = gather(broken)
    training_set = sft.TrainingSet(
        task=broken.task,
        rows=dry_run.encode(broken.task, splits.train.examples, engine.backbone, broken.settings),
        validation=splits.validation.examples,
        data_hash=splits.digest,
    )
    broken.output.mkdir()

    def stop(seen) -> None:
        if seen.step == 5:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted, match="--resume"):
        sft.train(engine, training_set, broken.settings, broken.output, device="cpu", report=stop)
    again = Request(**{**vars(broken), "resume": True})
    learned(again, backbones.create("nano", tokenizer))
    name = "adapter/adapter_model.safetensors"
    assert (whole.output / name).read_bytes() == (broken.output / name).read_bytes()


def test_training_goes_on_from_the_installed_adapter(tmp_path, backbone):
    first = asked(tmp_path, "first")
    learned(first, backbone)
    engine = Engine(backbone)
    assert finetuning.warm_start(first.task, engine, QUICK) is None
    installed = registry.install(first.output)
    start = finetuning.warm_start(first.task, engine, QUICK)
    assert start == installed
    second = asked(tmp_path, "second", start=start, settings={"max_steps": 1})
    log = second.output / "log.jsonl"
    learned(second, backbone)
    begun = json.loads(log.read_text().splitlines()[0])
    assert begun["step"] == 0 and begun["accuracy"] > 0.9
    with pytest.raises(BadSetting, match="--from-base"):
        finetuning.warm_start(first.task, engine, QUICK.model_copy(update={"lora": {"r": 2}}))


def test_a_run_goes_on_from_the_adapter_it_began_with(tmp_path, tokenizer):
    """Whatever was installed meanwhile, and even where that adapter was removed."""

    def backbone():
        return backbones.create("nano", tokenizer)

    first = asked(tmp_path, "first", settings={"max_steps": 4})
    learned(first, backbone())
    installed = registry.install(first.output)
    short = {"max_steps": 2, "eval_steps": 1}
    second = asked(tmp_path, "second", start=installed, settings=short)
    learned(second, backbone())
    shutil.rmtree(installed)
    another = registry.install(second.output)
    adapter = (second.output / "adapter" / "adapter_model.safetensors").read_bytes()
    learned(asked(tmp_path, "second", start=another, settings=short, resume=True), backbone())
    assert (second.output / "adapter" / "adapter_model.safetensors").read_bytes() == adapter


def test_an_adapter_that_never_gets_better_is_kept_as_it_was(tmp_path, backbone):
    first = asked(tmp_path, "first")
    learned(first, backbone)
    second = asked(
        tmp_path,
        "second",
        start=first.output / "adapter",
        settings={"learning_rate": 1e-12, "max_steps": 3},
    )
    learned(second, backbone)
    one, two = (r.output / "adapter/adapter_model.safetensors" for r in (first, second))
    assert one.read_bytes() == two.read_bytes()


def test_a_new_adapter_that_only_gets_worse_is_not_kept_untrained(tmp_path, backbone):
    request = asked(tmp_path, settings={"max_steps": 2, "learning_rate": 1e-12})
    learned(request, backbone)
    weights = load_file(request.output / "adapter" / "adapter_model.safetensors")
    assert any(bool(tensor.any()) for name, tensor in weights.items() if "lora_B" in name)


def test_the_seed_decides_everything(tmp_path, tokenizer):
    files = []
    for output, seed in (("a", 1), ("b", 1), ("c", 2)):
        request = asked(tmp_path, output, settings={"max_steps": 3, "seed": seed})
        learned(request, backbones.create("nano", tokenizer))
        files.append((request.output / "adapter/adapter_model.safetensors").read_bytes())
    assert files[0] == files[1] != files[2]


def test_a_loss_that_is_no_number_ends_the_run(tmp_path, backbone):
    from core.errors import Damaged, Diverged

    with torch.no_grad():
        next(backbone.model.parameters()).fill_(float("nan"))
    with pytest.raises((Damaged, Diverged)):
        learned(asked(tmp_path), backbone)


def test_another_prompt_is_refused(tmp_path, backbone):
    import dataclasses

    request = asked(tmp_path, settings={"max_steps": 1})
    learned(request, backbone)
    changed = dataclasses.replace(request.task, prompt=lambda review: f"{review.text}\nSentiment :")
    with pytest.raises(Mismatch, match="prompt"):
        Service(backbone, {"sentiment": changed}).application(
            "sentiment", request.output / "adapter"
        )


def test_the_preview_says_what_will_be_learned(tmp_path, backbone):
    request = asked(tmp_path)
    engine = Engine(backbone)
    seen = finetuning.look(request, engine, gather(request))
    assert seen.rows == 64 and seen.validation == 16 and seen.unlearnable == 0
    assert seen.token_lengths[100] >= seen.token_lengths[50] > 3
    assert seen.steps == 96 and seen.seconds > 0 and seen.memory.total > 0
    assert "Sentiment:⟦" in seen.sample
    assert engine.adapters.names == ()


@pytest.mark.parametrize(("name", "ends"), [("sentiment", 0.0), ("generation", 1.0)])
def test_written_answers_end_in_end_of_text(tmp_path, backbone, name, ends):
    request = asked(tmp_path, task=name)
    seen = finetuning.look(request, Engine(backbone), gather(request))
    assert seen.ends == ends


def test_a_question_that_is_too_long_by_itself_is_left_out(tmp_path, backbone):
    task = apps.load("qa")
    rows = [("What is it?", "It is a mill."), ("why " * 400, "It is a mill.")]
    examples = [
        Example(input=task.input(question=question, passage=passage), answers=("a mill",))
        for question, passage in rows
    ]
    settings = FinetuneSettings(max_length=64)
    short, long = dry_run.encode(task, examples, backbone, settings)
    assert len(short.input_ids) > short.answer_start
    assert dry_run.learnable([short, long], 0.5) == [short]


def test_rows_with_nothing_to_learn_are_an_error():
    rows = [Encoded([1, 2, 3], 2)] * 98 + [Encoded([1, 2], 2)] * 2
    with pytest.raises(BadData, match="2 of 100 rows"):
        dry_run.learnable(rows, 0.01)
    assert len(dry_run.learnable(rows, 0.02)) == 98


def test_batches_keep_their_budget_and_miss_no_row():
    rows = [Encoded(list(range(2, 2 + n % 37 + 2)), 1) for n in range(200)]
    plan = Plan(rows, padding=0, max_tokens=128, max_rows=16, seed=0)
    batches = [plan.at(number) for number in range(plan.per_epoch)]
    assert all(b.ids.numel() <= 128 and len(b.ids) <= 16 for b in batches)
    assert sum(b.tokens for b in batches) == sum(len(row.input_ids) for row in rows)
    again = Plan(rows, padding=0, max_tokens=128, max_rows=16, seed=0)
    assert torch.equal(again.at(7).ids, plan.at(7).ids)


def test_the_loss_is_that_of_the_answers_alone(backbone):
    rows = [Encoded([0, 40, 50, 60, 70], 3), Encoded([0, 41, 51], 1)]
    found, learned_tokens, read = answer_loss(backbone.model, collate(rows, 1))
    expected = 0.0
    for row in rows:
        with torch.no_grad():
            logits = backbone.model(torch.tensor([row.input_ids])).logits[0].log_softmax(-1)
        for place in range(row.answer_start, len(row.input_ids)):
            expected -= float(logits[place - 1, row.input_ids[place]])
    assert found.item() == pytest.approx(expected, rel=1e-5)
    assert (learned_tokens, read) == (4, 8)


SHAPE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
ROPE = {**SHAPE, "intermediate_size": 64, "max_position_embeddings": 128}
FAMILIES = {
    "gpt2": lambda v: GPT2Config(vocab_size=v, n_embd=32, n_layer=2, n_head=4, n_positions=128),
    "llama": lambda v: LlamaConfig(vocab_size=v, **ROPE, num_key_value_heads=2),
    "qwen3": lambda v: Qwen3Config(vocab_size=v, **ROPE, num_key_value_heads=2, head_dim=8),
    "gpt_neox": lambda v: GPTNeoXConfig(vocab_size=v, **ROPE),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_any_causal_language_model_is_finetuned_saved_and_answered_with(
    family, tokenizer, tmp_path
):
    config = FAMILIES[family](len(tokenizer))
    config.bos_token_id = config.eos_token_id = tokenizer.eos_token_id
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    engine = Engine(backbones.load(tmp_path / "model"))
    request = asked(tmp_path, settings={"max_steps": 20})
    finetuning.finetune(request, engine, gather(request), QUIET)
    log = (request.output / "log.jsonl").read_text().splitlines()
    losses = [row["loss"] for line in log if "loss" in (row := json.loads(line))]
    assert losses[-1] < losses[0]

    texts = [request.task.input(text="I love this film."), request.task.input(text="今天很坏。")]
    engine.adapters.load("own", request.output / "adapter")
    before = [p.probabilities for p in Application(request.task, engine, "own").predict(texts)]
    again = Service(backbones.load(tmp_path / "model"), {"sentiment": request.task})
    after = again.application("sentiment", request.output / "adapter").predict(texts)
    assert [found.probabilities for found in after] == before


def test_what_is_shortened_is_told_in_rows(tmp_path, backbone):
    request = asked(tmp_path, settings={"max_length": 10})
    engine = Engine(backbone)
    seen = finetuning.look(request, engine, gather(request))
    assert seen.longest == 10 and seen.token_lengths[100] <= 10
    assert 0 < seen.shortened <= seen.examples
    told = next(line for line in seen.lines() if line.startswith("rows may have 10 tokens"))
    assert f"(max_length): {seen.shortened} prompts are shortened" in told


def test_answers_that_lose_their_end_are_told(tmp_path, backbone):
    request = asked(tmp_path, task="generation", settings={"max_length": 12})
    seen = finetuning.look(request, Engine(backbone), gather(request))
    assert 0 < seen.cut < seen.examples
    assert any(f"{seen.cut} answers cut" in line for line in seen.lines())


@pytest.mark.parametrize(
    ("settings", "expected"),
    [({}, 2048), ({"max_batch_tokens": 512}, 512), ({"max_length": 4096}, 2048),
     ({"max_length": 4096, "max_batch_tokens": 9000}, 4096), ({"max_batch_tokens": 9000}, 2048)],
)  # fmt: skip
def test_rows_take_a_quarter_of_a_long_context(settings, expected, backbone):
    backbone.model.config.max_position_embeddings = 8192
    assert dry_run.row_length(backbone, FinetuneSettings(**settings)) == expected


def test_a_row_longer_than_a_batch_is_refused():
    with pytest.raises(BadSetting, match=r"row of 40 tokens .*max_batch_tokens = 32.*--max-length"):
        Plan([Encoded(list(range(40)), 3)], padding=0, max_tokens=32, max_rows=4, seed=0)


def test_a_refused_resumption_changes_nothing(tmp_path, tokenizer):
    first = asked(tmp_path, settings={"max_steps": 2})
    learned(first, backbones.create("nano", tokenizer))
    before = {path: path.read_bytes() for path in first.output.rglob("*") if path.is_file()}
    again = asked(tmp_path, resume=True, settings={"max_steps": 3})
    with pytest.raises(Mismatch, match="max_steps: 2 then, 3 now"):
        learned(again, backbones.create("nano", tokenizer))
    assert before == {path: path.read_bytes() for path in first.output.rglob("*") if path.is_file()}


def test_a_run_killed_before_its_first_checkpoint_may_be_resumed(tmp_path):
    with pytest.raises(BadSetting, match="No run to go on with"):
        run_folder("sentiment", tmp_path, resume=True)
    with checkpoint.writing(tmp_path):
        pass
    assert run_folder("sentiment", tmp_path, resume=False) == tmp_path
    (tmp_path / "config.yaml").write_text("task: sentiment\n")
    assert run_folder("sentiment", tmp_path, resume=True) == tmp_path
    with pytest.raises(BadSetting, match="is not empty"):
        run_folder("sentiment", tmp_path, resume=False)


def test_a_run_that_ended_while_the_weights_were_read_is_not_written_over(tmp_path, tokenizer):
    first = asked(tmp_path, settings={"max_steps": 2})
    passport = learned(first, backbones.create("nano", tokenizer))
    with pytest.raises(Busy, match=r"has trained in .*run meanwhile.*another --output"):
        learned(asked(tmp_path, settings={"max_steps": 3}), backbones.create("nano", tokenizer))
    assert read_passport(first.output / "adapter") == passport


def test_the_seed_that_validated_best_is_told(tmp_path, backbone):
    request = asked(tmp_path, settings={"max_steps": 2})
    _, runs = seeds.finetune_all(request, Engine(backbone), (3, 5), QUIET)
    seed, best = seeds.best_of((3, 5), runs)
    assert best.folder.name == f"seed-{seed}"
    assert best.best == max(run.best for run in runs)
    assert run_folder("sentiment", request.output, resume=True) == request.output


def test_seeds_are_compared_on_the_same_rows(tmp_path):
    alone, other = asked(tmp_path, settings={"seed": 3}), asked(tmp_path, settings={"seed": 5})
    assert gather(alone).validation != gather(other).validation
    one, two = (asked(tmp_path, settings={"seed": seed, "split_seed": 3}) for seed in (3, 5))
    assert gather(one).validation == gather(two).validation == gather(alone).validation


def test_rows_that_were_encoded_need_not_be_encoded_again(tmp_path, backbone, monkeypatch):
    request, engine = asked(tmp_path, settings={"max_steps": 2}), Engine(backbone)
    splits = gather(request)
    rows = finetuning.encoded(request, engine, splits)
    expected = finetuning.look(request, engine, splits)
    monkeypatch.delattr(dry_run, "encode")
    seen = finetuning.look(request, engine, splits, rows=rows)
    assert seen.token_lengths == expected.token_lengths
    assert finetuning.finetune(request, engine, splits, QUIET, rows=rows).best is not None
