"""The front door: `quintet COMMAND`. Thin, and imports nothing heavy before a command needs it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from core.errors import BadSetting, QuintetError

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(
    name="quintet",
    help="One GPT, five skills: generation, sentiment, spam, translation, questions and answers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
tokenizer_app = typer.Typer(help="From raw text to a tokenizer.", no_args_is_help=True)
app.add_typer(tokenizer_app, name="tokenizer")

KEYS = {"allow_extra_args": True, "ignore_unknown_options": True}
"""Commands that take every key of their settings as a flag."""

Data = Annotated[
    Optional[list[str]],
    typer.Option("--data", metavar="FILE|DIR|HUB_ID", help="May be given several times."),
]
Config = Annotated[
    Optional[Path], typer.Option("-c", "--config", metavar="FILE.yaml", help="Keys from a file.")
]
Output = Annotated[Optional[Path], typer.Option("--output", metavar="DIR")]


def console(*, stderr: bool = False) -> Console:
    """Where people read; errors and progress go to stderr."""
    from rich.console import Console

    return Console(stderr=stderr, soft_wrap=True, highlight=False)


@tokenizer_app.command("train")
def train_tokenizer(
    data: Data = None,
    config: Config = None,
    vocab_size: Annotated[int, typer.Option(help="Tokens in all.")] = 16_384,
    output: Annotated[Path, typer.Option("--output", metavar="DIR")] = Path("runs/tokenizer"),
) -> None:
    """Train a byte-level BPE over English and Chinese; print bytes per token of each language."""
    from core import tokenizer as tokenizers
    from core.store import new_folder
    from finetune.corpus import documents

    train, held_out = documents(_parts(data, config), _tasks())
    tokenizer = tokenizers.train(train, vocab_size)
    with new_folder(output) as folder:
        tokenizer.save_pretrained(folder)
    typer.echo(f"{output}: {len(tokenizer):,} tokens")
    for language, size in tokenizers.bytes_per_token(tokenizer, held_out).items():
        typer.echo(f"{language}: {size:.3f} bytes per token on held-out text")


@app.command(context_settings=KEYS)
def pretrain(
    context: typer.Context,
    data: Data = None,
    config: Config = None,
    tokenizer: Annotated[
        str, typer.Option("--tokenizer", metavar="DIR|HUB_ID", help="Trained here or anywhere.")
    ] = "runs/tokenizer",
    output: Annotated[Path, typer.Option("--output", metavar="DIR")] = Path("runs/pretrain"),
    device: Annotated[str, typer.Option(help="cpu, cuda or auto.")] = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")] = False,
) -> None:
    """Pre-train a backbone from random weights. Any key may be given: --learning-rate 0.003"""
    from finetune import pretraining, settings

    given = settings.flags(context.args)
    if data:
        given["data"] = [settings.Part.parsed(text) for text in data]
    keys = settings.read(settings.PretrainSettings, config, given)
    pretraining.run(
        keys, _tasks(), tokenizer, output, device=device, resume=resume, console=console(stderr=True)
    )
    typer.echo(f"{output / 'backbone'}")


def _parts(data: list[str] | None, config: Path | None) -> Any:
    from finetune import settings

    if data:
        return [settings.Part.parsed(text) for text in data]
    parts = settings.read(settings.PretrainSettings, config, {}).data
    if not parts:
        raise BadSetting("No texts to learn from. Give --data DIR, or a file with `data:` as -c.")
    return parts


def _tasks() -> dict[str, Any]:
    import apps

    return {name: apps.load(name) for name in apps.names()}


def main() -> None:
    """Run the command; every failure is one line on stderr and a non-zero exit code."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    try:
        app(standalone_mode=False)
    except typer.Exit as stop:
        sys.exit(stop.exit_code)
    except QuintetError as error:
        _fail(f"error: {error}", 2)
    except KeyboardInterrupt as stop:
        _fail(str(stop) or "Stopped.", 130)
    except Exception as error:
        if not hasattr(error, "format_message"):  # click's own: a wrong option or argument
            raise
        _fail(f"error: {error.format_message()}", 2)


def _fail(message: str, code: int) -> None:
    print(" ".join(message.split()), file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
