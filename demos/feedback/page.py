"""The page 'Feedback': what was said of the answers, and the way from there to a better adapter."""

from __future__ import annotations

import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apps
from core import store
from core.adapters import registry
from core.errors import BadData, BadInput, QuintetError
from core.feedback import export
from core.feedback.database import Feedback, Query
from core.task import Task
from demos.door import gr, here
from demos.feedback import html as shown
from demos.feedback import words
from demos.frame import Frame, Tab
from demos.problems import problem
from demos.said import html, same
from demos.task_words import title
from demos.train import html as printed
from demos.train import jobs, runs

_QUIET: Any = {"show_progress": "hidden", "api_visibility": "private"}
_SHOWN, _ALL = 100, ""
_KINDS = {"both": None, "right": True, "wrong": False}


def draw(frame: Frame) -> None:
    """Draw the page here."""
    tab = here()
    with gr.Column(elem_classes="feedback"):
        gr.HTML(html(words.ABOUT, "p", class_="about"), elem_classes="bare")
        _listing(frame, tab)
        _loop(frame, tab)


def _listing(frame: Frame, tab: gr.Tab) -> None:
    """Search, delete, export."""
    tasks = frame.service.tasks
    every = [(words.ALL, _ALL), *((title(task), name) for name, task in tasks.items())]
    with gr.Row(equal_height=False, elem_classes="columns"):
        task = frame.say(
            gr.Dropdown([_ALL, *tasks], value=_ALL, filterable=False, min_width=140),
            label=words.TASK, choices=every,
        )  # fmt: skip
        text = frame.say(gr.Textbox(min_width=180), label=words.SEARCH)
        kinds = [(words.BOTH, "both"), (words.ONLY_RIGHT, "right"), (words.ONLY_WRONG, "wrong")]
        kind = frame.say(
            gr.Radio([*_KINDS], value="both", min_width=280), label=words.WHICH, choices=kinds
        )
    table = gr.HTML("", elem_classes="bare")
    with gr.Row(equal_height=False, elem_classes="low"):
        gone = frame.say(
            gr.Dropdown([], multiselect=True, min_width=200, scale=2), label=words.DELETE_WHICH
        )
        delete = frame.say(gr.Button(size="sm", min_width=110, scale=1), value=words.DELETE)
        training = frame.say(gr.Button(size="sm", min_width=140, scale=1), value=words.EXPORT)
        preferences = frame.say(
            gr.Button(size="sm", min_width=140, scale=1), value=words.PREFERENCES
        )
    note = gr.HTML("", elem_classes="bare")
    file = frame.say(gr.File(visible=False, interactive=False), label=words.FILE)
    asked, outputs = [task, text, kind], [table, gone]
    gr.on(
        [task.change, text.change, kind.change], _listed, asked, outputs, trigger_mode="always_last",
        **_QUIET,
    )  # fmt: skip
    # Other browsers and pages add rows as well: look when the page is opened, and when it is shown.
    gr.on(None, lambda: _listed(_ALL, "", "both"), None, outputs, **_QUIET)
    tab.select(_listed, asked, outputs, **_QUIET)
    delete.click(_deleted, gone, note, **_QUIET).then(_listed, asked, outputs, **_QUIET)
    for button, whole in ((training, False), (preferences, True)):
        button.click(_exporting(tasks, whole), task, [file, note], **_QUIET)


def _listed(task: str, text: str, kind: str) -> list[Any]:
    """The table of what was found, and the choices of what may be deleted."""
    query = Query(task=task or "", text=text or "", label=_KINDS[kind])
    try:
        book = Feedback()
        found, count = book.entries(query, limit=_SHOWN), book.count(query)
    except QuintetError as error:
        return [problem(error), gr.skip()]
    choices = [(shown.named(one), one.id) for one in found]
    return [shown.listing(found, count), gr.update(choices=choices, value=[])]


