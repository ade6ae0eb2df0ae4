"""Train all adapters of a backbone on public data: `python benchmarks/train_adapters.py smollm2 --data DATA`.

DATA is a folder of parquet sets (sentiment/sst2/train.parquet and so on). Each task's rows are drawn with
a fixed seed from the train splits, written beside the runs, and given to `quintet finetune`; what is done
is not done again, and what was cut off goes on. `--scale 0.01` tries the whole path in a minute.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet

Row = dict[str, Any]
ALL = 10**9


@dataclass(frozen=True, kw_only=True)
class Part:
    """So many rows of one data set; `keep` chooses, `rename` gives our columns."""

    path: str
    rows: int = ALL
    keep: Callable[[Row], bool] = lambda row: True
    rename: Mapping[str, str] = field(default_factory=dict)


def five_words(row: Row) -> bool:
    """SST-2 holds every phrase of a sentence, down to single words that say little."""
    return len(row["text"].split()) >= 5


def short_passage(row: Row) -> bool:
    """Passages that fit into a training row of some 500 tokens."""
    return len(row["context"]) <= 1500


def short_chinese_passage(row: Row) -> bool:
    """The same for Chinese: Gemma takes three quarters of a token a character."""
    return len(row["context"]) <= 600


SAMPLES = Path(__file__).parents[1] / "apps" / "samples"
OWN_SENTIMENT = str(SAMPLES / "sentiment")
OWN_SPAM = str(SAMPLES / "spam")
E2E = {"meaning_representation": "prompt", "human_reference": "completion"}
ENGLISH: Mapping[str, Sequence[Part]] = {
    "sentiment": (
        Part(path="sentiment/sst2"),
        Part(path="sentiment/imdb"),
        Part(path="sentiment/online_shopping", rows=1_000),
        Part(path=OWN_SENTIMENT),
    ),
    "spam": (
        Part(path="spam/sms_spam"),
        Part(path="spam/enron_spam"),
        Part(path=OWN_SPAM),
    ),
    "generation": (Part(path="generation/e2e_nlg", rename=E2E),),
    "qa": (
        Part(path="qa/qamr"),
        Part(path="qa/squadshifts", keep=short_passage),
        Part(path="qa/fairytaleqa_extractive", keep=short_passage),
        Part(path="chat/rasbt_instruct"),
        Part(path="chat/alpaca_en", rows=2_000),
    ),
    "translation": (Part(path="translation/tatoeba"),),
}
BILINGUAL: Mapping[str, Sequence[Part]] = {
    "sentiment": (
        Part(path="sentiment/online_shopping"),
        Part(path="sentiment/chnsenticorp"),
        Part(path="sentiment/sst2", rows=12_000, keep=five_words),
        Part(path="sentiment/imdb", rows=1_500),
        Part(path=OWN_SENTIMENT),
    ),
    "translation": (
        Part(path="translation/tatoeba"),
        Part(path="translation/3am", rows=6_000),
    ),
    "qa": (
        Part(path="qa/cmrc2018", keep=short_chinese_passage),
        Part(path="qa/qamr", rows=6_000),
        Part(path="qa/squadshifts", rows=2_000, keep=short_passage),
        Part(path="chat/alpaca_zh", rows=2_000),
        Part(path="chat/alpaca_en", rows=500),
    ),
    "spam": ENGLISH["spam"],
    "generation": ENGLISH["generation"],
}
SMALL: Mapping[str, Sequence[Part]] = {
    **BILINGUAL,
    "sentiment": (
        *(Part(path=f"sentiment/{name}") for name in ("online_shopping", "chnsenticorp")),
        Part(path="sentiment/sst2"),
        Part(path=OWN_SENTIMENT),
    ),
    "qa": (
        Part(path="qa/cmrc2018", keep=short_chinese_passage),
        *(
            Part(path=f"qa/{name}", keep=short_passage)
            for name in ("qamr", "squadshifts", "fairytaleqa_extractive")
        ),
        *(Part(path=f"chat/{name}", rows=4_000) for name in ("alpaca_zh", "alpaca_en")),
    ),
}
MIXTURES = {"smollm2": ENGLISH, "gemma3": BILINGUAL, "mini": SMALL}
FURTHER: Mapping[str, Mapping[str, Sequence[Part]]] = {
    "smollm2": {
        "sentiment": (
            Part(path="sentiment/sst2", rows=18_000, keep=five_words),
            Part(path=OWN_SENTIMENT),
        ),
    },
    "gemma3": {
        "sentiment": (
            Part(path="sentiment/online_shopping", rows=7_000),
            Part(path=OWN_SENTIMENT, rows=500),
        ),
    },
}
"""Once more, for adapters in use that have learned those before: `--further`."""
PASSES = ("", "further")
"""Folders of the runs, under that of the backbone."""
KEYS: Mapping[str, Sequence[str]] = {
    "sentiment": (
        *("--lora.r", "8", "--max-length", "320", "--max-eval-rows", "800"),
        *("--num-train-epochs", "2"),
    ),
    "spam": (
        *("--lora.r", "8", "--max-length", "384", "--max-eval-rows", "800"),
        *("--per-device-train-batch-size", "32", "--num-train-epochs", "3"),
    ),
    "generation": (
        *("--lora.r", "16", "--lora.lora-alpha", "32", "--max-length", "256"),
        *("--num-train-epochs", "2"),
    ),
    "qa": (
        *("--lora.r", "16", "--lora.lora-alpha", "32", "--max-length", "512"),
        *("--max-eval-rows", "192", "--num-train-epochs", "2"),
    ),
    "translation": (
        *("--lora.r", "16", "--lora.lora-alpha", "32", "--max-length", "256"),
        *("--max-eval-rows", "64", "--num-train-epochs", "3"),
    ),
}
RANKS = {"mini": ("--lora.r", "32", "--lora.lora-alpha", "64")}
"""Of a backbone so small that its adapters have to learn more by themselves."""
SHARED = (
    *("--max-batch-tokens", "8192", "--per-device-train-batch-size", "64"),
    *("--eval-on-start", "false", "--max-test-rows", "0", "--early-stopping-patience", "0"),
    *("--eval-steps", "300", "--save-steps", "300"),
)


def read(file: Path) -> list[Row]:
    """Rows of a parquet or JSON Lines file."""
    if file.suffix == ".jsonl":
        return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return parquet.read_table(file).to_pylist()


def draw(part: Part, data: Path, scale: float) -> list[Row]:
    """The rows of a part, in an order that depends on nothing but the seed."""
    import random

    path = data / part.path
    files = [path] if path.is_file() else sorted(path.glob("train*.*"))
    rows = [row for file in files for row in read(file)]
    kept = [row for row in rows if part.keep(row)]
    random.Random(f"0-{Path(part.path).name}").shuffle(kept)
    wanted = kept[: max(16, round(min(part.rows, len(kept)) * scale))]
    return [{part.rename.get(name, name): value for name, value in row.items()} for row in wanted]


def prepare(task: str, parts: Sequence[Part], data: Path, folder: Path, scale: float) -> None:
    """One JSON Lines file a part, under `folder/rows/task`."""
    for number, part in enumerate(parts):
        path = folder / "rows" / task / f"{number}-{Path(part.path).name.split('.')[0]}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = (json.dumps(row, ensure_ascii=False) for row in draw(part, data, scale))
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def train(task: str, files: Sequence[Path], run: Path, backbone: str, more: Sequence[str]) -> int:
    """`quintet finetune`, begun or gone on with; 0 where the run is whole."""
    if (run / "adapter" / "passport.json").is_file():
        return 0
    command = [sys.executable, "-m", "quintet", "finetune", task, "--backbone", backbone]
    for file in files:
        command += ["--data", str(file)]
    keys = KEYS[task] if "--from-base" in more else _beside_lora(KEYS[task])
    command += [*SHARED, *keys, "--output", str(run), *more]
    if any(run.glob("checkpoint-*")):
        command.append("--resume")
    return subprocess.call(command)


def _beside_lora(keys: Sequence[str]) -> list[str]:
    """Keys of a run that goes on from an adapter, whose ranks are given."""
    pairs = zip(keys[::2], keys[1::2], strict=True)
    return [part for key, value in pairs if not key.startswith("--lora.") for part in (key, value)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mixture", choices=sorted(MIXTURES))
    parser.add_argument(
        "--data", type=Path, help="the folder of public data sets; else rows are there"
    )
    parser.add_argument("--backbone", help="another folder, file or hub id than the mixture's name")
    parser.add_argument("--output", type=Path, default=Path("runs/adapters"))
    parser.add_argument("--tasks", nargs="*", help="default: all, in the mixture's order")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the rows")
    parser.add_argument("--further", action="store_true", help="go on from the adapters in use")
    known, more = parser.parse_known_args()
    mixture = (FURTHER if known.further else MIXTURES)[known.mixture]
    folder = known.output / known.mixture / PASSES[known.further]
    more += [] if known.further else ["--from-base", *RANKS.get(known.mixture, ())]
    failed = []
    for task in known.tasks or mixture:
        if known.data:
            prepare(task, mixture[task], known.data, folder, known.scale)
        files = sorted((folder / "rows" / task).glob("*.jsonl"))
        code = train(task, files, folder / task, known.backbone or known.mixture, more)
        failed += [task] * bool(code)
    sys.stdout.write(f"trained in {folder}; failed: {', '.join(failed) or 'none'}\n")
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
