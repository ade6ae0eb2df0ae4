"""Commands that use an adapter: predict, demo."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, get_args

import typer

from commands import folders
from commands.fields import given, text_among
from commands.options import (
    AdapterName,
    AnsweringDtype,
    BackboneName,
    ColumnMap,
    Device,
    Encoding,
    Host,
    Json,
    Limit,
    Output,
    Port,
    Seed,
    TaskName,
    all_tasks,
    console,
    dumped,
    mapping,
    open_service,
    option_names,
    printable,
    sampling,
    the_task,
)  # fmt: skip
from core.errors import BadData, BadSetting

if TYPE_CHECKING:
    from core.application import Application, Prediction
    from core.backbone import Dtype
    from core.engine.sampling import Sampling
    from core.service import Service
    from core.task import Input, Task
    from demos.server import Login
    from finetune.data import Layout


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
    top_k: Annotated[int, typer.Option(min=0, help="Draw from so many tokens; 0: no limit.")] = 0,
    repetition_penalty: Annotated[float, typer.Option(help="Above 1: of what was written.")] = 1.0,
    seed: Seed = 0,
    max_new_tokens: Annotated[int | None, typer.Option(min=1)] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite")] = False,
    engine: Annotated[
        str, typer.Option(help="Of a folder: local, or ray (pip install 'quintet[ray]').")
    ] = "local",
    workers: Annotated[int, typer.Option(min=1, help="Processes of ray, an engine each.")] = 2,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave answers to unusable rows empty, and say why.")
    ] = False,
    as_json: Json = False,
    device: Device = "auto",
    dtype: AnsweringDtype = "auto",
) -> None:
    """Answer one text, or every row of a file or folder. Other fields by name: --passage TEXT"""
    text, flags = text_among(text, context.args)
    known = [*option_names(context), "text"]
    about = the_task(task.partition("@")[0])
    fields = given(flags, known, about, input is not None)
    if (text is None) == (input is None) or (input and not output):
        raise BadSetting("Give one text, or a file as --input and where to write it as --output.")
    opened = partial(_application, backbone, device, dtype, task, adapter)
    more = dict(top_p=top_p, top_k=top_k, repetition_penalty=repetition_penalty, seed=seed)
    drawn = Drawn(sampling(temperature, **more), max_new_tokens)
    if input and output:
        rows = Rows(
            input, output, overwrite=overwrite, skip_bad=skip_bad, limit=limit,
            columns_map=mapping(column_map, encoding=encoding),
        )  # fmt: skip
        _answer_rows(about, opened, rows, drawn, engine, workers)
    else:
        typed = sys.stdin.read() if text == "-" else str(text)
        _answer_one(opened(), typed, fields, drawn, as_json)


class Drawn(NamedTuple):
    """How the tokens of an answer are drawn, and how many there may be."""

    sampling: Sampling
    max_new_tokens: int | None


@dataclass(frozen=True)
class Rows:
    """A file or folder to answer, and where to."""

    input: Path
    output: Path
    overwrite: bool
    skip_bad: bool
    limit: int | None
    columns_map: Layout

    def options(self, drawn: Drawn) -> dict[str, Any]:
        """Those that a file and a folder have alike."""
        return {
            "columns_map": self.columns_map,
            "limit": self.limit,
            "sampling": drawn.sampling,
            "max_new_tokens": drawn.max_new_tokens,
            "overwrite": self.overwrite,
            "skip_bad": self.skip_bad,
        }


def _answer_rows(
    task: Task[Any],
    opened: Callable[[], Application[Any]],
    rows: Rows,
    drawn: Drawn,
    engine: str,
    workers: int,
) -> None:
    """All of a folder by its files, or a file; what is wrong with it is said before the backbone loads."""
    more = rows.options(drawn)
    if not rows.input.exists():
        raise BadData(f"No file or folder {str(rows.input)!r}.")
    if rows.input.is_dir():
        folders.answer_folder(
            opened, rows.input, rows.output, engine=engine, workers=workers, **more
        )
        return
    _check_files(task, rows)
    count = _whole_file(opened(), rows.input, rows.output, **more)
    typer.echo(f"{rows.output}: {count} rows")


def _answer_one(
    application: Application[Any], text: str, fields: dict[str, str], drawn: Drawn, as_json: bool
) -> None:
    """One text, as it grows where a person looks on."""
    length = drawn.max_new_tokens
    asked = application.input(text, **fields)
    if sys.stdout.isatty() and not as_json and not application.closed:
        _tell_cut(application.dropped(asked, max_new_tokens=length))
        tell_empty(_show(application.stream(asked, drawn.sampling, max_new_tokens=length)), asked)
        return
    found = next(application.predict([asked], sampling=drawn.sampling, max_new_tokens=length))
    _tell_cut(found.dropped)
    typer.echo(dumped(found.model_dump()) if as_json else printable(_shown(found)))
    tell_empty(found.text, asked)


def tell_empty(text: str, asked: Input) -> None:
    """An empty line alone would look as if nothing had happened; another choice may be what was meant."""
    if text.strip():
        return
    others = [
        f"--{name.replace('_', '-')} {value}"
        for name, field in type(asked).model_fields.items()
        for value in get_args(field.annotation)
        if isinstance(value, str) and value != getattr(asked, name)
    ]
    hint = f" Asked with {', '.join(others)} it may answer otherwise." if others else ""
    typer.echo(f"The answer is empty: the model ended it at once.{hint}", err=True)


def _tell_cut(characters: int) -> None:
    if characters:
        typer.echo(f"{characters} characters did not fit and were not read.", err=True)


def _application(
    backbone: str | None, device: str, dtype: Dtype, task: str, adapter: Path | None
) -> Application[Any]:
    """The application that the options ask for, here or in a process of Ray's."""
    return open_service(backbone, device, dtype).application(task, adapter)


