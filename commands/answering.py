"""Commands that use an adapter: predict, demo."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from commands.options import (
    AdapterName,
    BackboneName,
    ColumnMap,
    Device,
    Encoding,
    Json,
    Limit,
    Output,
    TaskName,
    console,
    dumped,
    mapping,
    open_service,
    sampling,
)  # fmt: skip
from core.errors import BadSetting

if TYPE_CHECKING:
    from core.application import Application, Prediction


def predict(
    context: typer.Context,
    task: TaskName,
    text: Annotated[str | None, typer.Argument(help="One text; - reads it from stdin.")] = None,
    input: Annotated[Path | None, typer.Option("--input", metavar="FILE")] = None,
    output: Output = None,
    adapter: AdapterName = None,
    column_map: ColumnMap = "",
    encoding: Encoding = None,
    limit: Limit = None,
    backbone: BackboneName = None,
    temperature: Annotated[float | None, typer.Option(help="Sample; else greedy.")] = None,
    top_p: Annotated[float, typer.Option(help="Mass of the tokens drawn from.")] = 0.95,
    seed: Annotated[int, typer.Option()] = 0,
    max_new_tokens: Annotated[int | None, typer.Option()] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite")] = False,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave answers to unusable rows empty, and say why.")
    ] = False,
    as_json: Json = False,
    device: Device = "auto",
) -> None:
    """Answer one text, or every row of a file. Other fields by name: --passage TEXT"""
    from finetune import settings

    drawn = sampling(temperature, top_p, seed)
    if (text is None) == (input is None) or (input and not output):
        raise BadSetting("Give one text, or a file as --input and where to write it as --output.")
    fields = settings.flags(context.args, plain=True)
    if input and output:
        _check_files(input, output, overwrite)
    application = open_service(backbone, device).application(task, adapter)
    if input and output:
        rows = _whole_file(
            application, input, output, columns_map=mapping(column_map, encoding=encoding),
            limit=limit, sampling=drawn, max_new_tokens=max_new_tokens, overwrite=overwrite,
            skip_bad=skip_bad,
        )  # fmt: skip
        typer.echo(f"{output}: {rows} rows")
        return
    asked = application.input(sys.stdin.read() if text == "-" else str(text), **fields)
    if cut := application.dropped(asked, max_new_tokens=max_new_tokens):
        typer.echo(f"{cut} characters did not fit and were not read.", err=True)
    if sys.stdout.isatty() and not as_json and not application.closed:
        _show(application.stream(asked, drawn, max_new_tokens=max_new_tokens))
        return
    found = next(application.predict([asked], sampling=drawn, max_new_tokens=max_new_tokens))
    typer.echo(dumped(found.model_dump()) if as_json else _shown(found))


def _check_files(input: Path, output: Path, overwrite: bool) -> None:
    """What is wrong with the files is said before the backbone loads."""
    from finetune import data
    from finetune.data import tables

    tables.check_output(output, overwrite=overwrite)
    next(data.read_rows(str(input), limit=1))


def _whole_file(application: Application[Any], input: Path, output: Path, **options: Any) -> int:
    from finetune.workflows import batch_prediction, progress

    with progress.counting(console(stderr=True), f"predicting {application.task.name}") as told:
        return batch_prediction.predict_file(application, input, output, progress=told, **options)


def demo(
    tasks: Annotated[list[str] | None, typer.Argument(help="Default: all of them.")] = None,
    backbone: BackboneName = None,
    host: Annotated[str, typer.Option()] = "127.0.0.1",
    port: Annotated[int | None, typer.Option()] = None,
    browser: Annotated[bool, typer.Option(help="Open a browser.")] = True,
    auth: Annotated[
        str | None,
        typer.Option("--auth", metavar="USER:PASSWORD", help="Needed where others can come in."),
    ] = None,
    device: Device = "auto",
) -> None:
    """Open the pages: one tab a task."""
    from demos import server

    known = server.login(host, auth)  # before the backbone loads
    server.check_port(host, port)
    from demos import pages

    service = open_service(backbone, device)
    names = tasks or list(service.tasks)
    for name in names:
        service.task(name)
    pages.launch(
        pages.build(service, names), host=host, port=port, open_browser=browser, auth=known
    )


def _show(texts: Iterable[str]) -> None:
    """Print what grows as it grows."""
    said = ""
    for text in texts:
        added = text[len(said) :] if text.startswith(said) else f"\r{text}"
        print(added, end="", flush=True)
        said = text
    print()


def _shown(found: Prediction) -> str:
    """The answer, with probabilities where it was chosen."""
    if not found.probabilities:
        return found.text
    text = "not sure enough to answer" if found.abstained else found.text
    each = ", ".join(f"{label} {share:.3f}" for label, share in found.probabilities.items())
    return f"{text} ({each})"
