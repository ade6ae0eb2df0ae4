"""Where the numbers come from."""

from __future__ import annotations

from typing import Final

from core.language import Said

# fmt: off
WORDS: Final[dict[str, Said]] = {
    "data": Said("Data", "数据"),
    "data_how": Said("What was scored and what was left out; the digest changes as soon as one example does.",
        "评了什么、略去了什么；任一样本改变，数据指纹即随之改变。"),
    "sources": Said("Sources", "来源"),
    "rows_read": Said("Rows read", "读入行数"),
    "examples": Said("Examples", "样本数"),
    "problems": Said("Rows left out", "略去的行"),
    "digest": Said("Digest", "数据指纹"),
    "cut": Said("Inputs cut", "截断的输入"),
    "cut_said": Said("{count} did not fit into the context", "{count} 个超出上下文长度"),
    "counts_caption": Said("How the examples are spread", "样本分布"),
    "labels": Said("right label", "真实标签"),
    "languages": Said("language", "语言"),
    "parts": Said("part", "子任务"),
    "characters": Said("Characters of the prompt", "提示的字符数"),
    "characters_of": Said("half have at most {p50}; 90 % {p90}; 99 % {p99}; the longest {p100}",
        "半数不超过 {p50}；90% 不超过 {p90}；99% 不超过 {p99}；最长 {p100}"),
    "group": Said("By", "划分"),
    "name": Said("Name", "名称"),
    "count": Said("Examples", "样本数"),
    "share": Said("Share", "占比"),
    "percentile": Said("percentile {number}", "第 {number} 百分位"),
    "environment": Said("Environment", "环境"),
    "environment_how": Said("With what it was measured; other versions may move the last digits.",
        "测量所用的软硬件；版本不同，末位数字可能有别。"),
    "python": Said("Python", "Python"),
    "platform": Said("Platform", "平台"),
    "device": Said("Device", "设备"),
    "threads": Said("Threads", "线程数"),
    "seconds_answering": Said("Seconds spent on answers", "回答用时（秒）"),
    "seconds_all": Said("Seconds in all", "总用时（秒）"),
    "seed": Said("Seed", "随机种子"),
    "resamples": Said("Bootstrap resamples", "自助法重采样次数"),
    "created": Said("Created", "生成时间"),
    "schema": Said("Version of the schema", "格式版本"),
    "reproduce": Said("Reproduce", "复现"),
    "reproduce_how": Said("Run these in order; the same seed and data give the same numbers.",
        "依次运行；种子与数据相同则数值相同。"),
    "signatures": Said("Signatures", "指标签名"),
    "signatures_how": Said("How a metric was counted; compare values only where the signatures are equal.",
        "指标的计算方式；签名相同的数值才可比较。"),
    "signatures_caption": Said("How the metrics were counted", "指标的计算方式"),
    "signature": Said("Signature", "签名"),
    "passport": Said("Passport", "适配器档案"),
    "passport_how": Said("What the adapter was made from; it is served only where the hashes agree.",
        "适配器的来历；仅在哈希一致时才会被加载。"),
    "passport_show": Said("All of passport.json", "passport.json 全文"),
}
# fmt: on
