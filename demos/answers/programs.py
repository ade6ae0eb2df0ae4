"""The same request from a program: curl, Python and the command line, ready to be copied."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from html import escape
from typing import Any

from demos import words
from demos.routes import options_name
from demos.said import Said, html, same
from demos.tasks.asking import BARE

_COPY = (
    "navigator.clipboard.writeText(this.parentElement.nextElementSibling.textContent);"
    "this.classList.add('done'); setTimeout(() => this.classList.remove('done'), 1500)"
)


Options = Mapping[str, Any]
"""What `demos.tasks.options.written` makes of the controls."""
_FLAGS = (
    "backbone",
    "max_new_tokens",
    "temperature",
    "top_p",
    "top_k",
    "repetition_penalty",
    "seed",
)
"""The options that the command has flags for."""


def programs(
    address: str, route: str, page: str, fields: Mapping[str, Any], options: Options
) -> str:
    """HTML of three listings that ask what `fields` hold; `address` is where the page was opened."""
    listings = (
        (same("curl"), curl(address, route, fields, options)),
        (same("Python"), python(address, route, fields, options)),
        (words.COMMAND, command(page, fields, options)),
    )
    how = html(words.PROGRAMS_HOW, "p", class_="quiet")
    if "stop" in options or options.get("adapter") == BARE:
        how += html(words.PROGRAMS_LEFT_OUT, "p", class_="quiet")
    return how + "".join(_listing(title, code) for title, code in listings)


def curl(address: str, route: str, fields: Mapping[str, Any], options: Options) -> str:
    """The values in their order, as gradio's own route takes them; the options are the last one."""
    body = json.dumps({"data": [*fields.values(), options]}, ensure_ascii=False)
    return (
        f"curl -s {address}gradio_api/run/{route} \\\n"
        f"  -H 'Content-Type: application/json' \\\n  -d {shlex.quote(body)}"
    )


def python(address: str, route: str, fields: Mapping[str, Any], options: Options) -> str:
    """With `gradio_client`, which comes with gradio."""
    said = {**fields, options_name(fields): dict(options)} if options else fields
    given = "".join(f"    {name}={value!r},\n" for name, value in said.items())
    return (
        "from gradio_client import Client\n\n"
        f'client = Client("{address}", verbose=False)\n'
        f'answer = client.predict(\n{given}    api_name="/{route}",\n)\nprint(answer)'
    )


def command(page: str, fields: Mapping[str, Any], options: Options) -> str:
    """The first field stands alone, the others by their names; turns are not typed."""
    adapter = options.get("adapter", page)
    task = adapter if "@" in adapter else page
    known = [(name, options[name]) for name in _FLAGS if name in options]
    (_, first), *others = [*fields.items(), *known]
    flags = [
        f"--{name.replace('_', '-')} {shlex.quote(str(value))}"
        for name, value in others
        if value not in ("", [], (), None)
    ]
    return " ".join(["quintet predict", task, shlex.quote(str(first)), *flags])


def _listing(title: Said, code: str) -> str:
    button = (
        f'<button type="button" class="copy" onclick="{escape(_COPY)}">'
        f"{html(words.COPY, class_='before')}{html(words.COPIED, class_='after')}</button>"
    )
    return f'<div class="listing"><div>{html(title)}{button}</div><pre>{escape(code)}</pre></div>'
