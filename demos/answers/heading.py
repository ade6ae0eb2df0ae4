"""What stands above an answer: who answers, the verdict on it, and its report behind a fold."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt

from core.adapters import registry
from core.adapters.passport import Passport
from core.errors import QuintetError
from core.service import Service
from core.task import Task
from demos.answers import heading_words as words
from demos.answers.reached import card_of, verdict
from demos.door import gr
from demos.naming import Naming
from demos.problems import problem
from demos.said import Said, html, same
from demos.task_words import description
from demos.tasks.asking import BARE, SERVED, System

_OPENED = (
    "const f = this.open && this.querySelector('iframe');"
    "const from = f && (f.dataset[document.documentElement.lang] || f.dataset.en);"
    "if (f && f.dataset.shown !== from) fetch(from).then(r => r.text())"
    ".then(t => { f.srcdoc = t; f.dataset.shown = from; });"
)
_PICKED = "also picked the checkpoint"
"""What a card says of rows that flatter the score."""


def about(task: Task[Any]) -> str:
    """The sentence below the tab."""
    return html(description(task), "p", class_="about")


def heading(service: Service, page: str, system: System, naming: Naming) -> str:
    """Who answers and what that is worth; where nobody can, why."""
    backbone = service.engine.backbone.name
    if system.value == BARE:
        return _line(words.BARE.filled(backbone=backbone))
    try:
        name = page if system.value == SERVED else system.value
        passport, folder = service.passport(name), service.find(name)
    except QuintetError as error:
        return problem(error)
    who = words.ADAPTER.filled(name=system.said, backbone=backbone)
    return _line(who) + _score(service.task(page), folder, passport, naming)


def _line(said: Said) -> str:
    return html(said, "p", class_="quiet")


def _score(task: Task[Any], folder: Path, passport: Passport, naming: Naming) -> str:
    """The verdict opens the card; an adapter without a card shows the scores of its passport."""
    card = card_of(folder)
    found = verdict(card)
    if found is None:
        return _values(task, passport, naming)
    chip = html(found.said(naming), class_=f"chip {'good' if found.good else 'plain'}")
    picked = words.PICKED if _PICKED in card else same("")
    score = html(Said(*(f"{a}{b}" for a, b in zip(found.score(task, naming), picked, strict=True))))
    return (
        f'<details class="report" ontoggle="{escape(_OPENED)}"><summary>{chip} {score} '
        f"{html(words.REPORT, class_='link')}</summary>{_report(folder, card)}</details>"
    )


def _report(folder: Path, card: str) -> str:
    """The whole report where it came with the adapter, fetched when it is opened; else the card."""
    names, of_run = {"en": registry.REPORT, "zh": registry.REPORT_ZH}, folder.parent / "report"
    places = {language: (folder / name, of_run / name) for language, name in names.items()}
    there = {
        language: next((place for place in paths if place.is_file()), None)
        for language, paths in places.items()
    }
    if there["en"] is None:
        return f'<div class="card" lang="en">{_drawn(card)}</div>'
    gr.set_static_paths([path for path in there.values() if path])
    where = "".join(
        f' data-{language}="{escape(f"gradio_api/file={path}")}"'
        for language, path in there.items()
        if path
    )
    title = escape(f"{words.REPORT.en} · {words.REPORT.zh}")
    return f'<iframe class="card" title="{title}" sandbox=""{where}></iframe>'


def _drawn(card: str) -> str:
    """Markdown as HTML, without the header for machines; HTML in it is shown as text."""
    body = re.sub(r"\A---\n.*?\n---\n", "", card, flags=re.DOTALL)
    drawn: str = MarkdownIt("commonmark", {"html": False}).enable("table").render(body)
    # The card breaks lines within cells; that one tag is let through, and nothing else.
    return drawn.replace("&lt;br&gt;", "<br>").replace("<img", "<span")


def _values(task: Task[Any], passport: Passport, naming: Naming) -> str:
    rows = "".join(
        f"<tr><td>{html(naming.value(task, name))}</td><td>{value:.3f}</td>"
        f"<td>{_beside(passport, name)}</td></tr>"
        for name, value in passport.metrics.items()
    )
    said = words.PASSPORT.filled(
        rows=f"{passport.rows:,}", baseline=naming.baseline(passport.baseline_name or "-")
    )
    return f'<details class="report"><summary>{html(said)}</summary><table>{rows}</table></details>'


def _beside(passport: Passport, name: str) -> str:
    return f"{passport.baseline[name]:.3f}" if name in passport.baseline else "-"
