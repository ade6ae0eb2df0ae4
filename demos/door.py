"""Gradio, imported with its telemetry off: the pages take it from here."""

import os
from typing import Any

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when gradio is imported

import gradio as gr
from gradio.components import Component
from gradio.context import Context
from gradio.events import api

__all__ = ["Component", "api", "gr", "here"]


def here() -> gr.Tab:
    """The tab that is being drawn, for whoever wants to know when it is shown."""
    block: Any = Context.block
    return block
