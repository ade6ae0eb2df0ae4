"""The page of files: a table in, every row scored, the scored file out, and what it says as a whole."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from core.errors import QuintetError
from core.task import Choice, Language, Task
from demos.door import gr
from demos.files import tables, words
from demos.files.charts import charts
from demos.files.scoring import Job, Scoring
from demos.files.summary import date_columns, source_columns, summarize
from demos.frame import Frame, Tab
from demos.problems import problem
from demos.said import Said, html
from demos.task_words import label, title
from demos.tasks.newest import Newest, Turn

_LOOKED_AT_EVERY = 0.5
"""Seconds between two looks at how far the command has come."""
_QUIET: Any = {"show_progress": "hidden", "api_visibility": "private"}


class Page:
    """The components of the page, and what happens on it."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._newest = Newest()
        tasks = frame.service.tasks
        gr.HTML(html(words.ABOUT, "p", class_="about"), elem_classes="bare")
        with gr.Row(equal_height=False):
            with gr.Column(min_width=300, scale=4):
                self._draw_form(tasks)
            with gr.Column(min_width=300, scale=6):
                self._draw_result()
        self._wire()

    def _draw_form(self, tasks: dict[str, Task[Any]]) -> None:
        say = self._frame.say
        pairs = [(title(tasks[name]), name) for name in _closed_first(tasks)]
        english = [(said.en, name) for said, name in pairs]
        self.task = gr.Dropdown(english, value=pairs[0][1], filterable=False)
        say(self.task, label=words.TASK, choices=pairs)
        self.file = gr.File(file_types=list(tables.KINDS), height=130)
        say(self.file, label=words.FILE)
        self.seen = gr.HTML("", elem_classes="bare")
        with gr.Row(elem_classes="columns"):
            self.text, self.date, self.source = (
                say(gr.Dropdown([], value=None, filterable=False, min_width=110), label=name)
                for name in (words.TEXT, words.DATE, words.SOURCE)
            )
        with gr.Row():
            self.start = say(
                gr.Button(variant="primary", scale=3, min_width=100), value=words.START
            )
            self.cancel = say(gr.Button(min_width=80), value=words.CANCEL)

    def _draw_result(self) -> None:
        say = self._frame.say
        self.progress = gr.HTML("", elem_classes="bare")
        self.scored = say(gr.File(visible=False, interactive=False, height=100), label=words.SCORED)
        self.kept = gr.State("")
        with gr.Row(visible=False) as self.narrowing:
            self.about = say(gr.Textbox("", min_width=160), label=words.FILTER)
            self.follow = gr.Radio([], min_width=160)
            say(self.follow, label=words.FOLLOW)
        self.summary = gr.HTML("", elem_classes="bare")

    def _wire(self) -> None:
        columns = [self.text, self.date, self.source]
        shown = [self.progress, self.scored, self.kept, self.narrowing, self.follow, self.summary]
        self.file.change(self.forget, None, shown, queue=False, **_QUIET).then(
            self.look, [self.file, self.task], [self.seen, *columns], **_QUIET
        )
        language = self._frame.language
        chosen = [self._frame.backbone, self.task, language, self.file, *columns]
        self.start.click(self.stop, None, None, queue=False, **_QUIET).then(
            self.score, chosen, shown, concurrency_limit=1, trigger_mode="multiple", **_QUIET
        )
        self.cancel.click(self.stop, None, None, queue=False, **_QUIET)
        language.change(self.rename, [self.task, language], self.follow, queue=False, **_QUIET)
        telling = [self.kept, self.task, *columns, self.about, self.follow]
        gr.on(
            [self.about.submit, self.follow.input, self.date.input, self.source.input],
            self.tell, telling, self.summary, trigger_mode="always_last", **_QUIET,
        )  # fmt: skip

    def forget(self, request: gr.Request) -> list[Any]:
        """What is shown is about a file that is gone."""
        self.stop(request)
        return self._only("")

    def look(self, path: str | None, task: str) -> list[Any]:
        """The columns of a file that was just sent, and which of them is likely what."""
        if path is None:
            return ["", *(gr.update(choices=[], value=None) for _ in range(3))]
        try:
            table = tables.head(Path(path))
        except QuintetError as error:
            return [problem(error), *(gr.update(choices=[], value=None) for _ in range(3))]
        names = list(map(str, table))
        text = _text_column(table, self._frame.service.tasks[task])
        dates, sources = date_columns(table), source_columns(table, without=text)
        seen = words.SEEN.filled(name=Path(path).name, columns=", ".join(names))
        return [
            html(seen, "p", class_="quiet", role="status"),
            gr.update(choices=names, value=text),
            gr.update(choices=[words.NONE, *names], value=(dates or [words.NONE])[0]),
            gr.update(choices=[words.NONE, *names], value=(sources or [words.NONE])[0]),
        ]

    def score(
        self,
        request: gr.Request,
        backbone: str,
        task: str,
        language: Language,
        path: str | None,
        text: str,
        date: str,
        source: str,
    ) -> Iterator[list[Any]]:
        """Progress, then the scored file and its summary; whoever leaves or cancels ends it."""
        session = str(request.session_hash)
        turn = self._newest.begin(session)
        try:
            if not path:
                yield self._only(html(words.NO_FILE, "p", class_="problem", role="alert"))
                return
            job = self._job(backbone, task, path, text)
            yield from self._score(turn, job, language, date, source, text)
        except QuintetError as error:
            yield self._only(problem(error))
        finally:
            self._newest.leave(session, turn)

    def _job(self, backbone: str, task: str, path: str, text: str) -> Job:
        field = next(iter(self._frame.service.tasks[task].input.model_fields))
        renamed = {field: text} if text and text != field else {}
        device = str(self._frame.service.engine.backbone.device)
        return Job(source=Path(path), task=task, backbone=backbone, columns=renamed, device=device)

    def _score(
        self, turn: Turn, job: Job, language: Language, date: str, source: str, text: str
    ) -> Iterator[list[Any]]:
        begun, scoring = time.monotonic(), Scoring(job)
        try:
            yield self._only(html(words.LOADING, "p", role="status"))
            while not scoring.wait(_LOOKED_AT_EVERY):
                if turn.stale or turn.stopped:
                    yield self._only(html(words.CANCELLED, "p", role="status"))
                    return
                yield self._only(_progress(scoring, time.monotonic() - begun))
            scored = scoring.result()
            kept = str(self._keep(scored))
        finally:
            scoring.cancel()
        labels = self._labels(job.task)
        pairs = self._pairs(job.task, language)
        yield [
            "",
            gr.update(value=kept, visible=True),
            kept,
            gr.update(visible=True),
            gr.update(choices=pairs, value=labels[-1] if labels else None, visible=bool(labels)),
            self.tell(kept, job.task, text, date, source, "", labels[-1] if labels else ""),
        ]

    def _keep(self, scored: Path) -> Path:
        """Among the files of the page, which are swept after a while."""
        from gradio.processing_utils import save_file_to_cache

        return Path(save_file_to_cache(scored, cache_dir=self.scored.GRADIO_CACHE))

    def tell(
        self, kept: str, task: str, text: str, date: str, source: str, about: str, follow: str
    ) -> str:
        """The summary of the scored file, as charts."""
        if not kept:
            return ""
        try:
            table = tables.read(Path(kept))
            found = summarize(
                table, text=text, labels=self._labels(task), label=follow, date=date,
                source=source, about=about.strip(),
            )  # fmt: skip
        except QuintetError as error:
            return problem(error)
        return charts(found)

    def stop(self, request: gr.Request) -> None:
        """End what this browser has started."""
        self._newest.stop(str(request.session_hash))

    def rename(self, task: str, language: Language) -> Any:
        """The labels in the language that was chosen."""
        return gr.update(choices=self._pairs(task, language))

    def _pairs(self, task: str, language: Language) -> list[tuple[str, str]]:
        return [(getattr(label(name), language), name) for name in self._labels(task)]

    def _labels(self, task: str) -> tuple[str, ...]:
        answer = self._frame.service.tasks[task].answer
        return answer.labels if isinstance(answer, Choice) else ()

    def _only(self, progress: str) -> list[Any]:
        hidden = gr.update(visible=False)
        return [progress, gr.update(value=None, visible=False), "", hidden, gr.skip(), ""]


