"""What entries, fields of an input and keys of a passport are called; what is not here stands as it is."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from core.language import Said

# fmt: off
ENTRIES: Final[Mapping[str, Said]] = MappingProxyType({
    "majority": Said("majority", "多数类"),
    "TF-IDF": Said("TF-IDF", "TF-IDF + 逻辑回归"),
    "word by word": Said("word by word", "逐词翻译"),
    "best overlap": Said("best overlap", "重合最多的分句"),
    "copy the source": Said("copy the source", "照抄原文"),
    "first sentence": Said("first sentence", "首句"),
    "repeat the prompt": Said("repeat the prompt", "重复提示"),
    "unigram": Said("unigram", "一元模型"),
    "5-gram (Kneser–Ney)": Said("5-gram (Kneser–Ney)", "五元模型（Kneser–Ney）"),
    "xz": Said("xz", "xz 压缩"),
    "base": Said("base", "底座"),
    "before": Said("before", "微调前"),
    "adapter": Said("adapter", "适配器"),
})
FIELDS: Final[Mapping[str, Said]] = MappingProxyType({
    "text": Said("text", "文本"),
    "direction": Said("direction", "方向"),
    "question": Said("question", "问题"),
    "passage": Said("passage", "段落"),
    "history": Said("history", "对话历史"),
    "mode": Said("mode", "模式"),
})
PASSPORT: Final[Mapping[str, Said]] = MappingProxyType({
    "task": Said("Task", "任务"),
    "backbone": Said("Backbone", "底座"),
    "fingerprint": Said("Backbone's fingerprint", "底座指纹"),
    "tokenizer_hash": Said("Tokenizer's hash", "分词器哈希"),
    "prompt_hash": Said("Prompt's hash", "提示哈希"),
    "weights_hash": Said("Weights' hash", "权重哈希"),
    "configuration_hash": Said("Configuration's hash", "配置哈希"),
    "dtype": Said("Number format of the backbone", "底座数值格式"),
    "code_version": Said("Version of the code", "代码版本"),
    "data_hash": Said("Digest of the training rows", "训练数据指纹"),
    "data": Said("Trained on", "训练数据"),
    "ancestors_known": Said("Earlier training is known", "先前训练可知"),
    "training_rows_hash": Said("Hash of the rows' hashes", "训练样本哈希表的哈希"),
    "rows": Said("Scored rows", "评分样本数"),
    "scored_on": Said("Scored on", "评分所用部分"),
    "baseline_name": Said("Best baseline", "最佳基线"),
    "seed": Said("Seed", "随机种子"),
    "created": Said("Created", "生成时间"),
    "seal": Said("Seal", "封印"),
})
# fmt: on
