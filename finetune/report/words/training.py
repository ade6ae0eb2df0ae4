"""How the adapter was trained, and what the baselines learned from."""

from __future__ import annotations

from typing import Final

from core.language import Said

# fmt: off
WORDS: Final[dict[str, Said]] = {
    "training": Said("How it was trained", "训练方式"),
    "training_how": Said(
        "What the adapter and the baselines learned from, with which settings, and how long it took.",
        "适配器与基线的训练数据、所用设置与用时。"),
    "trained_on": Said("Trained on", "训练数据"),
    "trained_rows": Said("Rows learned", "训练样本数"),
    "trained_rows_said": Said("{rows}, those of earlier training included", "{rows}（含先前训练）"),
    "trained_backbone": Said("Backbone", "底座"),
    "trained_parameters": Said("Parameters of the adapter", "适配器参数量"),
    "trained_parameters_said": Said("{count} (LoRA, rank {rank})", "{count}（LoRA，秩 {rank}）"),
    "trained_modules": Said("Layers that it adapts", "所适配的层"),
    "trained_steps": Said("Optimiser steps", "优化步数"),
    "trained_tokens": Said("Tokens read", "读过的词元数"),
    "trained_time": Said("Time of the steps, about", "训练用时（约）"),
    "minutes": Said("{count} min", "{count} 分钟"),
    "seconds_said": Said("{count} s", "{count} 秒"),
    "trained_seed": Said("Seed", "随机种子"),
    "baselines_learned": Said("Baselines learned from", "基线的训练数据"),
    "baselines_same": Said("the same {rows} rows as the adapter", "与适配器相同的 {rows} 个样本"),
    "baselines_other": Said("{rows} other rows (starved)", "{rows} 个其他样本（数据不足）"),
    "baselines_free": Said(
        "{rows} rows; the bare backbone has learned none",
        "{rows} 个样本；底座本身未学过任何样本"),
    "baselines_none": Said("no rows", "无样本"),
    "training_settings": Said("All settings of the run", "本次训练的全部设置"),
    "training_unknown": Said(
        "The bare backbone: nothing was trained for this task.",
        "未加适配器的底座：未为此任务训练。"),
    "setting_learning_rate": Said("Learning rate", "学习率"),
    "setting_num_train_epochs": Said("Epochs at most", "最多轮数"),
    "setting_per_device_train_batch_size": Said("Rows a batch", "批大小"),
    "setting_max_length": Said("Tokens of a row at most", "单样本最多词元数"),
    "setting_optim": Said("Optimiser", "优化器"),
    "setting_weight_decay": Said("Weight decay", "权重衰减"),
}
# fmt: on
