"""Feedback as HTML: the rows, the versions of an adapter, and what a promotion was decided on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from core.adapters import registry
from core.adapters.passport import read_passport
from core.errors import QuintetError
from core.feedback.entries import Entry
from core.task import Task
from demos import problems
from demos.answers.reached import reached
from demos.feedback import words
from demos.naming import Naming
from demos.said import Said, html, same
from demos.task_words import title_of
from demos.train.plots import number

CSS = """
.thumbs { align-items: center; gap: .5rem; }
.feedback h3 { margin: 1.2rem 0 .2rem; font-size: 1.15rem; }
.feedback .scroll { overflow-x: auto; max-height: 30rem; }
.feedback .scroll table { border-collapse: collapse; width: 100%; font-size: .875rem; border: 0; margin: 0; }
.feedback .scroll th, .feedback .scroll td, .feedback .scroll tr { border: 0; }
.feedback .scroll tbody td { border-top: 1px solid var(--border-color-primary); }
.feedback .scroll th, .feedback .scroll td { padding: .35rem .9rem .35rem 0; text-align: left;
  font-weight: 400; vertical-align: top; }
.feedback td.text { min-width: 12rem; max-width: 26rem; overflow-wrap: anywhere; white-space: pre-wrap; }
.feedback td.brief { white-space: nowrap; }
.feedback .scroll thead th { color: var(--body-text-color-subdued); font-size: .82rem; white-space: nowrap; }
.feedback .good, .feedback .good * { color: var(--good) !important; font-weight: 600; }
.feedback .bad, .feedback .bad * { color: var(--bad) !important; font-weight: 600; }
@media (max-width: 640px) {
  .feedback .entries :is(thead, td.aside) { display: none; }
  .feedback .entries tr { display: grid; grid-template-columns: auto 1fr auto auto; padding: .4rem 0;
    border-top: 1px solid var(--border-color-primary); }
  .feedback .entries tbody td { padding: .1rem .6rem .1rem 0; border: 0; }
  .feedback .entries td.text { grid-column: 1 / -1; order: 1; max-width: none; }
  .feedback .entries td.text + td.text::before { content: "→ "; }
  .feedback td.brief { white-space: normal; } .feedback .scroll { max-height: none; }
  .feedback .versions :is(th, td):nth-child(3) { display: none; }
  .feedback .versions td:nth-child(-n+2) { white-space: nowrap; }
  .feedback .low { flex-direction: column; align-items: stretch; }
}
.feedback .decision { padding: .8rem 1rem; border: 1px solid var(--border-color-primary);
  border-radius: .4rem; max-width: 46rem; }
.feedback .decision svg { width: 100%; height: auto; margin-top: .4rem; }
.feedback .decision text { font-size: 12px; fill: var(--body-text-color-subdued); }
.feedback .same { font-size: .85rem; color: var(--body-text-color-subdued); }
.feedback code { background: var(--background-fill-secondary); padding: .1em .35em;
  border-radius: .25em; overflow-wrap: anywhere; }
"""
_ASIDE = (1, 3)
"""Columns that a telephone has no room for."""
_MOST = 240
"""Characters of a text in the table."""


def listing(entries: Sequence[Entry], count: int) -> str:
    """A table, and how many there are in all."""
    if not entries:
        return html(words.EMPTY, "p", class_="quiet")
    heads = "".join(
        html(name, "th", scope="col", class_="aside" if place in _ASIDE else "")
        for place, name in enumerate(words.COLUMNS)
    )
    body = "".join(_row(entry) for entry in entries)
    said = words.COUNT.filled(shown=len(entries), count=count)
    return (
        f'<div class="scroll" tabindex="0"><table class="entries"><thead><tr>{heads}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>{html(said, 'p', class_='quiet')}"
    )


def _row(entry: Entry) -> str:
    said, kind = (words.ONLY_RIGHT, "good") if entry.label else (words.ONLY_WRONG, "bad")
    use = words.NO_USE if not entry.label else words.TEST if entry.held_out else words.LEARN
    when = entry.time.replace("T", " ").removesuffix("Z")[:16]
    return (
        f'<tr><td class="brief">{entry.id}</td><td class="brief aside">{escape(when)}</td>'
        f'<td class="brief">{html(title_of(entry.task))}</td><td class="brief aside">{_by(entry)}</td>'
        f'<td class="text">{_short(entry.prompt)}</td><td class="text">{_short(entry.completion)}</td>'
        f'<td class="brief {kind}">{html(said)}</td><td class="brief">{html(use)}</td></tr>'
    )


def named(entry: Entry) -> str:
    """A row in one line, to choose it by."""
    asked, said = (" ".join(text.split()) for text in (entry.prompt, entry.completion))
    return f"{entry.id} · {asked[:40]}{'…' if len(asked) > 40 else ''} → {said[:30]}"


def _by(entry: Entry) -> str:
    return html(words.SHIPPED if entry.adapter == "shipped" else entry.adapter or "–")


def _short(text: str) -> str:
    return escape(text if len(text) <= _MOST else f"{text[: _MOST - 1]}…")


def versions(task: Task[Any], backbone: str, naming: Naming) -> str:
    """Every version of the task's adapter on this backbone, the newest first."""
    installed = registry.versions(task.name, backbone)
    standing = max(registry.standing(task.name, backbone), default=0)
    found = [
        (
            same(f"{task.name}@{number}"),
            words.AWAY
            if registry.taken_back(folder)
            else words.SERVED
            if number == standing
            else words.BEFORE,
            folder,
        )
        for number, folder in reversed(installed.items())
    ]
    own = registry.shipped(task.name, backbone)
    if own:
        found.append((words.SHIPPED, words.BEFORE if standing else words.SERVED, own))
    heads = "".join(html(name, "th", scope="col") for name in words.VERSIONS)
    body = "".join(
        f'<tr><td class="brief">{html(name)}</td><td class="brief">{html(state)}</td>'
        f"{_scored(task, folder, naming)}</tr>"
        for name, state, folder in found
    )
    table = f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="scroll versions" tabindex="0">{table}</div>' if found else ""


