"""Commands that make something: tokenizer, pretrain, finetune, quickstart."""

from __future__ import annotations

import functools
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from commands.options import (
    BackboneName,
    ColumnMap,
    Config,
    Data,
    Device,
    DtypeName,
    Encoding,
    Labels,
    Limit,
    Output,
    Seed,
    TaskName,
    all_tasks,
    bundled,
    console,
    mapping,
    open_engine,
    option_names,
    printable,
    the_task,
    typed,
)  # fmt: skip
from core import imports
from core.errors import BadSetting

if TYPE_CHECKING:
    from core.backbone import Dtype
    from finetune.data.training_data import Request, Splits
    from finetune.workflows.finetuning import Run


Test = Annotated[
    list[str] | None,
    typer.Option("--test", metavar="FILE|DIR|HUB_ID", help="Scored at the end."),
]
FromBase = Annotated[
    bool, typer.Option("--from-base", help="Begin anew, not from the served adapter.")
]
Seeds = Annotated[
    str | None,
    typer.Option("--seeds", metavar="N,N,…", help="One run a seed: mean and spread."),
]


def train_tokenizer(
    data: Data = None,
    config: Config = None,
    vocab_size: Annotated[int, typer.Option(help="Tokens in all.")] = 16_384,
    output: Annotated[Path, typer.Option("--output", metavar="DIR")] = Path("runs/tokenizer"),
) -> None:
    """Train a byte-level BPE over English and Chinese; print bytes per token of each language."""
    from core.store import check_writable, new_folder

    check_writable(output)
    if output.is_dir() and any(output.iterdir()) and not (output / "tokenizer.json").is_file():
        raise BadSetting(f"{output} holds something else than a tokenizer. Give another --output.")
    from core.backbone import tokenizer as tokenizers
    from finetune.data.corpus import documents

    train, held_out = documents(_parts(data, config), all_tasks())
    tokenizer = tokenizers.train(train, vocab_size)
    with new_folder(output) as folder:
        tokenizer.save_pretrained(folder)
    typer.echo(f"{output}: {len(tokenizer):,} tokens")
    for language, size in tokenizers.bytes_per_token(tokenizer, held_out).items():
        typer.echo(f"{language}: {size:.3f} bytes per token on held-out text")


def pretrain(
    context: typer.Context,
    data: Data = None,
    config: Config = None,
    tokenizer: Annotated[
        str, typer.Option("--tokenizer", metavar="DIR|HUB_ID", help="Trained here or anywhere.")
    ] = "runs/tokenizer",
    output: Annotated[Path, typer.Option("--output", metavar="DIR")] = Path("runs/pretrain"),
    device: Device = "auto",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint.")
    ] = False,
) -> None:
    """Pre-train a backbone from random weights. Any key may be given: --learning-rate 0.003"""
    from core.store import check_writable

    check_writable(output)
    from finetune import settings
    from finetune.training import processes
    from finetune.workflows import pretraining

    given = settings.flags(context.args)
    if data:
        given["data"] = [settings.Part.parsed(text) for text in data]
    keys = settings.read(settings.PretrainSettings, config, given, options=option_names(context))
    processes.start(device)
    pretraining.run(
        keys,
        all_tasks(),
        tokenizer,
        output,
        device=device,
        resume=resume,
        console=console(stderr=True, quiet=not processes.first()),
    )
    if processes.first():
        typer.echo(f"{output / 'backbone'}")


def finetune(
    context: typer.Context,
    task: TaskName,
    data: Data = None,
    test: Test = None,
    column_map: ColumnMap = "",
    labels: Labels = "",
    encoding: Encoding = None,
    limit: Limit = None,
    config: Config = None,
    backbone: BackboneName = None,
    output: Output = None,
    from_base: FromBase = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the last run.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be learned.")] = False,
    seeds: Seeds = None,
    install: Annotated[bool, typer.Option("--install", help="Serve the new adapter.")] = False,
    device: Device = "auto",
    dtype: DtypeName = "auto",
) -> None:
    """Fine-tune an adapter. Any key may be given: --learning-rate 2e-3 --lora.r 16"""
    from finetune import settings
    from finetune.data.training_data import Request, gather, run_folder

    given = settings.flags(context.args)
    several = _seeds(seeds) if seeds else ()
    request = Request(
        task=the_task(task),
        sources=tuple(data or [bundled(task, "train")]),
        test=tuple(test or ([] if data else [bundled(task, "test")])),
        columns_map=mapping(column_map, labels, encoding),
        limit=limit,
        settings=settings.read(
            settings.FinetuneSettings, config, given, options=option_names(context)
        ),
        output=run_folder(task, output, resume=resume),
        resume=resume,
        device=device,
        command=typed(),
    )
    splits = gather(request)  # before torch loads: bad rows are told at once
    wanted = Wanted(backbone, dtype, from_base, dry_run, several, install)
    _carry_out(request, splits, wanted)


