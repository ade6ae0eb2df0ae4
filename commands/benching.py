"""Commands that measure our training and serving beside what a person would write instead."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from commands import bench_traffic
from commands.options import (
    AnsweringDtype,
    BackboneName,
    Data,
    Json,
    all_tasks,
    bundled,
    console,
    dumped,
    open_engine,
    the_task,
)  # fmt: skip
from core.errors import BadData

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.interleaved import Measured, Order
    from benchmarks.memory import Measured as Memory
    from benchmarks.serving import Floor, Served

Rows = Annotated[int, typer.Option("--rows", min=2, help="Rows that each system learns.")]
Epochs = Annotated[int, typer.Option("--epochs", min=1)]
Rounds = Annotated[int, typer.Option("--rounds", min=1, help="Turns of each; medians are shown.")]
Precision = Annotated[
    Literal["fp32", "bf16"], typer.Option("--dtype", help="Of every system's weights.")
]
BatchSize = Annotated[int, typer.Option("--batch-size", min=1, help="Rows of one step.")]


def bench_finetune(
    task: Annotated[str, typer.Argument(metavar="[TASK]")] = "sentiment",
    data: Data = None,
    backbone: BackboneName = None,
    rows: Rows = 64,
    epochs: Epochs = 1,
    rounds: Rounds = 1,
    batch_size: BatchSize = 32,
    json: Json = False,
) -> None:
    """LoRA: ours, transformers.Trainer with peft as it comes and tuned, and TRL where installed."""
    names = ["quintet", "trainer", "trainer-tuned"]
    if importlib.util.find_spec("trl"):
        names.append("trl-packing")
    order = _lora_order(task, data, backbone, rows, epochs, batch_size)
    _compare(order, names, rounds, json)


def bench_pretrain(
    data: Data = None,
    backbone: BackboneName = None,
    preset: Annotated[str, typer.Option("--preset", help="Shape of the random backbone.")] = "mini",
    rows: Rows = 64,
    length: Annotated[int, typer.Option("--length", min=8, help="Tokens of a sequence.")] = 128,
    epochs: Epochs = 1,
    rounds: Rounds = 1,
    batch_size: BatchSize = 8,
    compiled: Annotated[
        bool, typer.Option("--torch-compile", help="Compile ours and the tuned Trainer.")
    ] = False,
    json: Json = False,
) -> None:
    """Pre-training from random weights: ours and the Trainer; the first step does not count."""
    from benchmarks.interleaved import Order

    folder = _folder(backbone)
    packed = _packed(data or [bundled(name, "train") for name in all_tasks()], folder, length, rows)
    order = Order(
        workload="pretrain",
        backbone=preset,
        tokenizer=folder,
        rows=packed,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=1e-3,
        compiled=compiled,
    )
    _compare(order, ["quintet", "trainer", "trainer-tuned"], rounds, json)


def bench_serve(
    backbone: BackboneName = None,
    traffic: Annotated[
        str, typer.Option("--traffic", help=f"{', '.join(bench_traffic.KINDS)}.")
    ] = "mixed",
    rows: Annotated[int, typer.Option("--rows", min=1, help="Requests of each task.")] = 4,
    length: Annotated[
        int, typer.Option("--length", min=1, help="Tokens that a free answer has at most.")
    ] = 32,
    precision: Precision = "fp32",
    rounds: Rounds = 3,
    json: Json = False,
) -> None:
    """Serving: ours, peft, CTranslate2 and transformers' decision pipeline, where they can answer."""
    from benchmarks import serving
    from finetune.workflows import progress

    folder = _folder(backbone)
    adapters, asked = bench_traffic.build(traffic, folder, rows, length)
    least, entered = serving.floor(folder, precision), serving.entered(asked, precision)
    with progress.counting(console(stderr=True, quiet=json), "turns") as told:
        served = serving.compare(
            folder,
            adapters,
            asked,
            names=entered.names,
            precision=precision,
            rounds=rounds,
            told=told,
        )
    if json:
        typer.echo(dumped({"floor": vars(least), "systems": [vars(one) for one in served]}))
        return
    _show_served(least, served, sum(map(len, asked)))
    for line in entered.notes:
        typer.echo(line)


def bench_memory(
    task: Annotated[str, typer.Argument(metavar="[TASK]")] = "sentiment",
    data: Data = None,
    backbone: BackboneName = None,
    json: Json = False,
) -> None:
    """Memory of loading, in each dtype, and of a training step beside its forecast."""
    from benchmarks import memory
    from finetune.workflows import progress

    the_task(task)
    source = (data or [bundled(task, "train")])[0]
    folder, found = _folder(backbone), []
    with progress.counting(console(stderr=True, quiet=json), "dtypes") as told:
        for number, dtype in enumerate(("fp32", "bf16")):
            found.append(memory.measure(folder, dtype, task, str(Path(source).absolute())))
            told(number + 1, 2)
    if json:
        typer.echo(dumped([vars(one) for one in found]))
        return
    _show_memory(found)


def _show_memory(found: Sequence[Memory]) -> None:
    from rich.table import Table

    table = Table("", "weights", "loading", "stays", "batch", "forecast", "training", box=None)
    for one in found:
        table.add_row(
            one.dtype,
            f"{one.weights / 2**20:,.0f} MiB",
            f"{one.loading / one.weights:.2f} ×",
            f"{one.loaded / one.weights:.2f} ×",
            one.batch,
            f"{one.forecast / 2**20:,.0f} MiB",
            f"{one.training / 2**20:,.0f} MiB ({one.training / one.forecast:.2f} ×)",
        )
    console().print(table)


