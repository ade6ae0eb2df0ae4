"""LoRA on the same rows: by our loop, by transformers' Trainer with peft, and by TRL with packing."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

import apps
from benchmarks.interleaved import Order
from core import backbone as backbones
from core.adapters.lora_config import lora_config
from core.engine.engine import Engine
from core.engine.prompting import Encoded
from core.hardware import pick_device
from core.task import Example
from finetune.settings import FinetuneSettings
from finetune.training import checkpoint, sft
from finetune.training.collation import answer_loss, collate

_CHUNK = 16
_IGNORED = -100


def encoded(order: Order) -> list[Encoded]:
    """The rows of the order as our loop takes them."""
    pairs = zip(order.rows, order.starts, strict=True)
    return [Encoded(ids, start) for ids, start in pairs]


def ours(order: Order) -> dict[str, Any]:
    """`finetune.training.sft.train` as `quintet finetune` calls it, with a validation of one row."""
    dtype: Any = order.dtype
    engine = Engine(backbones.load(order.backbone, device=pick_device(), dtype=dtype))
    rows, task = encoded(order), apps.load("sentiment")
    before = loss_of(engine.backbone.model, rows)
    settings = FinetuneSettings(
        learning_rate=order.learning_rate,
        num_train_epochs=order.epochs,
        per_device_train_batch_size=order.batch_size,
        max_batch_tokens=order.batch_size * max(map(len, order.rows)),  # as many steps as others
        lr_scheduler_type="constant",
        warmup_steps=1,
        adam_beta2=0.999,
        eval_on_start=False,
        early_stopping_patience=0,
        lora=order.lora,
    )
    one = Example(input=task.samples[0], answers=(task.answer.labels[0],))  # type: ignore[union-attr]
    training_set = sft.TrainingSet(task=task, rows=rows, validation=[one], data_hash="")
    with tempfile.TemporaryDirectory() as folder:
        state = sft.train(engine, training_set, settings, Path(folder))
        last = checkpoint.checkpoints(Path(folder))[-1] / "weights.safetensors"
        engine.adapters.create("learned", order.lora, seed=0)
        engine.adapters.restore("learned", load_file(last))
    with engine.adapters.use("learned") as model:
        after = loss_of(model, rows)
        flops = sft.flops_per_token(_trainable(model), rows)
    tokens = order.epochs * sum(map(len, order.rows))
    return {"seconds": state.seconds, "before": before, "after": after, "flops": flops * tokens}


def trainer(order: Order) -> dict[str, Any]:
    """What a tutorial shows: fp32, batches of 8 rows padded to their longest; rate and schedule are ours."""
    return _trained(order, torch.float32)


def tuned(order: Order) -> dict[str, Any]:
    """The same as well as its options allow: dtype, batches of similar length, our batch size."""
    pays = backbones.load(order.backbone, dtype=_dtype(order)).dtype
    return _trained(
        order,
        torch.bfloat16 if pays == "bf16" else torch.float32,
        per_device_train_batch_size=order.batch_size,
        train_sampling_strategy="group_by_length",
        dataloader_pin_memory=False,
    )


def packing(order: Order) -> dict[str, Any]:
    """TRL's SFTTrainer with packed rows."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    model = _peft(order, torch.float32)
    table = Dataset.from_list(
        [
            {"input_ids": ids, "completion_mask": [int(n >= start) for n in range(len(ids))]}
            for ids, start in zip(order.rows, order.starts, strict=True)
        ]
    )
    longest = max(map(len, order.rows))
    keys = _keys(order, per_device_train_batch_size=max(1, order.batch_size // 4))
    with tempfile.TemporaryDirectory() as folder:
        keys |= {"packing": True, "max_length": 4 * longest, "output_dir": folder}
        made = SFTTrainer(model=model, args=SFTConfig(**keys), train_dataset=table)
        return _run(order, made, model)


def loss_of(model: Any, rows: Sequence[Encoded]) -> float:
    """Nats a learned token over all rows."""
    if hasattr(model, "get_base_model"):  # peft's wrapper hides what the model takes
        model = model.get_base_model()
    ordered = sorted(rows, key=lambda row: len(row.input_ids))
    nats, learned = 0.0, 0
    training = model.training
    model.eval()
    with torch.inference_mode():
        for start in range(0, len(ordered), _CHUNK):
            loss, count, _ = answer_loss(model, collate(ordered[start : start + _CHUNK], 0))
            nats, learned = nats + float(loss), learned + count
    model.train(training)
    return nats / learned


def _dtype(order: Order) -> Any:
    return order.dtype


def _trainable(model: Any) -> Any:
    """With gradients for the adapter, as the count of products wants to see them."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("lora_" in name)
    return model


def _peft(order: Order, dtype: torch.dtype) -> Any:
    from peft import get_peft_model
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(order.backbone, dtype=dtype)
    torch.manual_seed(0)
    return get_peft_model(model, lora_config(order.lora, model))


def _keys(order: Order, **changes: Any) -> dict[str, Any]:
    """Every argument that is not a default."""
    return {
        "num_train_epochs": order.epochs,
        "learning_rate": order.learning_rate,
        "lr_scheduler_type": "constant",
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": not torch.cuda.is_available(),
        "seed": 0,
        **changes,
    }


def _trained(order: Order, dtype: torch.dtype, **changes: Any) -> dict[str, Any]:
    from transformers import Trainer, TrainingArguments

    model = _peft(order, dtype)
    with tempfile.TemporaryDirectory() as folder:
        made = Trainer(
            model=model,
            args=TrainingArguments(output_dir=folder, **_keys(order, **changes)),
            train_dataset=_table(order),
            data_collator=_padded,
        )
        return _run(order, made, model)


def _run(order: Order, made: Any, model: Any) -> dict[str, Any]:
    rows = encoded(order)
    before = loss_of(model, rows)
    seconds = made.train().metrics["train_runtime"]
    after = loss_of(model, rows)
    flops = sft.flops_per_token(_trainable(model), rows)
    tokens = order.epochs * sum(map(len, order.rows))
    return {"seconds": seconds, "before": before, "after": after, "flops": flops * tokens}


def _table(order: Order) -> list[dict[str, list[int]]]:
    pairs = zip(order.rows, order.starts, strict=True)
    return [
        {"input_ids": ids, "labels": [_IGNORED] * start + ids[start:], "length": [len(ids)]}
        for ids, start in pairs
    ]


def _padded(rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
    longest = max(len(row["input_ids"]) for row in rows)

    def filled(name: str, padding: int) -> torch.Tensor:
        return torch.tensor([row[name] + [padding] * (longest - len(row[name])) for row in rows])

    mask = [[1] * len(row["input_ids"]) + [0] * (longest - len(row["input_ids"])) for row in rows]
    return {
        "input_ids": filled("input_ids", 0),
        "labels": filled("labels", _IGNORED),
        "attention_mask": torch.tensor(mask),
    }
