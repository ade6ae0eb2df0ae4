"""The page 'Train': it starts `quintet finetune` as a process of its own, and reads what that leaves."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from core.adapters import registry
from core.errors import BadInput, QuintetError
from demos.door import gr, here
from demos.frame import Frame, Tab
from demos.problems import problem
from demos.said import html
from demos.task_words import title
from demos.train import html as shown
from demos.train import jobs, runs, words
from demos.train.form import Wanted, kept_upload
from demos.train.run_list import found, going, known, name_of
from demos.train.runs import Run

_QUIET: Any = {"api_visibility": "private", "show_progress": "hidden"}
_NEWEST: Any = {**_QUIET, "trigger_mode": "always_last"}
"""For choices: gradio drops a second one that comes while the first is being answered."""
_EVERY = 2.0
"""Seconds between two looks at a run that is going on."""


def draw(frame: Frame) -> None:
    """Draw the page here."""
    tab = here()
    with gr.Column(elem_classes="train"):
        gr.HTML(html(words.ABOUT, "p", class_="about"), elem_classes="bare")
        started = _form(frame)
        gr.HTML(html(words.RUNS, "h3"), elem_classes="bare")
        _run(frame, tab, started)
        gr.HTML(html(words.COMPARE, "h3"), elem_classes="bare")
        _comparison(frame, tab, started)


def _form(frame: Frame) -> gr.State:
    """What is to be learned; the state that it gives holds the folder of the run that was started."""
    started, fields = gr.State(""), _fields(frame)
    command = frame.say(
        gr.Textbox(
            _command(*(one.value for one in fields)), interactive=False,
            buttons=["copy"], lines=2, max_lines=4,
        ),
        label=words.COMMAND,
    )  # fmt: skip
    with gr.Row():
        look = frame.say(gr.Button(min_width=120), value=words.LOOK)
        start = frame.say(gr.Button(variant="primary", min_width=120), value=words.START)
    said = gr.HTML("", elem_classes="bare")
    changes = [one.change for one in fields]
    gr.on(changes, _command, fields, command, trigger_mode="always_last", **_QUIET)
    looking = look.click(_look, fields, said, **_QUIET)
    # What was looked at is ended first: gradio sends its last words once more when it is over.
    start.click(None, None, None, cancels=[looking], **_QUIET).then(
        _start, fields, [said, started], **_QUIET
    )
    return started


def _fields(frame: Frame) -> list[Any]:
    """What `_wanted` takes, in its order."""
    tasks, names = frame.service.tasks, list(frame.services.names)
    with gr.Row(equal_height=False):
        with gr.Column(min_width=280):
            with gr.Row():
                task = frame.say(
                    gr.Dropdown(list(tasks), value=next(iter(tasks)), filterable=False, min_width=130),
                    label=words.TASK, choices=[(title(one), name) for name, one in tasks.items()],
                )  # fmt: skip
                backbone = frame.say(
                    gr.Dropdown(names, value=names[0], filterable=False, min_width=130),
                    label=words.ON,
                )
            data = frame.say(
                gr.Textbox(lines=1, max_lines=4), label=words.DATA, info=words.DATA_INFO
            )
            upload = frame.say(gr.UploadButton(size="sm", file_count="single"), label=words.UPLOAD)
        with gr.Column(min_width=280):
            with gr.Row():
                epochs = frame.say(gr.Number(3, minimum=0.01, min_width=110), label=words.EPOCHS)
                limit = frame.say(
                    gr.Number(0, minimum=0, precision=0, min_width=110), label=words.LIMIT
                )
            from_base = frame.say(gr.Checkbox(value=False), label=words.FROM_BASE)
            more = frame.say(gr.Textbox(placeholder=words.MORE_HINT), label=words.MORE)
    upload.upload(_brought, upload, data, **_QUIET)
    return [task, backbone, data, epochs, limit, from_base, more]


def _wanted(*values: Any) -> Wanted:
    task, backbone, data, epochs, limit, from_base, more = values
    return Wanted(
        task=task, backbone=backbone, data=data or "", epochs=epochs or 3, limit=int(limit or 0),
        from_base=from_base, more=more or "",
    )  # fmt: skip


def _command(*values: Any) -> str:
    try:
        return jobs.command(_wanted(*values).arguments())
    except BadInput as error:
        return str(error)


def _brought(path: str) -> str:
    return str(kept_upload(path))


def _look(*values: Any) -> Iterator[str]:
    """What the rows hold, and what would be learned: two commands, and what they print."""
    try:
        wanted = _wanted(*values)
        asked = [wanted.check(), wanted.arguments("--dry-run")]
    except BadInput as error:
        yield problem(error)
        return
    before = html(words.ROWS, "h3")
    for arguments in filter(None, asked):
        job, text = jobs.start(arguments), ""
        try:
            while job.running:
                text = shown.console(job.console) or html(words.WAITING_FOR_ROWS, "p")
                yield before + shown.command(arguments) + text
                time.sleep(0.5)
        finally:
            job.stop()  # of somebody who went away
        before += shown.command(arguments) + shown.console(job.console)
        yield before


def _start(*values: Any) -> tuple[str, Any]:
    try:
        wanted = _wanted(*values)
        wanted.arguments()
        folder = runs.fresh_folder(wanted.task)
        jobs.start(wanted.arguments("--output", str(folder)))
    except QuintetError as error:
        return problem(error), gr.skip()
    return "", str(folder)


def _run(frame: Frame, tab: gr.Tab, started: gr.State) -> None:
    """One run: its state while it goes on, and what can be done with it."""
    with gr.Row(equal_height=False, elem_classes="low"):
        chosen = frame.say(
            gr.Dropdown([], filterable=False, scale=4, min_width=260), label=words.RUN
        )
        again = frame.say(gr.Button(scale=1, min_width=100), value=words.REFRESH)
    view = gr.HTML(html(words.NO_RUNS, "p", class_="quiet"), elem_classes="bare")
    with gr.Row():
        stop = frame.say(gr.Button(visible=False, min_width=110), value=words.STOP)
        resume = frame.say(gr.Button(visible=False, min_width=110), value=words.RESUME)
        use = frame.say(gr.Button(variant="primary", visible=False, min_width=110), value=words.USE)
        report = frame.say(gr.Button(visible=False, min_width=110), value=words.SHOW_REPORT)
    done = gr.HTML("", elem_classes="bare")
    page = gr.HTML("", elem_classes="bare")
    with frame.say(gr.Accordion(open=False), label=words.CONSOLE):
        console = gr.HTML("", elem_classes="bare")
    timer = gr.Timer(_EVERY, active=False)
    tasks, show = frame.service.tasks, _showing(frame)

    def listed(folder: str = "", name: str | None = None) -> list[Any]:
        """The choices, with the run that was started, was chosen, or goes on, or is newest, chosen."""
        names = [run.name for run in known(tasks)]
        wanted = name_of(folder) if folder else name if name in names else going(tasks)
        value = wanted or next(iter(names), None)
        return [gr.update(choices=names, value=value), *show(value)]

    shown_parts = [view, console, timer, stop, resume, use, report]
    parts = [chosen, *shown_parts]
    gr.on(None, listed, None, parts, **_QUIET)
    again.click(lambda name: listed("", name), chosen, parts, **_QUIET)
    # One that was started elsewhere, such as on the page of feedback, is what somebody comes to see.
    tab.select(lambda name: listed("", going(tasks) or name), chosen, parts, **_QUIET)
    started.change(listed, started, parts, **_QUIET)
    chosen.input(show, chosen, shown_parts, **_NEWEST).then(
        lambda: ("", ""), None, [done, page], **_QUIET
    )
    timer.tick(show, chosen, shown_parts, trigger_mode="once", **_QUIET)
    for button, action in ((stop, _stop), (resume, _resume), (use, _use)):
        button.click(_told(action), chosen, done, **_QUIET).then(
            show, chosen, shown_parts, **_QUIET
        )
    report.click(
        lambda name: shown.report(run) if (run := found(name)) else "", chosen, page, **_QUIET
    )


_HIDDEN = [gr.update(visible=False)] * 4


def _showing(frame: Frame) -> Callable[[str | None], list[Any]]:
    """What is told of a run by its name: state, console, whether to look again, and four buttons."""

    def show(name: str | None) -> list[Any]:
        run = found(name)
        if run is None:
            return [html(words.NO_RUNS, "p", class_="quiet"), "", gr.Timer(active=False), *_HIDDEN]
        state, job = shown.state_of(run), jobs.of_folder(run.folder)
        going = state in ("waiting", "running", "scoring", "stopping")
        mine = job is not None and job.running
        return [
            shown.shown(run, frame.service.tasks[run.task], frame.naming),
            shown.console(job.console if job else ""),
            gr.Timer(active=going),
            gr.update(visible=going and mine and state != "stopping"),
            gr.update(visible=state == "stopped"),
            gr.update(visible=run.finished),
            gr.update(visible=run.report is not None),
        ]

    return show


def _told(action: Callable[[Run], str]) -> Callable[[str], str]:
    def act(name: str) -> str:
        run = found(name)
        try:
            return action(run) if run else ""
        except QuintetError as error:
            return problem(error)

    return act


def _stop(run: Run) -> str:
    job = jobs.of_folder(run.folder)
    if job is not None:
        job.stop()
    return ""


def _resume(run: Run) -> str:
    job = jobs.of_folder(run.folder)
    if job is None:
        raise BadInput(
            f"{run.name} was not started here. Go on with the command that it was started with, and "
            "--resume."
        )
    arguments = [*(one for one in job.arguments if one != "--resume"), "--resume"]
    jobs.start(arguments)
    return shown.command(arguments)


def _use(run: Run) -> str:
    folder = registry.install(run.folder)
    said = shown.note(words.INSTALLED.filled(folder=str(folder)))
    return said + shown.command(["adapters", "install", str(run.folder)])


def _comparison(frame: Frame, tab: gr.Tab, started: gr.State) -> None:
    tasks = frame.service.tasks
    chosen = frame.say(gr.Dropdown([], multiselect=True), label=words.CHOOSE)
    table = gr.HTML("", elem_classes="bare")

    def compare(names: list[str]) -> str:
        there = [run for name in names or [] if (run := found(name))]
        return shown.compared(there, dict(tasks), frame.naming)

    def choices(names: list[str]) -> Any:
        """Never while somebody chooses: what is chosen in the meantime would be lost."""
        return gr.update(choices=[run.name for run in known(tasks)], value=names or [])

    gr.on([tab.select, started.change], choices, chosen, chosen, **_QUIET)
    gr.on(None, lambda: choices([]), None, chosen, **_QUIET)
    chosen.input(compare, chosen, table, **_NEWEST)


TAB = Tab(name="train", title=words.TITLE, draw=draw)
