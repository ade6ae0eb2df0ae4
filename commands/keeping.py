"""Commands that look and tidy: data check, adapters, doctor."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from commands.options import (
    AnsweringDtype,
    BackboneName,
    ColumnMap,
    Data,
    Encoding,
    Json,
    Labels,
    Limit,
    all_tasks,
    console,
    dumped,
    mapping,
    name_of_backbone,
    open_service,
    open_tokenizer,
    printable,
    served,
    the_task,
)  # fmt: skip
from core.errors import QuintetError


def check_data(
    file: Annotated[str, typer.Argument(metavar="FILE|DIR|HUB_ID")],
    task: Annotated[str, typer.Option("--task", metavar="TASK")],
    column_map: ColumnMap = "",
    labels: Labels = "",
    encoding: Encoding = None,
    split: Annotated[str, typer.Option()] = "train",
    backbone: BackboneName = None,
) -> None:
    """Name every row that cannot be used, and say what the others hold."""
    from finetune.workflows import checking

    tokenizer, length = open_tokenizer(backbone)
    found = checking.check(
        the_task(task),
        file,
        tokenizer,
        length,
        split=split,
        columns_map=mapping(column_map, labels, encoding),
    )
    for line in found.lines:
        typer.echo(printable(line))
    raise typer.Exit(0 if found.good else 1)


def list_adapters(as_json: Json = False) -> None:
    """Every adapter that can be served; which one is, and which were taken back."""
    from commands import adapter_table

    found = adapter_table.listed(all_tasks())
    if as_json:
        typer.echo(dumped(found))
    else:
        console().print(adapter_table.drawn(found))
        for line in adapter_table.broken(found):
            typer.echo(printable(line), err=True)


def show_adapter(
    name: Annotated[str, typer.Argument(metavar="TASK[@VERSION]|DIR")],
    backbone: BackboneName = None,
) -> None:
    """The passport of an adapter."""
    from core.adapters.passport import read_passport

    folder = Path(name) if Path(name).is_dir() else served(name, backbone)
    typer.echo(dumped({"folder": str(folder), **read_passport(folder).model_dump()}))


def verify_adapters(
    names: Annotated[list[str] | None, typer.Argument(metavar="TASK[@VERSION]|DIR")] = None,
    data: Data = None,
    column_map: ColumnMap = "",
    labels: Labels = "",
    encoding: Encoding = None,
    limit: Limit = None,
    backbone: BackboneName = None,
    as_json: Json = False,
    dtype: AnsweringDtype = "auto",
) -> None:
    """Compute every hash of the passports again; refuse what does not fit."""
    from finetune.workflows import verifying

    layout, found = mapping(column_map, labels, encoding), {}
    service = open_service(backbone, "cpu", dtype)
    names = names or [name for name in service.tasks if service.served(name)]
    broken: dict[str, QuintetError] = {}
    for name in names:
        folder = Path(name) if Path(name).is_dir() else service.find(name)
        try:
            found[name] = verifying.verify(
                service, folder, data or (), columns_map=layout, limit=limit
            )
        except QuintetError as error:
            broken[name] = error
            continue
        if not as_json:
            facts = "; ".join(f"{key} {value}" for key, value in found[name].items())
            typer.echo(f"{name} fits: {facts}")
    if as_json:
        typer.echo(dumped(found))
    _refuse(broken)


def _refuse(broken: Mapping[str, QuintetError]) -> None:
    """A line each, the last of them by the error that ends the command."""
    *others, last = broken.items() or [("", None)]
    for name, error in others:
        typer.echo(printable(f"{name}: {error}"), err=True)
    if last[1]:
        raise last[1]


def renew_adapters(
    names: Annotated[list[str], typer.Argument(metavar="TASK[@VERSION]|DIR")],
    data: Data = None,
    column_map: ColumnMap = "",
    labels: Labels = "",
    encoding: Encoding = None,
    limit: Limit = None,
    from_base: Annotated[
        bool,
        typer.Option("--from-base", help="It began from the bare backbone, with --data alone."),
    ] = False,
    backbone: BackboneName = None,
) -> None:
    """Give adapters new passports where you know that backbone and prompt are those they learned with.

    Metrics and origin stay. With --data, its training rows, an adapter can be searched for scored
    rows. Refused where the weights do not fit the backbone, or were altered.
    """
    from finetune.workflows import renewing

    layout = mapping(column_map, labels, encoding)
    service = open_service(backbone, "cpu")
    for name in names:
        folder = Path(name) if Path(name).is_dir() else service.find(name)
        passport = renewing.renew(
            service,
            folder,
            data or (),
            columns_map=layout,
            limit=limit,
            from_base=from_base,
        )
        typer.echo(f"{folder}: {passport.task} on {passport.backbone}, sealed {passport.seal}")


def install_adapter(run: Annotated[Path, typer.Argument(metavar="RUN")]) -> None:
    """Serve the adapter of a run; earlier versions stay."""

    from core.adapters import registry

    typer.echo(registry.install(run))


def remove_adapter(
    name: Annotated[str, typer.Argument(metavar="TASK@VERSION")], backbone: BackboneName = None
) -> None:
    """Take an installed version off the disk; the shipped adapter stays."""
    from core.adapters import registry

    typer.echo(f"removed {registry.remove(name, name_of_backbone(backbone))}")


def doctor(as_json: Json = False) -> None:
    """What this machine has, what is installed, what is missing."""
    from commands import doctor

    found = doctor.facts(all_tasks())
    typer.echo(dumped(found) if as_json else "\n".join(f"{k}: {v}" for k, v in found.items()))
