"""Score the shipped adapters on public data: `python benchmarks/score_adapters.py --data DATA`.

Each row of the table is one `quintet evaluate TASK --data DATA/… --against baselines`, whose report is kept
in the output folder; what was scored is not scored again. The table goes to stdout and to `table.md`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune.report.results import Results

E2E = "prompt=meaning_representation,completion=human_reference"


@dataclass(frozen=True, kw_only=True)
class Score:
    """One evaluation and the values of it that the table shows; `rows` limits slow ones, 0 is all."""

    backbone: str
    task: str
    data: str
    title: str
    values: tuple[str, ...]
    rows: int = 0
    columns: str = ""

    @property
    def name(self) -> str:
        return f"{self.backbone}-{self.task}-{Path(self.data).name.removesuffix('.parquet')}"


def _one(backbone: str, task: str, data: str, title: str, *values: str, **more: Any) -> Score:
    return Score(backbone=backbone, task=task, data=data, title=title, values=values, **more)


SCORES = (
    _one("smollm2", "sentiment", "sentiment/sst2", "SST-2", "accuracy"),
    _one("smollm2", "spam", "spam/sms_spam", "SMS Spam", "f1_spam"),
    _one("gemma3", "sentiment", "sentiment/online_shopping", "online_shopping", "accuracy"),
    _one("gemma3", "sentiment", "sentiment/chnsenticorp", "ChnSentiCorp", "accuracy"),
    _one("gemma3", "translation", "translation/tatoeba", "Tatoeba", "bleu_zh_en", "bleu_en_zh"),
    _one("smollm2", "generation", "generation/e2e_nlg", "E2E NLG", "bleu", columns=E2E),
    _one("smollm2", "qa", "qa/squad_v1_dev_half", "SQuAD half", "f1", "exact_match", rows=1000),
    _one("smollm2", "spam", "spam/enron_spam", "Enron", "accuracy", rows=1000),
    _one("smollm2", "sentiment", "sentiment/imdb", "IMDB", "accuracy", rows=600),
    _one("gemma3", "qa", "qa/cmrc2018", "CMRC 2018", "f1", rows=500),
    _one("gemma3", "sentiment", "sentiment/sst2", "SST-2", "accuracy"),
    _one("gemma3", "spam", "spam/sms_spam", "SMS Spam", "f1_spam"),
    _one("smollm2", "sentiment", "sentiment/online_shopping", "online_shopping", "accuracy"),
    _one("smollm2", "translation", "translation/tatoeba", "Tatoeba", "bleu_zh_en", "bleu_en_zh", rows=200),
    _one("gemma3", "generation", "generation/e2e_nlg", "E2E NLG", "bleu", columns=E2E),
)  # fmt: skip
BUNDLED = tuple(
    Score(backbone=backbone, task=task, data="", title="bundled rows", values=(value,))
    for backbone in ("smollm2", "gemma3", "mini")
    for task, value in (("sentiment", "accuracy"), ("spam", "accuracy"))
)


def evaluate(score: Score, data: Path, output: Path, more: list[str]) -> Results | None:
    """The results, from an earlier call or from now; None where the command failed."""
    folder = output / score.name
    found = folder / "results.json"
    if not found.is_file():
        command = [sys.executable, "-m", "quintet", "evaluate", score.task]
        command += ["--backbone", score.backbone, "--against", "baselines", "--output", str(folder)]
        command += ["--data", str(data / score.data)] if score.data else []
        command += ["--limit", str(score.rows)] if score.rows else []
        command += ["--map", score.columns] if score.columns else []
        if subprocess.call([*command, *more]):
            return None
    return Results.model_validate_json(found.read_bytes())


def lines(score: Score, results: Results) -> list[str]:
    """A line of Markdown a value: backbone, task, data, rows, value, best baseline, adapter, outcome."""
    found = []
    subject = next(entry for entry in results.entries if entry.name == results.subject)
    baselines = [entry for entry in results.entries if entry.kind == "baseline"]
    for value in score.values:
        mine = subject.metrics[value]
        best = max(
            (entry for entry in baselines if value in entry.metrics),
            key=lambda entry: entry.metrics[value].value,
        )
        held = next(
            one for one in results.comparisons if (one.metric, one.against) == (value, best.name)
        )
        cells = (
            *(score.backbone, score.task, score.title, f"{mine.rows:,}", value.replace("_", " ")),
            f"{_number(best.metrics[value].value, value)} ({best.name})",
            f"**{_number(mine.value, value)}** "
            f"({_number(mine.low, value)}–{_number(mine.high, value)})",
            {"win": "better", "loss": "worse"}.get(held.outcome, "not told apart"),
        )
        found.append(f"| {' | '.join(cells)} |")
    return found


def _number(value: float, name: str) -> str:
    """Shares with three decimals, values out of 100 with one."""
    return (
        f"{value:.1f}"
        if name.startswith(("bleu", "chrf", "exact", "f1")) and value > 1
        else f"{value:.3f}"
    )


HEAD = (
    "| backbone | task | data | rows | value | best baseline | adapter (95 %) | than the best baseline |",
    "|---|---|---|---:|---|---|---|---|",
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the folder of public data sets")
    parser.add_argument("--output", type=Path, default=Path("runs/scores"))
    parser.add_argument("--backbone", help="only this one")
    parser.add_argument("--task", help="only this one")
    known, more = parser.parse_known_args()
    table, failed = list(HEAD), []
    for score in (*BUNDLED, *SCORES):
        if known.backbone not in (None, score.backbone) or known.task not in (None, score.task):
            continue
        results = evaluate(score, known.data, known.output, more)
        if results is None:
            failed.append(score.name)
            continue
        table += lines(score, results)
    text = "\n".join(table) + "\n"
    known.output.mkdir(parents=True, exist_ok=True)
    (known.output / "table.md").write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    if failed:
        sys.stderr.write(f"failed: {', '.join(failed)}\n")
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
