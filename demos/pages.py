"""The pages: one tab a task, everything on it drawn from the task. `quintet demo`"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress

from starlette.middleware import Middleware

from core.errors import BadSetting
from core.service import Service
from demos import style, tabs_style
from demos.door import gr
from demos.feedback import page as feedback
from demos.files import page as files
from demos.frame import Tab, frame
from demos.inside import page as inside
from demos.naming import PLAIN, Naming
from demos.said import Said
from demos.server import LARGEST_FILE, Gate, Login
from demos.services import Services
from demos.task_words import title
from demos.tasks.page import page
from demos.train import page as train
from serving.running import hosts

TABS: tuple[Tab, ...] = (files.TAB, feedback.TAB, train.TAB, inside.TAB)
"""The pages beside those of the tasks, in the order in which they stand."""

_AT_ONCE = 4
"""Requests of one page that are answered side by side; the engine takes turns between them."""

_WAITING = 64
_THREADS = 100
"""Each answer on its way holds one while it waits for the engine."""
_SWEPT_EVERY, _KEPT_FOR = 600, 3600
"""Seconds: how often files that were sent here are looked at, and how old they may get."""


def build(service: Service, names: Sequence[str], *, naming: Naming = PLAIN) -> gr.Blocks:
    """A page for each 'task' or 'task@version', and those of `TABS`; what cannot be served says why."""
    if not names:
        raise BadSetting(f"No task to show; known: {', '.join(service.tasks)}.")
    blocks = gr.Blocks(
        title="Quintet", analytics_enabled=False, delete_cache=(_SWEPT_EVERY, _KEPT_FOR)
    )
    with blocks:
        around = frame(blocks, Services(service), naming)
        with gr.Tabs(overflow_behavior="wrap"):
            for name in names:
                with around.say(gr.Tab(), label=_title(service, name)):
                    page(around, name)
            for tab in TABS:
                with around.say(gr.Tab(elem_id=tab.name), label=tab.title):
                    tab.draw(around)
        around.words.follow(around.language)
    blocks.queue(max_size=_WAITING, default_concurrency_limit=_AT_ONCE)
    return blocks


def start(
    blocks: gr.Blocks,
    *,
    port: int | None = None,
    host: str = "127.0.0.1",
    open_browser: bool = False,
    auth: Login | None = None,
) -> str:
    """Serve in the background, at the first free port from 7860 on where none is given.

    The address to open; `blocks.close(verbose=False)` ends it. `BadSetting` if the port is taken.
    """
    try:
        _, address, _ = blocks.launch(
            server_name=host,
            server_port=port,
            inbrowser=open_browser,
            prevent_thread_lock=True,
            share=False,
            quiet=True,
            footer_links=[],  # each page lists its own calls
            theme=style.theme(),
            css=style.CSS + tabs_style.CSS,
            head=style.HEAD,
            auth=auth,
            max_file_size=LARGEST_FILE,
            max_threads=_THREADS,
            app_kwargs={
                "middleware": [Middleware(Gate, hosts=hosts(host))],
                "docs_url": None,
                "redoc_url": None,
            },
            ssr_mode=False,
            enable_monitoring=False,
            run_history=False,  # it keeps what people typed in their browser
            mcp_server=False,
            pwa=False,
            _frontend=False,  # its look at the first page gives up after 3 s on a busy machine
        )
    except OSError as error:
        raise BadSetting(
            f"Cannot serve on {host}:{port or 7860}: {error}. Give a free port."
        ) from error
    return str(address)


def launch(
    blocks: gr.Blocks,
    *,
    port: int | None,
    host: str = "127.0.0.1",
    open_browser: bool,
    auth: Login | None = None,
) -> None:
    """Serve until Ctrl-C. Whoever wants to print the address calls `start` and `wait`."""
    start(blocks, port=port, host=host, open_browser=open_browser, auth=auth)
    wait(blocks)


def wait(blocks: gr.Blocks) -> None:
    """Until Ctrl-C, then end the server; gradio's own `block_thread` prints."""
    with suppress(KeyboardInterrupt):
        while blocks.is_running:
            time.sleep(0.2)
    blocks.close(verbose=False)


def _title(service: Service, name: str) -> Said:
    """The title, with the version where the name asks for one."""
    version = name.partition("@")[2]
    named = title(service.task(name))
    return Said(*(f"{text} {version}" if version else text for text in named))