def _check_files(task: Task[Any], rows: Rows) -> None:
    """What is wrong with the files is said before the backbone loads."""
    from finetune import data
    from finetune.data import columns, tables

    tables.check_output(rows.output, overwrite=rows.overwrite)
    columns.check_map(task, [str(rows.input)], "train", rows.columns_map)
    next(data.read_rows(str(rows.input), limit=1))


def _whole_file(application: Application[Any], input: Path, output: Path, **options: Any) -> int:
    from finetune.workflows import batch_prediction, progress

    with progress.counting(console(stderr=True), f"predicting {application.task.name}") as told:
        return batch_prediction.predict_file(application, input, output, progress=told, **options)


def demo(
    tasks: Annotated[list[str] | None, typer.Argument(help="Default: all of them.")] = None,
    backbone: BackboneName = None,
    host: Host = "127.0.0.1",
    port: Port = None,
    browser: Annotated[bool, typer.Option(help="Open a browser.")] = True,
    auth: Annotated[
        str | None,
        typer.Option("--auth", metavar="USER:PASSWORD", help="Needed where others can come in."),
    ] = None,
    device: Device = "auto",
    dtype: AnsweringDtype = "auto",
) -> None:
    """Open the pages: one tab a task."""
    known = all_tasks()
    for name in tasks or ():
        the_task(name.partition("@")[0])
    from demos import server

    login = server.login(host, auth)  # before the backbone loads
    server.check_port(host, port)
    service = open_service(backbone, device, dtype)
    open_pages(service, tasks or list(known), host=host, port=port, browser=browser, login=login)


def open_pages(
    service: Service,
    names: Sequence[str],
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    browser: bool = True,
    login: Login | None = None,
) -> None:
    """Serve them until Ctrl-C, and say where."""
    from commands.naming import naming
    from demos import pages

    built = pages.build(service, names, naming=naming())
    service.engine.warm()
    address = pages.start(built, host=host, port=port, open_browser=browser, auth=login)
    typer.echo(f"The pages are at {address} until Ctrl-C.")
    pages.wait(built)


def _show(texts: Iterable[str]) -> str:
    """Print what grows as it grows; the whole of it."""
    said = ""
    for text in texts:
        going_on = text.startswith(said)
        added = printable(text[len(said) :]) if going_on else f"\r{printable(text)}"
        print(added, end="", flush=True)
        said = text
    print()
    return said


def _shown(found: Prediction) -> str:
    """The answer, with probabilities where it was chosen."""
    if not found.probabilities:
        return found.text
    text = "not sure enough to answer" if found.abstained else found.text
    each = ", ".join(f"{label} {share:.3f}" for label, share in found.probabilities.items())
    return f"{text} ({each})"
