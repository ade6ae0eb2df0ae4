"""Every command by its name. Thin, and imports nothing heavy before a command needs it."""

from __future__ import annotations

import os
import sys
from typing import Any, NoReturn

import typer
from typer.core import TyperCommand

from commands import (
    answering,
    backbones,
    benching,
    calibrating,
    evaluating,
    failures,
    feedback,
    keeping,
    leaking,
    options,
    promoting,
    serving,
    training,
)
from core.errors import QuintetError, Stopped

KEYS = {"allow_extra_args": True, "ignore_unknown_options": True}
"""For commands that take every key of their settings, or every field of a task, as a flag."""


class OfTask(TyperCommand):
    """A command that takes a task; its help lists those there are, a sixth included."""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        import apps

        with formatter.section("Tasks"):
            formatter.write_dl([(name, apps.load(name).description) for name in apps.names()])


def _group(about: str) -> typer.Typer:
    return typer.Typer(
        help=about,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )


app = _group("One GPT, five skills: generation, sentiment, spam, translation, questions.")
app.command()(training.quickstart)
app.command(cls=OfTask, context_settings=KEYS)(training.finetune)
app.command(cls=OfTask)(evaluating.evaluate)
app.command(cls=OfTask)(calibrating.calibrate)
app.command(cls=OfTask, context_settings=KEYS)(answering.predict)
app.command(cls=OfTask)(answering.demo)
app.command()(serving.serve)
tokenizer = _group("From raw text to a tokenizer.")
tokenizer.command("train")(training.train_tokenizer)
app.add_typer(tokenizer, name="tokenizer")
app.command(context_settings=KEYS)(training.pretrain)
backbone = _group("The shared GPT: known ones, fetched once; any other is given to --backbone.")
backbone.command("list")(backbones.list_backbones)
backbone.command("get")(backbones.get_backbone)
backbone.command("show")(backbones.show_backbone)
backbone.command("use")(backbones.use_backbone)
backbone.command("remove")(backbones.remove_backbone)
app.add_typer(backbone, name="backbone")
data = _group("Look at data before learning from it.")
data.command("check")(keeping.check_data)
data.command("leak")(leaking.leak_data)
app.add_typer(data, name="data")
adapters = _group("What is served, and whether it fits.")
adapters.command("list")(keeping.list_adapters)
adapters.command("show")(keeping.show_adapter)
adapters.command("verify")(keeping.verify_adapters)
adapters.command("renew")(keeping.renew_adapters)
adapters.command("install")(keeping.install_adapter)
adapters.command("remove")(keeping.remove_adapter)
adapters.command("promote")(promoting.promote)
adapters.command("rollback")(promoting.rollback)
app.add_typer(adapters, name="adapters")
said = _group("What people said of the answers, as rows to learn from.")
said.command("list")(feedback.list_feedback)
said.command("export")(feedback.export_feedback)
said.command("delete")(feedback.delete_feedback)
app.add_typer(said, name="feedback")
bench = _group("Ours beside what one would write instead, on this machine.")
bench.command("finetune")(benching.bench_finetune)
bench.command("pretrain")(benching.bench_pretrain)
bench.command("serve")(benching.bench_serve)
bench.command("memory")(benching.bench_memory)
bench.command("load")(benching.bench_load)
app.add_typer(bench, name="bench")
app.command()(keeping.doctor)


def main() -> None:
    """Run the command; every failure is one line on stderr and a non-zero exit code."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    if not sys.stderr.isatty():
        os.environ.setdefault("TQDM_DISABLE", "1")  # bars of libraries, in a log
    try:
        arguments = options.gathered(sys.argv[1:])
        # What typer.Exit carries comes back as a number.
        sys.exit(app(arguments, prog_name="quintet", standalone_mode=False))
    except Stopped as stop:
        _fail(str(stop) if os.environ.get("RANK", "0") == "0" else "", 130)
    except QuintetError as error:
        _fail(f"error: {error}", 2)
    except KeyboardInterrupt:
        _fail("Stopped.", 130)
    except BrokenPipeError:  # `quintet … | head`: nobody reads on
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(141)
    except Exception as error:
        line = failures.said(error)
        if line is None:
            raise
        if line.startswith("Usage:"):  # nothing was asked for: the help
            print(line)
            sys.exit(0)
        _fail(f"error: {line}", 2)


def _fail(message: str, code: int) -> NoReturn:
    if message:
        print(options.printable(" ".join(message.split())), file=sys.stderr)
    sys.exit(code)
