"""Commands that make something: tokenizer, pretrain, finetune, quickstart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from commands.options import (
    BackboneName,
    ColumnMap,
    Config,
    Data,
    Device,
    Encoding,
    Labels,
    Limit,
    Output,
    TaskName,
    all_tasks,
    bundled,
    console,
    mapping,
    open_engine,
    the_task,
    typed,
)  # fmt: skip
from core.errors import BadSetting


def train_tokenizer(
    data: Data = None,
    config: Config = None,
    vocab_size: Annotated[int, typer.Option(help="Tokens in all.")] = 16_384,
    output: Annotated[Path, typer.Option("--output", metavar="DIR")] = Path("runs/tokenizer"),
) -> None:
    """Train a byte-level BPE over English and Chinese; print bytes per token of each language."""
    from core.backbone import tokenizer as tokenizers
    from core.store import new_folder
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
    device: Annotated[str, typer.Option(help="cpu, cuda or auto.")] = "auto",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint.")
    ] = False,
) -> None:
    """Pre-train a backbone from random weights. Any key may be given: --learning-rate 0.003"""
    from finetune import settings
    from finetune.training import processes
    from finetune.workflows import pretraining

    given = settings.flags(context.args)
    if data:
        given["data"] = [settings.Part.parsed(text) for text in data]
    keys = settings.read(settings.PretrainSettings, config, given)
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
    test: Annotated[
        list[str] | None,
        typer.Option("--test", metavar="FILE|DIR|HUB_ID", help="Scored at the end."),
    ] = None,
    column_map: ColumnMap = "",
    labels: Labels = "",
    encoding: Encoding = None,
    limit: Limit = None,
    config: Config = None,
    backbone: BackboneName = None,
    output: Output = None,
    from_base: Annotated[
        bool, typer.Option("--from-base", help="Begin anew, not from the served adapter.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the last run.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be learned.")] = False,
    seeds: Annotated[
        str | None,
        typer.Option("--seeds", metavar="N,N,…", help="One run a seed: mean and spread."),
    ] = None,
    install: Annotated[bool, typer.Option("--install", help="Serve the new adapter.")] = False,
    device: Device = "auto",
) -> None:
    """Fine-tune an adapter. Any key may be given: --learning-rate 0.002 --lora.r 16"""
    from finetune import settings
    from finetune.data.inspection import remarks
    from finetune.data.training_data import Request, gather, run_folder

    keys = settings.read(settings.FinetuneSettings, config, settings.flags(context.args))
    found = the_task(task)
    request = Request(
        task=found,
        sources=tuple(data or [bundled(task, "train")]),
        test=tuple(test or ([] if data else [bundled(task, "test")])),
        columns_map=mapping(column_map, labels, encoding),
        limit=limit,
        settings=keys,
        output=run_folder(task, output, resume=resume),
        resume=resume,
        device=device,
        command=typed(),
    )
    material = gather(request)  # before torch loads: bad rows are told at once
    from core.adapters import registry
    from finetune.training import processes
    from finetune.workflows import finetuning

    processes.start(device)
    screen = console(stderr=True, quiet=not processes.first())
    for line in remarks(found, material.train):
        screen.print(line, markup=False)
    engine = open_engine(backbone, device)
    if not from_base:
        request = replace(request, start=finetuning.warm_start(found, engine, keys))
    for line in processes.by_first(lambda: finetuning.look(request, engine, material).lines()):
        screen.print(line, markup=False)
    if dry_run:
        return
    if seeds:
        if processes.several():
            raise BadSetting("--seeds runs in one process. Start it without torchrun.")
        _each_seed(request, engine, seeds, screen)
        return
    run = finetuning.finetune(request, engine, material, screen)
    if not processes.first():
        return
    made = run.passport
    values = ", ".join(f"{name} {value:.4f}" for name, value in made.metrics.items())
    typer.echo(f"{run.folder / 'adapter'}: {values} on {made.rows} {made.scored_on} examples")
    if install:
        typer.echo(f"installed: {registry.install(run.folder)}")


def _each_seed(request: Any, engine: Any, seeds: str, screen: Any) -> None:
    from finetune.workflows import seeds as several

    folder, runs = several.finetune_all(request, engine, several.parsed(seeds), screen)
    for name, found in several.spread([run.passport.metrics for run in runs]).items():
        typer.echo(
            f"{name}: {found.mean:.4f} ± {found.deviation:.4f} "
            f"({found.lowest:.4f} to {found.highest:.4f} over {len(runs)} seeds)"
        )
    typer.echo(folder / "seeds.json")


def quickstart(
    no_demo: Annotated[bool, typer.Option("--no-demo", help="Stop before the pages.")] = False,
    output: Annotated[Path, typer.Option("--output", metavar="DIR")] = Path("runs"),
    backbone: BackboneName = None,
    seed: Annotated[int, typer.Option()] = 0,
    device: Device = "auto",
) -> None:
    """Fine-tune, score and report all tasks on the bundled rows, then open the demo."""
    import apps
    from finetune.workflows import quickstart as quick

    quick.run(
        all_tasks(),
        apps.samples,
        open_engine(backbone, device),
        output,
        console=console(),
        seed=seed,
    )
    if not no_demo:
        from commands.answering import demo

        demo(
            tasks=None, backbone=backbone, device=device, host="127.0.0.1", port=None, browser=True,
            auth=None,
        )  # fmt: skip


def _parts(data: list[str] | None, config: Path | None) -> Any:
    from finetune import settings

    if data:
        return [settings.Part.parsed(text) for text in data]
    parts = settings.read(settings.PretrainSettings, config, {}).data
    if not parts:
        raise BadSetting("No texts to learn from. Give --data DIR, or a file with `data:` as -c.")
    return parts
