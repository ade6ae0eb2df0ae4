"""The words that a student may meet here for the first time, each explained once."""

from __future__ import annotations

from typing import Final

from core.language import Said

# fmt: off
TERMS: Final[tuple[tuple[Said, Said], ...]] = (
    (Said("Backbone", "底座"), Said(
        "The language model itself. All tasks share it; its weights stay as they are.",
        "语言模型本身。所有任务共用，权重保持不变。")),
    (Said("Adapter, LoRA", "适配器、LoRA"), Said(
        "A few small matrices beside the backbone's own (low-rank adaptation). Only they are "
        "trained, one set a task.",
        "附加在底座权重旁的少量小矩阵（低秩适配）。只训练它们，每个任务一套。")),
    (Said("Baseline", "基线"), Said(
        "An answer that costs next to nothing, such as the most frequent label. A model that is not "
        "better is not worth having.",
        "几乎不费成本的回答方式，如总答最常见的标签。比不过基线的模型没有价值。")),
    (Said("TF-IDF", "TF-IDF"), Said(
        "A classic classifier: words are weighed by how rare they are, and a logistic regression does the rest.",
        "经典分类方法：按词的稀有程度加权，再做逻辑回归。")),
    (Said("Checkpoint", "检查点"), Said(
        "The weights at one moment of training. The one that is best on held-out rows is kept.",
        "训练某一时刻的权重。保留在留出样本上最好的一个。")),
    (Said("Loss", "损失"), Said(
        "How surprised the model is by the right answers; training makes it smaller.",
        "模型对正确答案的意外程度；训练使其变小。")),
    (Said("Token", "词元"), Said(
        "The piece of text that a model reads at once: a word, a part of one, or a character.",
        "模型一次读入的文本片段：一个词、词的一部分或一个字。")),
    (Said("Epoch, step", "轮、步"), Said(
        "An epoch is one pass over all training rows, a step one change of the weights after a batch of them.",
        "一轮即遍历全部训练样本一次；一步即读完一批样本后更新一次权重。")),
    (Said("Bootstrap, 95 % interval", "自助法、95% 区间"), Said(
        "The rows are drawn again with replacement, many times over. 95 % of the values so found lie "
        "in the interval: "
        "how far the score would move with other rows of the same kind.",
        "对样本多次有放回地重抽，95% 的所得数值落在区间内：换一批同类样本，得分大致会变动多少。")),
    (Said("Paired test, p-value", "配对检验、p 值"), Said(
        "Both answer the same rows, so that easy and hard rows count for both. p is how often chance "
        "alone would bring "
        "a difference this large; below 0.05 it is called proven here.",
        "双方回答相同的样本，难易对双方一样。p 表示仅凭偶然出现这么大差别的概率；此处小于 0.05 称为已证实。")),
    (Said("Holm's correction", "Holm 校正"), Said(
        "Who looks at many comparisons finds one by chance. The correction makes each p larger for "
        "how many are shown.",
        "比较多了，总有一个会凭偶然显著。校正按比较的个数调大每个 p 值。")),
    (Said("Deciding metric", "主指标"), Said(
        "The one value that picks the checkpoint and decides the verdict; all others are for the reader.",
        "用来挑选检查点并作出结论的唯一数值；其余仅供参考。")),
    (Said("Calibration, temperature", "校准、温度"), Said(
        "Whether answers given with 80 % are right in 80 %. Dividing the scores by a temperature "
        "makes a model less sure of itself.",
        "以 80% 把握给出的回答是否真有 80% 正确。把分数除以温度可使模型不那么自信。")),
    (Said("Data leak", "数据泄漏"), Said(
        "A scored row that the model had seen in training. It can be right by memory, so it tells nothing.",
        "模型训练时见过的评分样本。它可凭记忆答对，因此不能说明能力。")),
    (Said("Fingerprint, digest, hash", "指纹、数据指纹、哈希"), Said(
        "A short number made of a whole file: as soon as the file changes, so does the number.",
        "由整个文件算出的短数字：文件一变，数字即变。")),
)
# fmt: on