def _deleted(numbers: list[int]) -> str:
    try:
        return shown.note(words.DELETED.filled(count=Feedback().delete(numbers or [])))
    except QuintetError as error:
        return problem(error)


def _exporting(tasks: Any, preferences: bool) -> Any:
    """A file for the browser: rows to learn from, or all with their labels."""

    def write(name: str) -> list[Any]:
        if not name:
            return [gr.update(visible=False), shown.note(words.ONE_TASK)]
        path = Path(tempfile.mkdtemp()) / f"{name}-{'preferences' if preferences else 'rows'}.jsonl"
        try:
            entries = Feedback().entries(Query(task=name))
            rows = (
                export.preferences(entries)
                if preferences
                else export.training_rows(tasks[name], entries, side="train").rows
            )
            export.write(rows, path)
        except QuintetError as error:
            return [gr.update(visible=False), problem(error)]
        flag = " --preferences" if preferences else ""
        line = shown.command(f"quintet feedback export {name} --output {path.name}{flag}")
        return [gr.update(value=str(path), visible=True), line]

    return write


def _loop(frame: Frame, tab: gr.Tab) -> None:
    """Learn from it, test what came of it, go back."""
    tasks = frame.service.tasks
    first = next(iter(tasks))
    gr.HTML(html(words.LOOP, "h3"), elem_classes="bare")
    task = frame.say(
        gr.Dropdown(list(tasks), value=first, filterable=False),
        label=words.TASK, choices=[(title(one), name) for name, one in tasks.items()],
    )  # fmt: skip
    table = gr.HTML("", elem_classes="bare")
    gr.HTML(_heading(words.RETRAIN, words.RETRAIN_ABOUT), elem_classes="bare")
    with gr.Row(equal_height=False, elem_classes="low"):
        bundled = frame.say(gr.Checkbox(value=True, scale=2), label=words.WITH_BUNDLED)
        learn = frame.say(gr.Button(min_width=160), value=words.LEARN_NOW)
    learning = gr.HTML("", elem_classes="bare")
    gr.HTML(_heading(words.GATE, words.GATE_ABOUT), elem_classes="bare")
    with gr.Row(equal_height=False, elem_classes="low"):
        candidate = frame.say(gr.Dropdown([], filterable=False, scale=2), label=words.CANDIDATE)
        promote = frame.say(gr.Button(variant="primary", min_width=160), value=words.PROMOTE)
    decided = gr.HTML("", elem_classes="bare")
    gr.HTML(_heading(words.ROLLBACK, words.ROLLBACK_ABOUT), elem_classes="bare")
    with gr.Row():
        back = frame.say(gr.Button(min_width=200, scale=0), value=words.BACK)
    undone = gr.HTML("", elem_classes="bare")

    def there(backbone: str, name: str) -> list[Any]:
        """The versions of the task, and the runs that may become the next one."""
        finished = [run.name for run in runs.find() if _fits(run, name, backbone)]
        value = next(iter(finished), None)
        table = shown.versions(tasks[name], backbone, frame.naming)
        return [table, gr.update(choices=finished, value=value)]

    asked, outputs = [frame.backbone, task], [table, candidate]
    gr.on(None, lambda: there(frame.services.names[0], first), None, outputs, **_QUIET)
    chosen: Any = {"trigger_mode": "always_last", **_QUIET}
    task.input(there, asked, outputs, **chosen)
    task.input(lambda: ("", "", ""), None, [learning, decided, undone], **chosen)
    # The choices alone: what is chosen while they come stays.
    candidate.focus(
        lambda *now: gr.update(choices=there(*now)[1]["choices"]), asked, candidate, **_QUIET
    )
    frame.switched.then(there, asked, outputs, **_QUIET)
    tab.select(there, asked, outputs, **_QUIET)
    learn.click(_learning(tasks), [*asked, bundled], learning, **_QUIET)
    promote.click(_promoting(frame), [*asked, candidate], decided, **_QUIET).then(
        there, asked, outputs, **_QUIET
    )
    back.click(_rollback, asked, undone, **_QUIET).then(there, asked, outputs, **_QUIET).then(
        lambda: "", None, decided, **_QUIET
    )