class Wanted(NamedTuple):
    """What is to be done with a request, and on which backbone."""

    backbone: str | None
    dtype: Dtype
    from_base: bool
    dry_run: bool
    seeds: tuple[int, ...]
    install: bool


def _carry_out(request: Request[Any], splits: Splits[Any], wanted: Wanted) -> None:
    from finetune.data.inspection import remarks

    with imports.imports_for_good():
        from finetune.training import processes, shards
        from finetune.workflows import finetuning

    processes.start(request.device)
    if wanted.seeds and shards.asked():
        raise BadSetting("A backbone in shards serves one run. Give --seed, one command a seed.")
    screen = console(stderr=True, quiet=not processes.first())
    for line in remarks(request.task, splits.train):
        screen.print(printable(line), markup=False)
    engine = open_engine(wanted.backbone, request.device, wanted.dtype)
    if not wanted.from_base:
        start = finetuning.warm_start(request.task, engine, request.settings)
        request = replace(request, start=start)
    rows = finetuning.encoded(request, engine, splits)
    look = functools.partial(finetuning.look, request, engine, splits, rows=rows)
    for line in processes.by_first(lambda: look().lines()):
        screen.print(printable(line), markup=False)
    if wanted.dry_run:
        return
    if wanted.seeds:
        _each_seed(request, engine, wanted.seeds, screen, install=wanted.install)
        return
    run = finetuning.finetune(request, engine, splits, screen, rows=rows)
    if processes.first():
        _conclude(run, wanted.install)


def _conclude(run: Run, install: bool) -> None:
    """The verdict, where the report and the adapter are, and what to do next."""
    from commands.evaluating import show
    from core.adapters import registry

    made = run.passport
    show(run.results, run.folder / "report" / "report.html")
    values = ", ".join(f"{name} {value:.4f}" for name, value in made.metrics.items())
    typer.echo(f"{run.folder / 'adapter'}: {values} on {made.rows} {made.scored_on} examples")
    if install:
        typer.echo(f"installed: {registry.install(run.folder)}")
        typer.echo(f"next: quintet demo {made.task}")
    else:
        typer.echo(f"next: quintet adapters install {run.folder}")


def _seeds(text: str) -> tuple[int, ...]:
    from finetune.workflows.seeds import parsed

    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise BadSetting("--seeds runs in one process. Start it without torchrun.")
    return parsed(text)


def _each_seed(
    request: Any, engine: Any, seeds: tuple[int, ...], screen: Any, *, install: bool
) -> None:
    from core.adapters import registry
    from finetune.workflows import seeds as several

    folder, runs = several.finetune_all(request, engine, seeds, screen)
    for name, found in several.spread([run.passport.metrics for run in runs]).items():
        typer.echo(
            f"{name}: {found.mean:.4f} ± {found.deviation:.4f} "
            f"({found.lowest:.4f} to {found.highest:.4f} over {len(runs)} seeds)"
        )
    typer.echo(folder / "seeds.json")
    if install:
        seed, best = several.best_of(seeds, runs)
        typer.echo(f"installed seed {seed}, which validated best: {registry.install(best.folder)}")


def quickstart(
    no_demo: Annotated[bool, typer.Option("--no-demo", help="Stop before the pages.")] = False,
    output: Annotated[Path, typer.Option("--output", metavar="DIR")] = Path("runs"),
    backbone: BackboneName = None,
    seed: Seed = 0,
    device: Device = "auto",
    dtype: DtypeName = "auto",
) -> None:
    """Fine-tune, score and report all tasks on the bundled rows, then open the demo."""
    import apps
    from core.store import check_writable

    check_writable(output)

    engine = open_engine(backbone, device, dtype)
    from core.service import Service
    from finetune.workflows import quickstart as quick

    tasks = all_tasks()
    stories = quick.run(tasks, apps.samples, engine, output, console=console(), seed=seed)
    if no_demo:
        return
    from commands.answering import open_pages

    service, names = Service(engine.backbone, tasks), []
    for story in stories:
        name = f"{story.task.name}@quickstart"
        service.offer(name, story.run.folder / "adapter")
        names += [story.task.name, name]
    open_pages(service, names)


def _parts(data: list[str] | None, config: Path | None) -> Any:
    from finetune import settings

    if data:
        return [settings.Part.parsed(text) for text in data]
    parts = settings.read(settings.PretrainSettings, config, {}).data
    if not parts:
        raise BadSetting("No texts to learn from. Give --data DIR, or a file with `data:` as -c.")
    return parts
