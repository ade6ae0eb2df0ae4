"""Score the shipped adapters on public data: `python benchmarks/score_adapters.py --data DATA`.

Each row of the table is one `quintet evaluate TASK --data DATA/… --against baselines`, whose report is kept
in the output folder; what was scored is not scored again. Baselines learn from the rows that `train_adapters`
left under `--runs`. The table goes to stdout, to `table.md`, and into the files named by `--into`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import score_table
from core.backbone import catalogue
from core.language import Language, language_of
from finetune.report.results import Results

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "apps" / "samples"

BUNDLED_ENGLISH = "bundled-english"
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
        first = f"-first-{self.rows}" if self.rows else ""
        return f"{self.backbone}-{self.task}-{Path(self.data).name.removesuffix('.parquet')}{first}"


def _one(backbone: str, task: str, data: str, title: str, *values: str, **more: Any) -> Score:
    return Score(backbone=backbone, task=task, data=data, title=title, values=values, **more)


SCORES = (
    _one("smollm2", "sentiment", "sentiment/sst2", "SST-2", "accuracy"),
    _one("smollm2", "spam", "spam/sms_spam", "SMS Spam", "f1_spam"),
    _one("gemma3", "sentiment", "sentiment/online_shopping", "online_shopping", "accuracy"),
    _one("gemma3", "sentiment", "sentiment/chnsenticorp", "ChnSentiCorp", "accuracy"),
    _one("gemma3", "translation", "translation/tatoeba", "Tatoeba", "bleu_zh_en", "bleu_en_zh"),
    _one("smollm2", "generation", "generation/e2e_nlg", "E2E NLG", "bleu", columns=E2E),
    _one("smollm2", "qa", "qa/squad_v1_dev_half", "SQuAD half", "f1", "exact_match"),
    _one("smollm2", "spam", "spam/enron_spam", "Enron", "accuracy"),
    _one("smollm2", "sentiment", "sentiment/imdb", "IMDB", "accuracy"),
    _one("gemma3", "qa", "qa/cmrc2018", "CMRC 2018", "f1"),
    _one("gemma3", "sentiment", "sentiment/sst2", "SST-2", "accuracy"),
    _one("gemma3", "spam", "spam/sms_spam", "SMS Spam", "f1_spam"),
    _one("smollm2", "sentiment", "sentiment/online_shopping", "online_shopping", "accuracy"),
    _one("smollm2", "translation", "translation/tatoeba", "Tatoeba", "bleu_zh_en", "bleu_en_zh"),
    _one("gemma3", "generation", "generation/e2e_nlg", "E2E NLG", "bleu", columns=E2E, rows=600),
    _one("mini", "sentiment", "sentiment/sst2", "SST-2", "accuracy"),
    _one("mini", "sentiment", "sentiment/chnsenticorp", "ChnSentiCorp", "accuracy"),
    _one("mini", "spam", "spam/sms_spam", "SMS Spam", "f1_spam"),
    _one("mini", "translation", "translation/tatoeba", "Tatoeba", "bleu_zh_en", "bleu_en_zh"),
    _one("mini", "qa", "qa/squad_v1_dev_half", "SQuAD half", "f1", "exact_match"),
    _one("mini", "generation", "generation/e2e_nlg", "E2E NLG", "bleu", columns=E2E),
)  # fmt: skip
BUNDLED = tuple(
    Score(
        backbone="smollm2", task=task, data=BUNDLED_ENGLISH, title="bundled, English", values=values
    )
    for task, values in (("sentiment", ("accuracy",)), ("spam", ("accuracy", "mcc")))
)


def english(task: str, folder: Path) -> Path:
    """A file of the bundled test rows that are in English."""
    rows = (SAMPLES / task / "test.jsonl").read_text(encoding="utf-8").splitlines()
    kept = [row for row in rows if language_of(json.loads(row)["text"]) == "en"]
    path = folder / BUNDLED_ENGLISH / f"{task}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(kept) + "\n", encoding="utf-8")
    return path


def evaluate(score: Score, data: Path, output: Path, runs: Path, more: list[str]) -> Results | None:
    """The results, from an earlier call or from now; None where the command failed."""
    folder = output / score.name
    found = folder / "results.json"
    if not found.is_file():
        command = [sys.executable, "-m", "quintet", "evaluate", score.task]
        command += [
            "--backbone",
            score.backbone,
            "--against",
            "baselines",
            "--output",
            str(folder.absolute()),
        ]
        bundled = score.data == BUNDLED_ENGLISH
        rows = english(score.task, output) if bundled else data / score.data
        command += ["--data", str(rows.absolute())]
        command += ["--limit", str(score.rows)] if score.rows else []
        command += ["--map", score.columns] if score.columns else []
        learned = runs / score.backbone
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        if subprocess.call(
            [*command, *more],
            cwd=learned if learned.is_dir() else None,
            env={**os.environ, "PYTHONPATH": path},
        ):
            return None
    return Results.model_validate_json(found.read_bytes())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the folder of public data sets")
    parser.add_argument("--output", type=Path, default=Path("runs/scores"))
    parser.add_argument("--backbone", help="only this one")
    parser.add_argument("--task", help="only this one")
    parser.add_argument("--runs", type=Path, default=Path("runs/adapters"))
    parser.add_argument("--into", type=Path, nargs="*", default=(), help="pages with the two marks")
    known, more = parser.parse_known_args()
    scored: list[score_table.Scored] = []
    failed = []
    for score in (*BUNDLED, *SCORES):
        if known.backbone not in (None, score.backbone) or known.task not in (None, score.task):
            continue
        results = evaluate(score, known.data.absolute(), known.output, known.runs, more)
        if results is None:
            failed.append(score.name)
            continue
        scored.append((score.backbone, score.task, score.title, score.rows, score.values, results))
    known.output.mkdir(parents=True, exist_ok=True)
    (known.output / "table.md").write_text(score_table.table(scored, "en"), encoding="utf-8")
    sys.stdout.write(score_table.table(scored, "en"))
    fetched = [one for one in scored if one[0] != catalogue.SHIPPED]  # mini has a page of its own
    for page in known.into:
        language: Language = "zh" if ".zh." in page.name else "en"
        score_table.insert(score_table.table(fetched, language), page)
    if failed:
        sys.stderr.write(f"failed: {', '.join(failed)}\n")
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
