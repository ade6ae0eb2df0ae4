"""The style of the pages beside those of the tasks."""

from __future__ import annotations

from demos.feedback import html as feedback_html
from demos.inside import html as inside_html
from demos.train import html as train_html
from demos.train import plots

CSS = plots.CSS + inside_html.CSS + train_html.CSS + feedback_html.CSS
