"""A run and several runs as HTML: its state, its curves, its score, its report."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from core.task import Task
from demos.answers.reached import covered, reached
from demos.naming import Naming
from demos.said import Said, html, same
from demos.train import jobs, runs, words
from demos.train.plots import Line, chart, score
from demos.train.runs import Run

CSS = """
.train h3 { margin: 1.2rem 0 .3rem; font-size: 1.15rem; }
.train .state { display: flex; flex-wrap: wrap; gap: .3rem 1rem; align-items: baseline; margin: .2rem 0 .6rem; }
.train .badge { padding: .1rem .6rem; border-radius: 1rem; font-size: .85rem; font-weight: 600;
  background: var(--soft); }
.train .badge, .train .badge * { color: var(--color-accent) !important; }
.train .badge.failed, .train .badge.failed * { color: var(--bad) !important; }
.train .badge.stopped, .train .badge.stopped *, .train .badge.stopping, .train .badge.stopping * {
  color: var(--remark) !important; }
.train .badge.done, .train .badge.done * { color: var(--good) !important; }
.train .way { height: .4rem; border-radius: .2rem; background: var(--soft); overflow: hidden;
  margin: 0 0 .8rem; }
.train .way i { display: block; height: 100%; background: var(--color-accent); }
.train pre { white-space: pre-wrap; overflow-wrap: anywhere; font-size: .8rem; line-height: 1.45;
  margin: 0; padding: .7rem .9rem; max-height: 22rem; overflow: auto; border-radius: .35rem;
  background: var(--background-fill-secondary); color: var(--body-text-color); }
.train .scroll { overflow-x: auto; } .train .scroll + .charts { margin-top: 1rem; }
.train table { border-collapse: collapse; width: 100%; font-size: .9rem; border: 0; margin: 0;
  font-variant-numeric: tabular-nums; }
.train table th, .train table td, .train table tr { border: 0; }
.train table tbody td { border-top: 1px solid var(--border-color-primary); }
.train table th, .train table td { padding: .3rem .9rem .3rem 0; text-align: left; font-weight: 400;
  white-space: nowrap; max-width: 20rem; overflow: hidden; text-overflow: ellipsis; }
