"""The same request from a program: curl, Python and the command line, ready to be copied."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from html import escape
from typing import Any

from core.engine.sampling import Sample
from demos import words
from demos.said import Said, html, same
from demos.tasks.asking import Writing

_COPY = (
    "navigator.clipboard.writeText(this.parentElement.nextElementSibling.textContent);"
    "this.classList.add('done'); setTimeout(() => this.classList.remove('done'), 1500)"
)


def programs(
    address: str, route: str, page: str, fields: Mapping[str, Any], writing: Writing
) -> str:
    """HTML of three listings that ask what `fields` hold; `address` is where the page was opened."""
    listings = (
        (same("curl"), curl(address, route, fields)),
        (same("Python"), python(address, route, fields)),
        (words.COMMAND, command(page, fields, writing)),
    )
    how = html(words.PROGRAMS_HOW, "p", class_="quiet")
    if writing.sampling is not None:
        how += html(words.PROGRAMS_GREEDY, "p", class_="quiet")
    return how + "".join(_listing(title, code) for title, code in listings)


def curl(address: str, route: str, fields: Mapping[str, Any]) -> str:
    """The values in their order, as gradio's own route takes them."""
    body = json.dumps({"data": list(fields.values())}, ensure_ascii=False)
    return (
        f"curl -s {address}gradio_api/run/{route} \\\n"
        f"  -H 'Content-Type: application/json' \\\n  -d {shlex.quote(body)}"
    )


def python(address: str, route: str, fields: Mapping[str, Any]) -> str:
    """With `gradio_client`, which comes with gradio."""
    given = ", ".join(f"{name}={value!r}" for name, value in fields.items())
    return (
        "from gradio_client import Client\n\n"
        f'client = Client("{address}")\nprint(client.predict({given}, api_name="/{route}"))'
    )


def command(page: str, fields: Mapping[str, Any], writing: Writing) -> str:
    """The first field stands alone, the others by their names; turns are not typed."""
    (_, first), *others = [*fields.items(), *_written(writing)]
    flags = [
        f"--{name.replace('_', '-')} {shlex.quote(str(value))}"
        for name, value in others
        if value not in ("", [], None)
    ]
    return " ".join(["quintet predict", page.partition("@")[0], shlex.quote(str(first)), *flags])


def _written(writing: Writing) -> list[tuple[str, Any]]:
    """Of how it writes, what the command has flags for."""
    drawn = writing.sampling
    given = [("max_new_tokens", writing.max_new_tokens)]
    if isinstance(drawn, Sample):
        given += [(name, getattr(drawn, name)) for name in ("temperature", "top_p", "seed")]
    return given


def _listing(title: Said, code: str) -> str:
    button = (
        f'<button type="button" class="copy" onclick="{escape(_COPY)}">'
        f"{html(words.COPY, class_='before')}{html(words.COPIED, class_='after')}</button>"
    )
    return f'<div class="listing"><div>{html(title)}{button}</div><pre>{escape(code)}</pre></div>'
