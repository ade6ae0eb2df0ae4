"""The same request from a program: curl, Python and the command line, ready to be copied."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from html import escape
from typing import Any, NamedTuple

from core.backbone import catalogue
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
_PASSWORD = "PASSWORD"
_FLAGS = (
    "backbone", "max_new_tokens", "temperature", "top_p", "top_k", "repetition_penalty", "seed"
)  # fmt: skip
"""The options that the command has flags for."""


class Door(NamedTuple):
    """Where the pages were opened, and by whom where they ask for a login."""

    address: str
    user: str = ""


def programs(door: Door, route: str, page: str, fields: Mapping[str, Any], options: Options) -> str:
    """HTML of three listings that ask what `fields` hold, as `options` say."""
    listings = (
        (same("curl"), curl(door, route, fields, options)),
        (same("Python"), python(door, route, fields, options)),
        (words.COMMAND, command(page, fields, options)),
    )
    how = html(words.PROGRAMS_HOW, "p", class_="quiet")
    if "stop" in options or options.get("adapter") == BARE:
        how += html(words.PROGRAMS_LEFT_OUT, "p", class_="quiet")
    return how + "".join(_listing(title, code) for title, code in listings)


def curl(door: Door, route: str, fields: Mapping[str, Any], options: Options) -> str:
    """The values in their order, as gradio's own route takes them; the options are the last one."""
    body = json.dumps({"data": [*fields.values(), options]}, ensure_ascii=False)
    login, cookie = "", ""
    if door.user:
        login = (
            f"curl -s -o /dev/null -c cookies.txt {door.address}login \\\n"
            f"  --data-urlencode {shlex.quote(f'username={door.user}')} -d password={_PASSWORD}\n"
        )
        cookie = "-b cookies.txt "
    return (
        f"{login}curl -s {cookie}{door.address}gradio_api/run/{route} \\\n"
        f"  -H 'Content-Type: application/json' \\\n  -d {shlex.quote(body)}"
    )


def python(door: Door, route: str, fields: Mapping[str, Any], options: Options) -> str:
    """With `gradio_client`, which comes with gradio."""
    login = f"auth={(door.user, _PASSWORD)!r}, " if door.user else ""
    said = {**fields, options_name(fields): dict(options)} if options else fields
    given = "".join(f"    {name}={value!r},\n" for name, value in said.items())
    return (
        "from gradio_client import Client\n\n"
        f'client = Client("{door.address}", {login}verbose=False)\n'
        f'answer = client.predict(\n{given}    api_name="/{route}",\n)\nprint(answer)'
    )


def command(page: str, fields: Mapping[str, Any], options: Options) -> str:
    """The first field stands alone, the others by their names; turns are not typed."""
    adapter = options.get("adapter", page)
    task = adapter if "@" in adapter else page
    known = [(name, options[name]) for name in _FLAGS if name in options]
    known = [one for one in known if one[0] != "backbone" or one[1] in catalogue.KNOWN]
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
