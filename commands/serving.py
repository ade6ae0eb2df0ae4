"""`quintet serve`: the HTTP service on this machine, or with keys on a network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from commands.options import AnsweringDtype, BackboneName, Device, open_service
from core.errors import QuintetError

if TYPE_CHECKING:
    from serving.served import Served


def serve(
    tasks: Annotated[
        list[str] | None, typer.Argument(metavar="TASK[@VERSION]", help="Default: all of them.")
    ] = None,
    backbone: BackboneName = None,
    host: Annotated[str, typer.Option(help="Another than 127.0.0.1 needs a key.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 8000,
    api_key: Annotated[
        list[str] | None,
        typer.Option(
            "--api-key",
            metavar="KEY",
            help="May be given several times; or a file of keys in QUINTET_API_KEYS, one a line.",
        ),
    ] = None,
    rate: Annotated[
        int, typer.Option("--rate", min=0, help="Requests a minute of each key; 0: no limit.")
    ] = 600,
    max_tokens: Annotated[int, typer.Option(min=1, help="Of one answer.")] = 1024,
    max_batch: Annotated[int, typer.Option(min=1, help="Rows of one request.")] = 64,
    timeout: Annotated[int, typer.Option(min=1, help="Seconds of one request.")] = 60,
    manage_adapters: Annotated[
        bool, typer.Option("--manage-adapters", help="Let clients load and unload adapters.")
    ] = False,
    dtype: AnsweringDtype = "auto",
    device: Device = "auto",
) -> None:
    """Serve the tasks over HTTP: OpenAI's routes, a typed route a task, MCP. Ctrl-C or SIGTERM ends it."""
    from serving.guard import access

    keys = access.read_keys(api_key or ())
    access.check_host(host, keys)
    from serving import running
    from serving.app import build
    from serving.guard.limits import Limits
    from serving.served import Served

    limits = Limits(rate=rate, tokens=max_tokens, batch=max_batch, seconds=timeout)
    with running.bind(host, port) as bound:
        service = open_service(backbone, device, dtype)
        served = Served(service, tasks or list(service.tasks))
        _load(served, required=bool(tasks))
        service.engine.warm()
        app = build(
            served, limits=limits, keys=keys, hosts=running.hosts(host),
            manage_adapters=manage_adapters,
        )  # fmt: skip
        typer.echo(_greeting(served, running.address(bound), keys=bool(keys)))
        running.run(app, bound, limits)


def _load(served: Served, *, required: bool) -> None:
    """Load the adapters before the first request; those that were named must be there."""
    for name in served.asked:
        try:
            served.application(name)
        except QuintetError as error:
            if required:
                raise
            typer.echo(f"{name} is not served: {error}", err=True)


def _greeting(served: Served, address: str, *, keys: bool) -> str:
    models = [name for name in served.names() if "@" not in name]
    key = "-H 'Authorization: Bearer KEY' " if keys else ""
    return (
        f"Serving {', '.join(models)} on {address} (routes: {address}/docs, MCP: {address}/mcp)\n"
        f"curl {address}/v1/chat/completions {key}-H 'Content-Type: application/json' "
        f'-d \'{{"model": "{models[0]}", "messages": [{{"role": "user", "content": "Hello"}}]}}\''
    )