def _heading(name: Any, about: Any) -> str:
    return html(name, "h3") + html(about, "p", class_="quiet")


def _fits(run: runs.Run, task: str, backbone: str) -> bool:
    return run.task == task and run.finished and run.backbone == backbone


def _learning(tasks: Any) -> Any:
    def learn(backbone: str, name: str, bundled: bool) -> str:
        try:
            folder, arguments = prepare(tasks[name], backbone, bundled=bundled)
            jobs.start(arguments)
        except QuintetError as error:
            return problem(error)
        run = "/".join(folder.parts[-2:])
        said = shown.note(words.STARTED.filled(run=run))
        return said + shown.command(jobs.command(arguments))

    return learn


def prepare(task: Task[Any], backbone: str, *, bundled: bool) -> tuple[Path, list[str]]:
    """Write what is to be learned; the folder of the run, and the command that makes it."""
    made = export.training_rows(task, Feedback().entries(Query(task=task.name)), side="train")
    if not made.rows:
        raise BadInput(
            f"No feedback on {task.title.lower()} says what is right. Mark some answers first."
        )
    path = store.home() / "feedback" / f"{task.name}-{uuid.uuid4().hex[:8]}.jsonl"
    sources = [str(export.write(made.rows, path))]
    if bundled:
        sources += _bundled(task.name)
    folder = runs.fresh_folder(task.name)
    given = [part for source in sources for part in ("--data", source)]
    return folder, [
        "finetune", task.name, *given, "--backbone", backbone, "--output", str(folder),
    ]  # fmt: skip


def _bundled(task: str) -> list[str]:
    try:
        return [str(apps.samples(task, "train"))]
    except BadData:  # a task that brings no rows
        return []


def _promoting(frame: Frame) -> Callable[[str, str, str | None], Iterator[str]]:
    def promote(backbone: str, task: str, candidate: str | None) -> Iterator[str]:
        if candidate:
            yield from _promote(frame, backbone, task, candidate)
        else:
            yield shown.note(words.NO_CANDIDATE)

    return promote


def _promote(frame: Frame, backbone: str, task: str, candidate: str) -> Iterator[str]:
    """Run the test as a process, show what it prints, then what it decided."""
    folder = runs.RUNS / task / Path(candidate).name
    arguments = ["adapters", "promote", task, str(folder), "--backbone", backbone]
    job, line = jobs.start(arguments), shown.command(jobs.command(arguments))
    while job.running:
        yield html(words.TESTING, "p", role="status") + line + printed.console(job.console)
        time.sleep(0.5)
    found = runs.read(folder)
    decision = runs.promotion(found) if found else {}
    if not decision or decision["decided"] < job.started:
        yield problem(_last(job.console)) + line
        return
    yield shown.decision(decision, frame.service.tasks[task], frame.naming) + line


def _last(printed_lines: str) -> str:
    """The line in which a command says why it ended."""
    return next(iter(printed_lines.splitlines()[-1:]), "").removeprefix("error: ")


def _rollback(backbone: str, task: str) -> str:
    try:
        taken, now = registry.rollback(task, backbone)
    except QuintetError as error:
        return problem(error)
    line = f"quintet adapters rollback {task} --backbone {backbone}"
    names = words.TAKEN_BACK.filled(taken=f"{task}@{taken.name}", now=_named(task, now))
    return shown.note(names) + shown.command(line)


def _named(task: str, folder: Path) -> Any:
    return same(f"{task}@{folder.name}") if folder.name.isdecimal() else words.SHIPPED


TAB = Tab(name="feedback", title=words.TITLE, draw=draw)
