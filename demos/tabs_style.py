"""The style of the pages beside those of the tasks."""

from __future__ import annotations

from demos import feedback_html, inside_html, plots, train_html

CSS = plots.CSS + inside_html.CSS + train_html.CSS + feedback_html.CSS
