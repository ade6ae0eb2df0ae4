"""The style of the pages beside those of the tasks."""

from __future__ import annotations

from demos import charts, inside_html, train_html

CSS = charts.CSS + inside_html.CSS + train_html.CSS
