"""The pages: one tab a task, everything on it drawn from the task. `quintet demo`"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from html import escape

from core.errors import BadSetting
from core.service import Service
from demos import style
from demos.door import gr
from demos.page import page

_AT_ONCE = 4
"""Requests of one page that are answered side by side; the engine takes turns between them."""

_WAITING = 64


def build(service: Service, names: Sequence[str]) -> gr.Blocks:
    """A page for each 'task' or 'task@version'; what cannot be served says why on its page."""
    if not names:
        raise BadSetting(f"No task to show; known: {', '.join(service.tasks)}.")
    blocks = gr.Blocks(title="Quintet", analytics_enabled=False)
    with blocks:
        gr.HTML(_masthead(service), elem_classes="masthead")
        if len(names) == 1:
            page(service, names[0])
        else:
            with gr.Tabs():
                for name in names:
                    with gr.Tab(_tab_label(service, name)):
                        page(service, name)
    blocks.queue(max_size=_WAITING, default_concurrency_limit=_AT_ONCE)
    return blocks


def start(
    blocks: gr.Blocks,
    *,
    port: int | None = None,
    host: str = "127.0.0.1",
    open_browser: bool = False,
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
            footer_links=["api"],
            theme=style.theme(),
            css=style.CSS,
            ssr_mode=False,
            enable_monitoring=False,
            run_history=False,  # it keeps what people typed in their browser
            mcp_server=False,
            pwa=False,
        )
    except OSError as error:
        raise BadSetting(
            f"Cannot serve on {host}:{port or 7860}: {error}. Give a free port."
        ) from error
    return str(address)


def launch(
    blocks: gr.Blocks, *, port: int | None, host: str = "127.0.0.1", open_browser: bool
) -> None:
    """Serve until Ctrl-C. Whoever wants to print the address calls `start` and `wait`."""
    start(blocks, port=port, host=host, open_browser=open_browser)
    wait(blocks)


def wait(blocks: gr.Blocks) -> None:
    """Until Ctrl-C, then end the server; gradio's own `block_thread` prints."""
    with suppress(KeyboardInterrupt):
        while blocks.is_running:
            time.sleep(0.2)
    blocks.close(verbose=False)


def _masthead(service: Service) -> str:
    backbone = service.engine.backbone
    facts = (
        f"{backbone.name} · {backbone.size / 1e6:.1f} million parameters · "
        f"context of {backbone.context:,} tokens"
    )
    return (
        "<h1>Quintet</h1>"
        '<p class="about">One GPT, a small adapter for each skill, and a score beside each.</p>'
        f'<p class="quiet">{escape(facts)}</p>'
    )


def _tab_label(service: Service, name: str) -> str:
    """The title, with the version where the name asks for one."""
    version = name.partition("@")[2]
    return service.task(name).title + (f" {version}" if version else "")
