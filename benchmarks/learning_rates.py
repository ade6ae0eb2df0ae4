"""Is the default learning rate near the best?

`python -m benchmarks.learning_rates smollm2 --data DATA/sentiment/sst2/train.parquet --limit 3000`

Every multiple of the rule's rate (`finetune/training/learning_rate.py`) learns the same rows for the same
steps with `quintet finetune`, in a process of its own, from the same seed. The table shows the loss that
training ends with and the values on the validation rows; these rows pick nothing here but the rate.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core import backbone as backbones
from core.backbone import catalogue
from finetune.training.learning_rate import suited

MULTIPLES = (0.25, 0.5, 1.0, 2.0, 4.0)
_LOSSES = 5
"""Records of the log whose losses are averaged at the end of training."""
_SHOWN = 2
"""Values in the table, the task's first."""


@dataclass(frozen=True, kw_only=True)
class Tried:
    multiple: float
    rate: float
    first: float
    last: float
    norm: float
    """The largest gradient norm logged after the first step: derailing shows here."""
    values: dict[str, float]


def rule(backbone: str) -> float:
    """The rate that this backbone is given by default."""
    path = catalogue.resolve(backbone)
    config = backbones.load(path, dtype="auto").model.config.get_text_config()
    return suited(config.hidden_size, config.num_hidden_layers)


def tried(run: Path, multiple: float, rate: float) -> Tried:
    """What the log of a finished run says."""
    records: list[dict[str, Any]] = [
        json.loads(line) for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    steps = [one for one in records if "loss" in one]
    told = ("step", "tokens")
    scored = [one for one in records if "loss" not in one][-1]
    ends = [one["loss"] for one in steps[-_LOSSES:]]
    return Tried(
        multiple=multiple,
        rate=rate,
        first=steps[0]["loss"],
        last=sum(ends) / len(ends),
        norm=max(one["grad_norm"] for one in steps[1:]),
        values={name: value for name, value in scored.items() if name not in told},
    )


def learn(task: str, known: argparse.Namespace, rate: float, run: Path, more: list[str]) -> None:
    command = [sys.executable, "-m", "quintet", "finetune", task, "--backbone", known.backbone]
    command += ["--from-base", "--output", str(run), "--learning-rate", f"{rate:.3g}"]
    for data in known.data:
        command += ["--data", data]
    command += ["--eval-on-start", "false", "--eval-steps", "1000000", "--logging-steps", "4"]
    command += ["--max-test-rows", "0", "--early-stopping-patience", "0", *more]
    subprocess.run(command, check=True)


def table(found: list[Tried]) -> str:
    names = list(found[0].values)[:_SHOWN]
    lines = [
        "| × the rule | rate | loss | gradient norm at most | " + " | ".join(names) + " |",
        "|---|---:|---|---:|" + "---:|" * len(names),
    ]
    for one in found:
        values = " | ".join(f"{one.values[name]:.3f}" for name in names)
        lines.append(
            f"| {one.multiple:g} | {one.rate:.2g} | {one.first:.2f} → {one.last:.3f} "
            f"| {one.norm:.1f} | {values} |"
        )
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("backbone")
    parser.add_argument("--task", default="sentiment")
    parser.add_argument("--data", action="append", required=True)
    parser.add_argument("--output", type=Path, default=Path("runs/learning_rates"))
    parser.add_argument("--multiples", type=float, nargs="*", default=MULTIPLES)
    known, more = parser.parse_known_args()
    base, found = rule(known.backbone), []
    for multiple in known.multiples:
        run = known.output / Path(known.backbone).name / f"{multiple:g}"
        if not (run / "adapter" / "passport.json").is_file():
            learn(known.task, known, base * multiple, run, more)
        found.append(tried(run, multiple, base * multiple))
    sys.stdout.write(table(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
