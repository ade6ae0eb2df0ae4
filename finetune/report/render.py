"""Results → report.html, report.md, results.json and the model card."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from core import store
from core.task import Language
from finetune.report import model_card
from finetune.report.figures import canvas
from finetune.report.results import Results
from finetune.report.sections import evidence, overview, provenance, scores, training
from finetune.report.sections.document import Document, Section
from finetune.report.sections.edition import Edition

_PARTS: Final[tuple[Callable[[Edition], Section | None], ...]] = (
    overview.summary,
    scores.scores,
    scores.comparisons,
    scores.pictures,
    evidence.leaks,
    evidence.calibration,
    evidence.slices,
    evidence.mistakes,
    training.training,
    provenance.data,
    provenance.environment,
    provenance.reproduce,
    provenance.signatures,
    provenance.passport,
    overview.glossary,
)
_FOLD: Final = 300
"""Of a longer text this many characters are shown, and the rest when asked for."""
_MARKUP: Final = re.compile(r"([\\`*_{}\[\]#|~!$])")


def html(results: Results, language: Language = "en") -> str:
    """One page that asks for nothing outside of itself and runs no script."""
    edition = Edition(results, language)
    return _rendered("report.html.j2", edition, document=_document(edition, _PARTS))


def markdown(results: Results, language: Language = "en") -> str:
    """The same report as Markdown; its drawings stand in `figures/`, where `write` puts them."""
    edition = Edition(results, language)
    return _rendered("report.md.j2", edition, document=_document(edition, _PARTS))


def card(results: Results) -> str:
    """README.md of the adapter, with `model-index` in the front matter as the hub reads it."""
    edition = Edition(results, "en")
    return _rendered(
        "card.md.j2",
        edition,
        document=_document(edition, ()),
        tables=scores.scores(edition).blocks[:2],
        front=model_card.front_matter(edition),
        passport=model_card.origin(results),
        limits=model_card.limits(edition),
        results=results,
    )


def write(results: Results, folder: Path, language: Language = "en") -> Path:
    """Put report.html, report.md with its figures, results.json and the card into `folder`.

    The path of report.html.
    """
    edition = Edition(results, language)
    document = _document(edition, _PARTS)
    for figure in document.figures:
        store.write_text(folder / "figures" / f"{figure.name}.svg", canvas.alone(figure.svg))
    store.write_json(folder / "results.json", results.model_dump(mode="json"))
    store.write_text(folder / "README.md", card(results))
    text = _rendered("report.md.j2", edition, document=document)
    store.write_text(folder / "report.md", text)
    page = folder / "report.html"
    store.write_text(page, _rendered("report.html.j2", edition, document=document))
    return page


def _document(edition: Edition, parts: tuple[Callable[[Edition], Section | None], ...]) -> Document:
    results = edition.results
    made = (part(edition) for part in parts)
    banner, why = overview.warning(edition)
    return Document(
        title=edition.say("evaluation", title=edition.title),
        lead=edition.say(
            "lead",
            rows=f"{results.rows:,}",
            data=results.data,
            resamples=f"{results.resamples:,}",
        ),
        description=edition.description,
        banner=banner,
        why=why,
        verdict=overview.verdict(edition),
        caution=edition.sentences(*overview.cautions(edition)),
        sections=tuple(section for section in made if section),
        footer=edition.say("footer", created=results.created),
    )


def _rendered(template: str, edition: Edition, **values: Any) -> str:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=template.endswith(".html.j2"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters |= {"inline": _inline, "fenced": _fenced}
    text = environment.get_template(template).render(
        language=edition.language,
        say=edition.say,
        space="" if edition.language == "zh" else " ",
        direction=lambda sign: edition.say("lower" if sign == "↓" else "higher"),
        halves=_halves,
        next_table=partial(next, itertools.count(1)),
        next_figure=partial(next, itertools.count(1)),
        **values,
    )
    return text.rstrip("\n") + "\n"


def _halves(text: str) -> tuple[str, str]:
    """What is shown at once of a text, and the rest, parted at a space where there is one."""
    if len(text) <= _FOLD:
        return text, ""
    space = text.rfind(" ", _FOLD - 40, _FOLD)
    place = space + 1 if space > 0 else _FOLD
    return text[:place], text[place:]


def _inline(text: str) -> str:
    """A text as it stands, on one line of Markdown: neither tags nor markup come through."""
    safe = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    lines = _MARKUP.sub(r"\\\1", safe).splitlines()
    return "<br>".join(line.strip() for line in lines)


def _fenced(text: str) -> str:
    """A block of code, in a fence longer than any within."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"
