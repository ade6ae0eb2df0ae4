"""Gradio, imported with its telemetry off: the pages take it from here."""

import os

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when gradio is imported

import gradio as gr
from gradio.components import Component
from gradio.events import api

__all__ = ["Component", "api", "gr"]
