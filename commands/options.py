"""Options that commands share, and what they open."""

from __future__ import annotations

import json
import re
import shlex
import sys
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from core import imports, opening
from core.errors import BadSetting

if TYPE_CHECKING:
    from rich.console import Console

    from core.backbone import Dtype
    from core.engine.engine import Engine
    from core.engine.sampling import Sampling
    from core.service import Service
    from core.task import Task
    from finetune.data import Layout

TaskName = Annotated[str, typer.Argument(metavar="TASK")]
Data = Annotated[
    list[str] | None,
    typer.Option("--data", metavar="FILE|DIR|HUB_ID", help="May be given several times."),
]
ColumnMap = Annotated[
    str, typer.Option("--map", metavar="OURS=THEIRS,…", help="Rename columns of the data.")
]
Labels = Annotated[
    str,
    typer.Option(
        "--labels", metavar="THEIRS,…=OURS …", help="1,2=negative 4,5=positive 3=skip; quoted."
    ),
]
Encoding = Annotated[
    str | None, typer.Option("--encoding", metavar="NAME", help="Default: told from the file.")
]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="The first so many rows.")]
Config = Annotated[
    Path | None, typer.Option("-c", "--config", metavar="FILE.yaml", help="Keys from a file.")
]
BackboneName = Annotated[
    str | None,
    typer.Option(
        "--backbone",
        metavar="NAME|DIR|FILE.gguf|HUB_ID",
        help="Default: the one that 'quintet backbone list' names so.",
    ),
]
DtypeName = Annotated[
    Literal["auto", "fp32", "bf16", "fp16"],
    typer.Option("--dtype", help="Of the backbone's weights; auto: bf16 where it is faster here."),
]
AnsweringDtype = Annotated[
    Literal["auto", "fp32", "bf16", "fp16", "int8"],
    typer.Option(
        "--dtype",
        help="Of the backbone's weights; auto: bf16 where it is faster here; int8: linear layers in "
        "int8, all else in fp32 (on CPUs).",
    ),
]
AdapterName = Annotated[
    Path | None, typer.Option("--adapter", metavar="DIR", help="Default: the one that is served.")
]
Output = Annotated[Path | None, typer.Option("--output", metavar="PATH")]
Device = Annotated[str, typer.Option("--device", help="cpu, cuda or auto.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Of everything that is drawn.")]
Host = Annotated[str, typer.Option("--host", help="The address to listen on.")]
Port = Annotated[
    int | None, typer.Option("--port", min=1, max=65_535, help="Default: the first free one.")
]
Json = Annotated[bool, typer.Option("--json", help="For machines: JSON on stdout, nothing else.")]


def console(*, stderr: bool = False, quiet: bool = False) -> Console:
    """Where people read; progress goes to stderr."""
    from rich.console import Console

    return Console(stderr=stderr, quiet=quiet, soft_wrap=True, highlight=False)


def printable(text: str) -> str:
    """What a terminal shows and nothing that it obeys: control characters as their escapes."""
    return "".join(
        one if one in "\n\t" or unicodedata.category(one) != "Cc" else f"\\x{ord(one):02x}"
        for one in text
    )


def dumped(value: Any) -> str:
    """JSON for a machine, legible to a person."""
    return json.dumps(value, ensure_ascii=False, indent=2)


def all_tasks() -> dict[str, Task[Any]]:
    """Every task by its name."""
    import apps

    return apps.usable()


def the_task(name: str) -> Task[Any]:
    """The task of that name."""
    import apps

    return apps.load(name)


def bundled(task: str, split: str) -> str:
    """The file of bundled rows."""
    import apps

    return str(apps.samples(task, split))


def bundled_if_any(task: str, split: str) -> str | None:
    """The same, or None for a task that brings no rows."""
    import apps

    found = apps.samples_if_any(task, split)
    return None if found is None else str(found)