def _scored(task: Task[Any], folder: Any, naming: Naming) -> str:
    try:
        passport = read_passport(folder)
    except QuintetError as error:
        return f'<td class="text" colspan="2">{html(problems.said(str(error)))}</td>'
    found = reached(folder, passport.model_dump(), task)
    said = html(found.said(task, naming)) if found else "–"
    return f'<td class="brief">{escape(passport.created[:10])}</td><td class="brief">{said}</td>'


def decision(found: Mapping[str, Any], task: Task[Any], naming: Naming) -> str:
    """What was compared, what came out, and the interval beside the margin."""
    good = bool(found["promoted"])
    verdict = html(
        words.PROMOTED if good else words.REFUSED, "span", class_="good" if good else "bad"
    )
    reason = html(_reason(found))
    metric = html(naming.value(task, str(found["metric"])))
    values = (
        f"{metric}: {html(words.SERVED_VALUE)} <b>{found['value_served']:.4f}</b>, "
        f"{html(words.CANDIDATE_VALUE)} <b>{found['value']:.4f}</b>"
    )
    about = words.DIFFERENCE.filled(
        difference=f"{found['difference']:+.4f}", low=f"{found['low']:+.4f}",
        high=f"{found['high']:+.4f}", p=f"{found['p']:.3f}", rows=found["rows"],
        left=found["left_out"],
    )  # fmt: skip
    return (
        f'<div class="decision" role="status"><p>{verdict}: {reason}</p>'
        f"<p>{values}</p>{html(about, 'p', class_='quiet')}{_interval(found)}</div>"
    )


def _reason(found: Mapping[str, Any]) -> Said:
    """In both languages, where it is one that the gate gives."""
    given = str(found["reason"])
    said = next((one for begin, one in words.REASONS.items() if given.startswith(begin)), None)
    if said is None:
        return same(f"{given}.")
    worst = -found["high"] if found["lower_is_better"] else found["low"]
    return said.filled(
        p=f"{found['p']:.3f}", margin=f"{found['margin']:.4f}", worst=f"{-worst:.4f}"
    )


def _interval(found: Mapping[str, Any]) -> str:
    """The difference with its interval on a line, no difference and the margin marked."""
    margin = float(found["margin"])
    flip = -1 if found["lower_is_better"] else 1
    low, high = sorted((flip * found["low"], flip * found["high"]))
    span = 1.15 * max(abs(low), abs(high), margin, 1e-9)

    def at(value: float) -> float:
        return 220 + 190 * value / span

    place = at(flip * found["difference"])
    label = escape(words.INTERVAL.en)
    return (
        f'<svg viewBox="0 0 440 66" role="img" aria-label="{label}">'
        f'<rect x="30" y="10" width="{at(-margin) - 30:.1f}" height="30" fill="var(--bad)" opacity=".14"/>'
        f'<line x1="30" x2="410" y1="25" y2="25" stroke="var(--border-color-primary)"/>'
        f'<line x1="{at(0):.1f}" x2="{at(0):.1f}" y1="6" y2="44" stroke="currentColor" stroke-dasharray="2 3"/>'
        f'<line x1="{at(-margin):.1f}" x2="{at(-margin):.1f}" y1="6" y2="44" stroke="var(--bad)"/>'
        f'<line x1="{at(low):.1f}" x2="{at(high):.1f}" y1="25" y2="25" stroke="var(--color-accent)" '
        f'stroke-width="5" stroke-linecap="round"/>'
        f'<circle cx="{place:.1f}" cy="25" r="6" fill="var(--color-accent)"/>'
        f'<text x="{at(0):.1f}" y="60" text-anchor="middle">0</text>'
        f'<text x="{max(at(-margin), 60):.1f}" y="60" text-anchor="end">−{number(margin)}</text></svg>'
    )


def note(said: Said) -> str:
    """What was done."""
    return html(said, "p", role="status")


def command(text: str) -> str:
    """The line that does the same."""
    return f'<p class="same">{html(words.SAME)} <code>{escape(text)}</code></p>'