def _closed_first(tasks: dict[str, Task[Any]]) -> list[str]:
    """Labels can be counted: the tasks that give them come first."""
    return sorted(tasks, key=lambda name: (not isinstance(tasks[name].answer, Choice), name))


def _text_column(table: Any, task: Task[Any]) -> str:
    """A column of the field's name, or the one with the longest cells."""
    field = next(iter(task.input.model_fields))
    if field in table:
        return field
    with suppress(ValueError):
        return str(max(table, key=lambda name: table[name].str.len().mean()))
    return ""


def _progress(scoring: Scoring, seconds: float) -> str:
    done, rows = scoring.answered, max(scoring.rows, scoring.answered)
    if not done:
        return '<div class="progress" role="progressbar"><i></i></div>' + _status(words.LOADING)
    said = words.PROGRESS.filled(done=f"{done:,}", rows=f"{rows:,}", seconds=f"{seconds:.0f}")
    return (
        f'<div class="progress far" role="progressbar" aria-valuenow="{done}" aria-valuemax="{rows}">'
        f'<i style="width:{done / rows:.1%}"></i></div>{_status(said)}'
    )


def _status(said: Said) -> str:
    return html(said, "p", class_="quiet", role="status")


def draw(frame: Frame) -> None:
    """Draw the page here."""
    Page(frame)


TAB = Tab(name="files", title=words.TITLE, draw=draw)