def mapping(text: str, labels: str = "", encoding: str | None = None) -> Layout:
    """'ours=theirs,…' and '1,2=negative …' as the layout of the data."""
    from finetune.data import Layout

    pairs = [pair.partition("=") for pair in text.split(",") if pair]
    for ours, equals, theirs in pairs:
        if not (ours and equals and theirs):
            raise BadSetting(f"--map takes OURS=THEIRS pairs with commas between, not {text!r}.")
    columns = {ours.strip(): theirs.strip() for ours, _, theirs in pairs}
    return Layout(columns=columns, labels=_labels(labels), encoding=encoding)


def _labels(text: str) -> dict[str, str | None]:
    """'1,2=negative 3=skip' as what is written → our label; None is skipped."""
    found: dict[str, str | None] = {}
    for part in text.split():
        theirs, equals, ours = part.rpartition("=")
        if not (theirs and equals and ours):
            raise BadSetting(f"--labels takes 1,2=negative 4,5=positive 3=skip, not {text!r}.")
        for cell in filter(None, theirs.split(",")):
            if cell in found:
                raise BadSetting(f"--labels names {cell!r} twice.")
            found[cell] = None if ours == "skip" else ours
    return found


_FLAG = re.compile(r"--?[A-Za-z]")
"""Not -1, which is a label as well."""


def gathered(arguments: list[str]) -> list[str]:
    """The arguments, what follows --labels made one: `--labels 1=negative 5=positive`."""
    found: list[str] = []
    of_labels = False
    for argument in arguments:
        of_labels = of_labels and "=" in argument and not _FLAG.match(argument)
        if of_labels and found[-1] != "--labels":
            found[-1] += f" {argument}"
        else:
            found.append(argument)
        of_labels = of_labels or argument == "--labels" or argument.startswith("--labels=")
    return found


def sampling(temperature: float | None, **more: Any) -> Sampling:
    """Greedy without a temperature; `more` are further fields of `Sample`."""
    with imports.to_answer():  # torch comes with it
        from core.engine.sampling import Greedy, Sample

    if temperature is None:
        return Greedy()
    return Sample(temperature=temperature, **more)


def option_names(context: typer.Context) -> list[str]:
    """The options that a command has of its own, as keys are written."""
    return [
        name.lstrip("-").replace("-", "_") for one in context.command.params for name in one.opts
    ]


def typed() -> str:
    """The command as it was given, to be given again."""
    return shlex.join(["quintet", *sys.argv[1:]])


def open_engine(backbone: str | None, device: str, dtype: Dtype = "auto") -> Engine:
    """The engine on a backbone, on the device that was asked for or found."""
    _tell_fallback(backbone)
    with imports.imports_for_good(), imports.without_detection():
        return opening.open_engine(backbone, device=device, dtype=dtype)


def open_service(backbone: str | None, device: str, dtype: Dtype = "auto") -> Service:
    """All tasks on one engine, in a process that answers and does nothing else."""
    _tell_fallback(backbone)
    with imports.to_answer():
        service = opening.open_service(all_tasks(), backbone, device=device, dtype=dtype)
    if dtype == "int8":
        _tell_bits()
    return service


def open_tokenizer(backbone: str | None) -> tuple[Any, int]:
    """The tokenizer of a backbone and its context length, without the weights."""
    _tell_fallback(backbone)
    return opening.open_tokenizer(backbone)


def _tell_fallback(backbone: str | None) -> None:
    from core.backbone import catalogue

    if not backbone and (note := catalogue.fallback_note()):
        typer.echo(note, err=True)


def _tell_bits() -> None:
    from core.backbone import int8

    if int8.most_of_inputs() < 127:
        typer.echo(
            "this CPU has no VNNI, so int8 reads its inputs in 7 bits, which cost 0.9 points on SST-2; "
            "`quintet evaluate TASK --dtype int8 --against fp32` tells what it costs here",
            err=True,
        )


def served(name: str, backbone: str | None) -> Path:
    """Folder of the adapter that is served under 'task' or 'task@version'; loads no torch."""
    from core.adapters import registry

    return registry.find(name, name_of_backbone(backbone))


def name_of_backbone(backbone: str | None) -> str:
    """The name under which a backbone's adapters lie."""
    from core.backbone import catalogue
    from core.backbone.loading import must_exist, name_of

    source = catalogue.resolve(backbone)
    must_exist(Path(source), source)
    return name_of(source)
