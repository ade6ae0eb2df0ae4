"""Chat without a passage: the adapter, or the backbone in its own chat template?

`python -m benchmarks.chat_template --data DATA/chat/alpaca_en/validation.parquet`: both answer the same rows
greedily with the same room; the word F1 against the reference is compared in pairs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats

import apps
from core import backbone as backbones
from core.backbone import catalogue
from core.metrics.answers import f1
from core.service import Service
from core.task import Example
from finetune.data.examples import read_examples

_SEED = 0


def templated(engine: Any, examples: Sequence[Example[Any]], length: int, batch: int) -> list[str]:
    """What the bare backbone answers to the turns in its own template."""
    tokenizer = engine.backbone.tokenizer
    prompts = [
        tokenizer.apply_chat_template(_turns(one), add_generation_prompt=True, return_dict=True)[
            "input_ids"
        ]
        for one in examples
    ]
    texts: list[str] = []
    for start in range(0, len(prompts), batch):
        rows = engine.write(None, prompts[start : start + batch], max_new_tokens=length)
        texts += [tokenizer.decode(ids, skip_special_tokens=True).strip() for ids in rows]
    return texts


def _turns(example: Example[Any]) -> list[dict[str, str]]:
    asked = example.input
    earlier = [{"role": turn.role, "content": turn.content} for turn in asked.history]
    return [*earlier, {"role": "user", "content": asked.question}]


def compared(first: Sequence[float], second: Sequence[float]) -> tuple[float, float, float, float]:
    """Mean difference of pairs, its 95 % bootstrap interval, and the p of a permutation test."""
    differences = np.subtract(first, second)
    interval = stats.bootstrap(
        (differences,), np.mean, method="percentile", rng=np.random.default_rng(_SEED)
    ).confidence_interval
    tested = stats.permutation_test(
        (first, second),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=9999,
        rng=np.random.default_rng(_SEED),
    )
    return float(differences.mean()), interval.low, interval.high, float(tested.pvalue)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="instructions and their answers")
    parser.add_argument("--backbone", default="smollm2")
    parser.add_argument("--rows", type=int, default=100)
    parser.add_argument("--max-new-tokens", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=16)
    known = parser.parse_args()
    task = apps.load("qa")
    examples = read_examples(task, [known.data], limit=known.rows).examples
    folder = catalogue.resolve(known.backbone)
    service = Service(backbones.load(folder, dtype="auto"), {"qa": task})
    application = service.application("qa")
    found = application.predict(
        [one.input for one in examples],
        batch_size=known.batch_size,
        max_new_tokens=known.max_new_tokens,
    )
    adapter = [one.text for one in found]
    template = templated(service.engine, examples, known.max_new_tokens, known.batch_size)
    scores = [
        [max(f1(text, right) for right in one.answers) for text, one in zip(said, examples, strict=True)]
        for said in (adapter, template)
    ]  # fmt: skip
    mean, low, high, p = compared(*scores)
    sys.stdout.write(
        f"{len(examples)} rows, word F1: adapter {100 * np.mean(scores[0]):.1f}, chat template "
        f"{100 * np.mean(scores[1]):.1f}; difference {100 * mean:+.1f} "
        f"({100 * low:+.1f} to {100 * high:+.1f}), p = {p:.3f}\n"
    )
    for one, mine, theirs in list(zip(examples, adapter, template, strict=True))[:5]:
        sys.stdout.write(f"\n> {one.input.question}\nadapter: {mine}\ntemplate: {theirs}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
