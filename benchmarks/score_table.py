"""Scores of the shipped adapters as a table of Markdown, in English and Chinese, and its place in a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import apps
from core.language import Language, Said
from core.task import Choice
from finetune.evaluation.metrics import registry
from finetune.report.results import Results
from finetune.report.verdict import probability
from finetune.report.words import names

MARKS = ("<!-- scores -->", "<!-- end of scores -->")
TASKS = {
    "generation": Said("generation", "文本生成"),
    "sentiment": Said("sentiment", "情感分析"),
    "spam": Said("spam", "垃圾信息识别"),
    "translation": Said("translation", "翻译"),
    "qa": Said("questions", "问答"),
}
TITLES = {
    "SQuAD half": Said("SQuAD, half of dev", "SQuAD 开发集的一半"),
    "bundled, English": Said("our own rows, English", "自带样本，英文"),
}
OUTCOMES = {
    "win": Said("better", "更好"),
    "loss": Said("worse", "更差"),
    "tie": Said("not told apart", "无显著差异"),
    "starved": Said("higher; baseline starved", "更高；基线数据不足"),
}
HEAD = Said(
    "| backbone | task | data | rows | value | best baseline | adapter (95 %) | beside it |\n"
    "|---|---|---|---:|---|---|---|---|",
    "| 底座模型 | 任务 | 数据 | 样本数 | 指标 | 最佳基线 | 适配器（95%） | 与它相比 |\n"
    "|---|---|---|---:|---|---|---|---|",
)
FIRST = Said("{}, first {:,}", "{}，前 {:,} 条")
Scored = tuple[str, str, str, int, Sequence[str], Results]
"""Backbone, task, title of the data, how many of its rows (0: all), metrics to show, what was measured."""


def table(scored: Sequence[Scored], language: Language) -> str:
    """A line a metric, under the head."""
    lines = [_line(one, metric, language) for one in scored for metric in one[4]]
    return "\n".join((HEAD.within(language), *lines)) + "\n"


def insert(text: str, page: Path) -> None:
    """The table between the two marks of a page."""
    before, rest = page.read_text(encoding="utf-8").split(MARKS[0])
    after = rest.split(MARKS[1])[1]
    page.write_text(f"{before}{MARKS[0]}\n{text}{MARKS[1]}{after}", encoding="utf-8")


def _line(scored: Scored, metric: str, language: Language) -> str:
    backbone, task, title, limit, _, results = scored
    subject = next(entry for entry in results.entries if entry.name == results.subject)
    baselines = [one for one in results.entries if one.kind == "baseline" and metric in one.metrics]
    best = max(baselines, key=lambda one: one.metrics[metric].value)
    mine, theirs = subject.metrics[metric], best.metrics[metric].value
    data = TITLES.get(title, Said(title, title)).within(language)
    system = names.ENTRIES.get(best.name)
    cells = (
        backbone,
        TASKS[task].within(language),
        FIRST.within(language).format(data, limit) if limit else data,
        f"{mine.rows:,}",
        registry.metric(metric, _labels(task)).label(language),
        f"{_number(theirs, mine.high)} ({system.within(language) if system else best.name})",
        f"**{_number(mine.value, mine.high)}** "
        f"({_number(mine.low, mine.high)}–{_number(mine.high, mine.high)})",
        _outcome(results, metric, best.name, language),
    )
    return f"| {' | '.join(cells)} |"


def _outcome(results: Results, metric: str, baseline: str, language: Language) -> str:
    found = [one for one in results.comparisons if (one.metric, one.against) == (metric, baseline)]
    if not found:
        return "–"
    p = found[0].p if found[0].p is not None else found[0].p_randomisation
    return f"{OUTCOMES[found[0].outcome].within(language)}, {probability(p, results.resamples)}"


def _labels(task: str) -> tuple[str, ...]:
    """What a choice chooses from: they stand in the names of metrics."""
    answer = apps.load(task).answer
    return answer.labels if isinstance(answer, Choice) else ()


def _number(value: float, scale: float) -> str:
    """Shares with three decimals, values out of 100 with one."""
    return f"{value:.1f}" if scale > 1 else f"{value:.3f}"