def bench_load(
    backbone: BackboneName = None,
    clients: Annotated[int, typer.Option("--clients", min=1)] = 200,
    each: Annotated[int, typer.Option("--each", min=1, help="Requests of each client.")] = 5,
    rows: Annotated[int, typer.Option("--rows", min=1, help="Different ones of each task.")] = 4,
    length: Annotated[
        int, typer.Option("--length", min=1, help="Tokens that a free answer has at most.")
    ] = 16,
    dtype: AnsweringDtype = "fp32",
    json: Json = False,
) -> None:
    """Many clients at once against the HTTP service: latency, refusals, memory, answers."""
    from benchmarks import load

    asked = bench_traffic.bodies(_folder(backbone), rows, length)
    found = load.measure(_folder(backbone), asked, clients=clients, each=each, dtype=dtype).row()
    if json:
        typer.echo(dumped(found))
        return
    for name, value in found.items():
        typer.echo(f"{name.replace('_', ' '):<16}{value:>10,.2f}".removesuffix(".00"))


def _show_served(least: Floor, served: Sequence[Served], requests: int) -> None:
    from rich.table import Table

    typer.echo(
        f"Floor: {least.weights / 2**20:,.0f} MiB of weights a step at "
        f"{least.bandwidth / 1e9:.1f} GB/s, {least.steps:,.0f} steps/s; "
        f"{least.flops / 1e9:,.0f} GFLOP/s for prompts."
    )
    table = Table("", "same answers", "tok./s", "s", "processor s", "times slower", box=None)
    for one in served:
        table.add_row(
            one.name,
            f"{one.same}/{requests}",
            f"{one.tokens / one.seconds:,.0f}",
            f"{one.seconds:.2f}",
            f"{one.processor_seconds:.2f}",
            f"{one.seconds / served[0].seconds:.2f}",
        )
    console().print(table)


def _lora_order(
    task: str, data: list[str] | None, backbone: str | None, rows: int, epochs: int, batch: int
) -> Order:
    from benchmarks.interleaved import Order
    from finetune.data.examples import read_examples
    from finetune.settings import FinetuneSettings
    from finetune.training import dry_run, learning_rate

    engine = open_engine(_folder(backbone), "cpu", "fp32")
    settings = learning_rate.fitted(FinetuneSettings(), engine.backbone)
    found = the_task(task)
    sources = data or [bundled(task, "train")]
    examples = read_examples(found, sources, limit=rows).examples[:rows]
    encoded = dry_run.learnable(dry_run.encode(found, examples, engine.backbone, settings), 1.0)
    return Order(
        workload="finetune",
        backbone=_folder(backbone),
        rows=[row.input_ids for row in encoded],
        starts=[row.answer_start for row in encoded],
        epochs=epochs,
        batch_size=batch,
        learning_rate=settings.learning_rate,
    )


def _folder(backbone: str | None) -> str:
    """What every system loads in its own process, wherever that works; without a name the shipped one."""
    from core.backbone import catalogue

    found = Path(catalogue.resolve(backbone or catalogue.SHIPPED))
    return str(found.absolute() if found.exists() else found)


def _packed(sources: Sequence[str], tokenizer: str, length: int, rows: int) -> list[list[int]]:
    """The rows of the data one after another, cut into sequences."""
    from core.backbone import tokenizer as tokenizers
    from finetune.data import read_rows

    made: Any = tokenizers.load(tokenizer)
    ids: list[int] = []
    for source in sources:
        for row in read_rows(source, split="train"):
            values = getattr(row, "row", {}).values()
            text = " ".join(value for value in values if isinstance(value, str))
            ids += [made.eos_token_id, *made(text, add_special_tokens=False)["input_ids"]]
            if len(ids) >= rows * length:
                return [ids[n * length : (n + 1) * length] for n in range(rows)]
    raise BadData(
        f"The data hold {len(ids):,} tokens, fewer than {rows} x {length}. Lower --rows or --length."
    )


def _compare(order: Order, names: list[str], rounds: int, json: bool) -> None:
    from benchmarks import interleaved
    from finetune.workflows import progress

    with progress.counting(console(stderr=True, quiet=json), "systems") as told:
        found = interleaved.compare(order, names, rounds=rounds, told=told)
    if json:
        typer.echo(dumped([one.row() for one in found]))
        return
    _show(found)
    for other in found[1:]:
        same = "agrees" if interleaved.agree(found[0], other) else "DIFFERS"
        ratio = other.seconds / found[0].seconds
        typer.echo(f"{ratio:.2f} times as fast as {other.name}; the loss {same}")


def _show(found: Sequence[Measured]) -> None:
    from rich.table import Table

    table = Table("", "ex./s", "tok./s", "peak MiB", "MFU", "loss", "s", box=None)
    for one in found:
        row = one.row()
        table.add_row(
            one.name,
            f"{row['examples_per_second']:.1f}",
            f"{row['tokens_per_second']:,.0f}",
            f"{row['peak_memory_mib']:,.0f}",
            f"{one.flops_utilization:.0%}",
            f"{one.before:.3f} → {one.after:.3f}",
            f"{one.seconds:.1f}",
        )
    console().print(table)
