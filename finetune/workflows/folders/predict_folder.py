"""All files of a folder answered, by this process or by several of Ray's, and summed up."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from core import store
from core.application import Application
from core.errors import BadSetting, Stopped
from finetune.data import tables
from finetune.data.reading import folders
from finetune.workflows.batch_prediction import weights_hash
from finetune.workflows.folders import on_ray, parts, summary
from finetune.workflows.folders.parts import Options, Part

EngineName = Literal["local", "ray"]
Opener = Callable[[], Application[Any]]
"""Opens the application; for Ray it is sent to other processes, which open one of their own."""

RUN = "run.json"
ANSWERS = "answers"


def predict_folder(
    opener: Opener,
    source: Path,
    output: Path,
    options: Options,
    *,
    engine: EngineName = "local",
    workers: int = 2,
    overwrite: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> summary.Summary:
    """Answer every row below `source` into `output/answers/`, and write `output/summary.md`.

    Memory does not depend on the rows. The same call goes on after a crash; `BadSetting` where
    what lies in `output` was answered by others, or from files that have changed since.
    """
    if engine == "ray":
        on_ray.must_be_installed()
    _check_output(source, output)
    found = [
        Part(source=path, output=_named(path, source, output)) for path in _files(source, output)
    ]
    application = opener()
    _begin(application, source, output, found, options, overwrite=overwrite)
    try:
        if engine == "ray":
            on_ray.answer_all(opener, found, options, workers=workers, progress=progress)
        else:
            _answer_all(application, found, options, progress)
    except KeyboardInterrupt as stop:
        raise Stopped("Stopped; the same command goes on there.") from stop
    whole = summary.summed(application.task, [part.output for part in found])
    summary.write(whole, output)
    return whole


def _answer_all(
    application: Application[Any],
    found: list[Part],
    options: Options,
    progress: Callable[[int, int], None],
) -> None:
    for number, part in enumerate(found):
        progress(number, len(found))
        parts.answer(application, part, options)
    progress(len(found), len(found))


def _check_output(source: Path, output: Path) -> None:
    """What is wrong with it is said before the backbone loads."""
    if output.is_dir():
        if source.resolve().is_relative_to(output.resolve()):
            raise BadSetting(
                f"{output} holds the rows themselves. Give another folder as --output."
            )
        return
    if output.exists() or tables.kind(output) in tables.KINDS:
        raise BadSetting(
            f"{output} is a file; the answers to a folder of files are a folder. "
            f"Give its name as --output: {output.with_name(f'{output.stem}-answers')}"
        )


def _files(source: Path, output: Path) -> list[Path]:
    inside = output.resolve()
    found = [path for path in folders.files(source) if not path.resolve().is_relative_to(inside)]
    if not found:
        raise BadSetting(f"No file of rows in {source}. Give a folder of csv, jsonl or parquet.")
    return found


def _named(path: Path, source: Path, output: Path) -> Path:
    """`answers/sub/a.csv.jsonl` for `sub/a.csv`: two files never share one."""
    return output / ANSWERS / f"{path.relative_to(source)}.jsonl"


def _begin(
    application: Application[Any],
    source: Path,
    output: Path,
    found: list[Part],
    options: Options,
    *,
    overwrite: bool,
) -> None:
    """Write down what is answered by what, or find it the same as before."""
    about = {
        "identity": _identity(application, options),
        "files": {str(part.source.relative_to(source)): _stamp(part.source) for part in found},
    }
    run = output / RUN
    if overwrite and run.is_file():
        shutil.rmtree(output / ANSWERS, ignore_errors=True)
        store.write_json(run, about)
    elif run.is_file():
        if json.loads(run.read_bytes()) != about:
            raise BadSetting(
                f"{output} holds answers of another adapter, other options or other files. "
                "Give --overwrite, or another --output."
            )
    elif output.is_dir() and any(output.iterdir()):
        raise BadSetting(f"{output} is not empty. Give another --output.")
    else:
        store.write_json(run, about)


def _stamp(path: Path) -> list[int]:
    about = path.stat()
    return [about.st_size, about.st_mtime_ns]


def _identity(application: Application[Any], options: Options) -> str:
    """Of everything that changes an answer."""
    about: list[Any] = [
        application.task.prompt_hash,
        application.engine.backbone.fingerprint,
        weights_hash(application),
        application.operating_point.model_dump(mode="json"),
        repr(options),
    ]
    return hashlib.sha256(json.dumps(about).encode()).hexdigest()
