"""Make trained adapters ready to ship: `python benchmarks/ship_adapters.py smollm2 --runs runs/adapters`.

Weights are stored in fp16, passports are made anew with the hashes of the rows that were learned, and
the folders lie under `--output` as `BACKBONE/TASK`. A further pass that is whole is taken before the first.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

from safetensors.torch import load_file, save_file

import apps
from benchmarks.train_adapters import PASSES
from core import backbone as backbones
from core import store
from core.adapters.passport import PASSPORT, WEIGHTS, read_values, seal_of, weights_hash
from core.backbone import catalogue
from core.service import Service
from finetune.workflows import renewing


def halve(folder: Path) -> None:
    """Weights in fp16, and a passport whose hash is theirs: a rounding that scores are measured after."""
    tensors = {name: tensor.half() for name, tensor in load_file(folder / WEIGHTS).items()}
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    values = {**read_values(folder), "weights_hash": weights_hash(folder)}
    store.write_json(folder / PASSPORT, {**values, "seal": seal_of(values)})


def ship(service: Service, run: Path, rows: list[Path], target: Path) -> Path:
    """The adapter of a run as it is shipped."""
    with store.new_folder(target) as folder:
        shutil.copytree(run / "adapter", folder, dirs_exist_ok=True)
    halve(target)
    renewing.renew(service, target, [str(path) for path in rows], from_base=True)
    return target


def publish(folder: Path, target: Path, runs: Path) -> None:
    """A copy that says nothing of where the `runs` of its backbone lay on this machine."""
    with store.new_folder(target) as copy:
        shutil.copytree(folder, copy, dirs_exist_ok=True)
    values = json.loads((target / PASSPORT).read_bytes())
    for source in values.get("learned", ()):
        source["sources"] = [_below_rows(Path(one)) for one in source["sources"]]
    store.write_json(target / PASSPORT, {**values, "seal": seal_of(values)})
    card = target / "README.md"
    card.write_text(card.read_text(encoding="utf-8").replace(f"{runs.absolute()}/", ""), "utf-8")


def _below_rows(path: Path) -> str:
    """`further/rows/spam/0-sms_spam.jsonl`, from the folder of the backbone's runs on."""
    parts = path.parts
    if "rows" not in parts:
        return "/".join(("rows", *parts[-2:]))
    place = parts.index("rows")
    start = place - (parts[place - 1] in PASSES)
    return "/".join(parts[start:])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("backbone")
    parser.add_argument("--runs", type=Path, default=Path("runs/adapters"))
    parser.add_argument("--output", type=Path, default=Path("runs/shipped"))
    parser.add_argument("--tasks", nargs="*", help="default: all whose runs are whole")
    parser.add_argument("--publish", action="store_true", help="copy into the package as well")
    known = parser.parse_args()
    tasks = {name: apps.load(name) for name in apps.names()}
    service = Service(backbones.load(catalogue.resolve(known.backbone)), tasks)
    for task in known.tasks or tasks:
        runs = known.runs / known.backbone
        passes = [runs / name for name in PASSES]
        whole = [one for one in passes if (one / task / "adapter" / PASSPORT).is_file()]
        if not whole:
            continue
        rows = sorted((whole[-1] / "rows" / task).glob("*.jsonl"))
        made = ship(service, whole[-1] / task, rows, known.output / known.backbone / task)
        if known.publish:
            publish(made, store.SHIPPED / "adapters" / known.backbone / task, runs)
        sys.stdout.write(f"{made}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
