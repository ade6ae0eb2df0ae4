"""One adapter from several runs of a task: `python -m benchmarks.average_adapters RUN RUN … --output RUN`.

The mean of what each adds to the backbone's matrices, in the nearest matrices of rank `--rank` (peft's
`add_weighted_adapter`, by singular values): Wortsman et al. 2022, "Model soups", arXiv 2203.05482, for LoRA.
`ship_adapters` then scores it and makes its passport anew.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

import peft
from transformers import AutoModelForCausalLM

from core import store
from core.adapters.configuration import configuration_hash
from core.adapters.passport import (
    CONFIGURATION,
    PASSPORT,
    WEIGHTS,
    read_values,
    seal_of,
    weights_hash,
)
from core.adapters.routing import quiet
from core.backbone import catalogue

MEAN = "mean"


def average(backbone: str, folders: list[Path], rank: int, output: Path) -> None:
    """The mean of the adapters in `folders`, in `output`."""
    model = AutoModelForCausalLM.from_pretrained(backbone)
    names = [f"run{number}" for number in range(len(folders))]
    with quiet():
        averaged = peft.PeftModel.from_pretrained(model, str(folders[0]), adapter_name=names[0])
        for name, folder in zip(names[1:], folders[1:], strict=True):
            averaged.load_adapter(str(folder), adapter_name=name)
        shares = [1 / len(names)] * len(names)
        averaged.add_weighted_adapter(names, shares, MEAN, combination_type="svd", svd_rank=rank)
    with store.new_folder(output) as folder:
        shutil.copytree(folders[0], folder, dirs_exist_ok=True)
        averaged.save_pretrained(
            str(folder / "made"), selected_adapters=[MEAN], save_embedding_layers=False
        )
        for name in (WEIGHTS, CONFIGURATION):
            (folder / "made" / MEAN / name).replace(folder / name)
        shutil.rmtree(folder / "made")
    hashes = {
        "weights_hash": weights_hash(output),
        "configuration_hash": configuration_hash(output),
    }
    values = {**read_values(output), **hashes}
    store.write_json(output / PASSPORT, {**values, "seal": seal_of(values)})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+", help="folders with an adapter in them")
    parser.add_argument("--backbone", required=True, help="a name of the catalogue, or a folder")
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--output", type=Path, required=True, help="a run, as finetune leaves it")
    known = parser.parse_args()
    folders = [run / "adapter" for run in known.runs]
    average(catalogue.resolve(known.backbone), folders, known.rank, known.output / "adapter")
    sys.stdout.write(f"{known.output / 'adapter'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