.train thead th { color: var(--body-text-color-subdued); font-size: .85rem; }
.train iframe { width: 100%; height: 42rem; border: 1px solid var(--border-color-primary);
  border-radius: .4rem; background: #fff; }
.train .charts { margin-top: .7rem; }
@media (max-width: 640px) {
  .train table :is(th, td):is(:nth-child(2), :nth-child(3), :nth-child(4), :nth-child(6)) { display: none; }
  .train table :is(th, td) { white-space: normal; padding-right: .5rem; font-size: .82rem; }
  .train table :is(th, td):not(:first-child) { min-width: 3.2rem; }
  .train button.lg { font-size: .92rem; padding-inline: .4rem; }
}
.train .same { font-size: .85rem; color: var(--body-text-color-subdued); }
.train code { background: var(--background-fill-secondary); padding: .1em .35em;
  border-radius: .25em; overflow-wrap: anywhere; }
"""


def state_of(run: Run) -> str:
    """'waiting', 'running', 'scoring', 'stopping', 'stopped', 'failed' or 'done'."""
    job = jobs.of_folder(run.folder)
    if job is not None and job.running:
        if job.stopping:
            return "stopping"
        if not run.settings:
            return "waiting"
        return (
            "scoring"
            if _planned(run) and runs.read_log(run.folder).steps >= _planned(run)
            else "running"
        )
    if run.finished:
        return "done"
    if runs.still_written(run.folder) and (job is None or job.succeeded is None):
        return "running"  # started elsewhere, such as in a terminal
    return "stopped" if run.resumable else "failed"


def shown(run: Run, task: Task[Any], naming: Naming) -> str:
    """Its state, progress, score and curves."""
    log, state = runs.read_log(run.folder), state_of(run)
    planned = _planned(run)
    facts = [html(words.STATES[state], "span", class_=f"badge {state}")]
    if log.steps:
        facts.append(html(_steps(log.steps, planned, done=state == "done")))
    if log.tokens_per_second and state == "running":
        facts.append(html(words.SPEED.filled(speed=f"{log.tokens_per_second:,.0f}")))
    facts.append(html(same(run.backbone)))
    share = min(1.0, log.steps / planned) if planned else 0.0
    bar = (
        f'<div class="way"><i style="width:{share:.1%}"></i></div>'
        if state in ("running", "scoring", "stopping") and share
        else ""
    )
    said = f'<div class="state" role="status">{"".join(facts)}</div>{bar}'
    return said + _score(run, task, naming) + _curves(run, task, naming)


def _steps(step: int, planned: int, *, done: bool) -> Said:
    if not done:
        return words.STEP.filled(step=step, of=f" / {planned}" if planned else "")
    if step < planned:
        return words.ENDED_EARLY.filled(step=step, most=planned)
    return words.STEPS.filled(step=step)


def _score(run: Run, task: Task[Any], naming: Naming) -> str:
    found = reached(run.adapter, run.scores, task)
    if found is None:
        return ""
    said = words.SCORED.filled(
        metric=naming.value(task, found.metric),
        value=found.value,
        rows=found.rows,
        side=words.SIDES.get(str(run.scores.get("scored_on")), same("")),
        baseline=naming.baseline(found.baseline or "–"),
        other=found.other or "–",
    )
    return html(said, "p")


def _curves(run: Run, task: Task[Any], naming: Naming) -> str:
    log = runs.read_log(run.folder)
    chosen = chosen_metric(log, task)
    metric = words.METRIC.filled(name=naming.value(task, chosen))
    drawn = chart(words.LOSS, [Line(run.name, log.loss)])
    drawn += chart(metric, [Line(chosen, log.metrics.get(chosen, ()))], first=1)
    return f'<div class="charts">{drawn}</div>'


def chosen_metric(log: runs.Log, task: Task[Any]) -> str:
    """The logged metric that picks the checkpoint, or the first that was logged."""
    known = covered(task.select_by.metric, log.metrics)
    return next(iter([*known, *log.metrics]), "")


def _planned(run: Run) -> int:
    """Steps that it will take at most, where a checkpoint, the log or the settings tell."""
    return runs.planned_steps(run)


def compared(chosen: Sequence[Run], tasks: dict[str, Task[Any]], naming: Naming) -> str:
    """A table of several runs, and their curves in one plot."""
    if not chosen:
        return ""
    heads = "".join(html(name, "th", scope="col") for name in words.COLUMNS)
    rows = "".join(_row(run, tasks[run.task], naming) for run in chosen)
    logs = [(run, runs.read_log(run.folder)) for run in chosen]
    drawn = chart(words.LOSS, [Line(run.name, log.loss) for run, log in logs])
    named = {chosen_metric(log, tasks[run.task]): tasks[run.task] for run, log in logs}
    for name, task in named.items():
        lines = [Line(run.name, log.metrics.get(name, ())) for run, log in logs]
        title = words.METRIC.filled(name=naming.value(task, name))
        drawn += chart(title, lines) if name else ""
    return (
        f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'
        f'<div class="charts">{drawn}</div>'
    )


def _row(run: Run, task: Task[Any], naming: Naming) -> str:
    log = runs.read_log(run.folder)
    found = reached(run.adapter, run.scores, task)
    value = html(found.said(task, naming)) if found else "–"
    baseline = found.other if found and found.other else "–"
    data = ", ".join(Path(str(one)).name for one in run.settings.get("data", ()))
    loss = score(log.loss[-1][1]) if log.loss else "–"
    cells = (
        escape(run.name), html(words.STATES[state_of(run)]), escape(run.backbone), escape(data),
        f"{log.steps:,}", loss, value, baseline,
    )  # fmt: skip
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def report(run: Run) -> str:
    """The report in the language of the page, in a frame of its own; it is one file that fetches nothing."""
    english, chinese = run.report, run.chinese_report
    if english is None:
        return html(words.NO_REPORT, "p", class_="quiet")
    if chinese is None:
        return _framed(run, english)
    both = {"en": english, "zh": chinese}.items()
    return "".join(
        f'<div class="said" lang="{language}">{_framed(run, page)}</div>' for language, page in both
    )


def _framed(run: Run, page: Path) -> str:
    content = escape(page.read_text(encoding="utf-8"), quote=True)
    return f'<iframe sandbox="" title="{escape(run.name)}" srcdoc="{content}"></iframe>'


def console(text: str) -> str:
    """What a process printed."""
    return f'<pre tabindex="0">{escape(text)}</pre>' if text else ""


def command(arguments: Sequence[str]) -> str:
    """The line that does the same."""
    return (
        f'<p class="same">{html(words.SAME_BY_COMMAND)} '
        f"<code>{escape(jobs.command(arguments))}</code></p>"
    )


def note(said: Said) -> str:
    """What was done."""
    return html(said, "p", role="status")
