"""The whole of `quintet pretrain`: documents → token file → loop → a backbone and its loss plot."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from core import backbone as backbones
from core import store
from core.backbone import tokenizer as tokenizers
from core.errors import BadSetting, Busy, MissingBackbone
from core.task import Task
from finetune.data import corpus
from finetune.data.training_data import RUNS
from finetune.training import checkpoint, processes, shards
from finetune.training.language_modeling import pretrain
from finetune.workflows import progress

if TYPE_CHECKING:
    from rich.console import Console

    from finetune.settings import PretrainSettings


def run(
    settings: PretrainSettings,
    tasks: Mapping[str, Task[Any]],
    tokenizer_folder: str,
    output: Path,
    *,
    device: str,
    resume: bool,
    console: Console,
) -> None:
    """Leave `backbone/`, `log.jsonl` and `loss.png` in `output`; a finished run is never redone.

    Raises `BadSetting` for an output that holds a run which `resume` does not ask to go on with.
    """
    if not settings.data:
        raise BadSetting("No texts to learn from. Give --data DIR, or `data:` in a file as -c.")
    if shards.asked():
        raise BadSetting("Pre-training keeps the whole model in each process. Begin with torchrun.")
    if (output / "log.jsonl").is_file() and not resume:
        raise BadSetting(f"{output} holds a run. Go on with --resume, or give another --output.")
    tokenizer = _tokenizer(tokenizer_folder)
    processes.by_first(lambda: _tokenise(settings, tasks, tokenizer, output, console))
    packed = corpus.open_corpus(output / "tokens")
    backbone = backbones.create(settings.preset, tokenizer, seed=settings.seed)
    console.print(
        f"{packed.documents:,} documents, {len(packed.train):,} tokens; "
        f"{settings.preset}: {backbone.size:,} parameters"
    )
    with progress.training(console, "pre-training") as seen:
        state = pretrain(
            backbone,
            packed,
            settings,
            output,
            device=device,
            resume=resume,
            begun=lambda: _describe(settings, output, resume=resume),
            report=seen,
        )
    if not processes.first():
        return
    progress.plot_log(output / "log.jsonl", output / "loss.png")
    measured = ", ".join(f"{name} {value:.4f}" for name, value in state.metrics.items())
    console.print(
        f"{state.step} steps, {state.tokens:,} tokens, {state.seconds / 60:.0f} min: {measured}"
    )


def _tokenizer(folder: str) -> Any:
    """Of a folder or hub id; a folder of runs that is missing is not looked for on the hub."""
    if Path(folder).parent == RUNS and not Path(folder).is_dir():
        raise MissingBackbone(
            f"No tokenizer in {folder}. Train it: quintet tokenizer train --data DIR"
            f" --output {folder}, or name another as --tokenizer."
        )
    return tokenizers.load(folder)


def _describe(settings: PretrainSettings, output: Path, *, resume: bool) -> None:
    """Under the folder's lock, so that a run that began or ended meanwhile is seen."""
    if not resume and (output / "log.jsonl").is_file():
        raise Busy(f"Another process has trained in {output} meanwhile. Give another --output.")
    store.write_text(output / "config.yaml", yaml.safe_dump(settings.model_dump(mode="json")))


def _tokenise(
    settings: PretrainSettings,
    tasks: Mapping[str, Task[Any]],
    tokenizer: Any,
    output: Path,
    console: Console,
) -> None:
    """Those of a run that has checkpoints are never made anew."""
    with progress.counting(console, "tokenising") as told:
        corpus.build(
            settings.data,
            tokenizer,
            output / "tokens",
            tasks=tasks,
            seed=settings.seed,
            keep=bool(checkpoint.checkpoints(output)),
            progress=told,
        )
