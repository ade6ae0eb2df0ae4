"""The database of feedback: SQLite in the home folder, or any that SQLAlchemy reaches by a URL.

The only door to sqlalchemy. `$QUINTET_FEEDBACK_URL` names another, such as
`postgresql+psycopg://user@host/name`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from core import store
from core.errors import BadSetting, Damaged
from core.feedback.entries import Entry

URL = "QUINTET_FEEDBACK_URL"
_PATIENCE = 30
"""Seconds that one writer waits for another."""

_METADATA = sa.MetaData()
_ROWS = sa.Table(
    "feedback",
    _METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("time", sa.String(20), nullable=False),
    sa.Column("task", sa.String(100), nullable=False, index=True),
    sa.Column("backbone", sa.String(300), nullable=False),
    sa.Column("adapter", sa.String(300), nullable=False),
    sa.Column("input", sa.JSON, nullable=False),
    sa.Column("prompt", sa.Text, nullable=False),
    sa.Column("completion", sa.Text, nullable=False),
    sa.Column("label", sa.Boolean, nullable=False),
    sqlite_autoincrement=True,  # the number of a deleted row is never given again
)


@dataclass(frozen=True, kw_only=True)
class Query:
    """Which rows are meant; what is not given does not matter."""

    task: str = ""
    text: str = ""
    """Stands in the prompt or the completion, in any case."""
    label: bool | None = None

    def condition(self) -> sa.ColumnElement[bool]:
        """As SQL."""
        found: list[sa.ColumnElement[bool]] = []
        if self.task:
            found.append(_ROWS.c.task == self.task)
        if self.text:
            columns = (_ROWS.c.prompt, _ROWS.c.completion)
            found.append(sa.or_(*(one.icontains(self.text, autoescape=True) for one in columns)))
        if self.label is not None:
            found.append(_ROWS.c.label == self.label)
        return sa.and_(sa.true(), *found)


class Feedback:
    """Rows that many processes may add to, read and delete at the same time."""

    def __init__(self, url: str | None = None) -> None:
        self.url = url or os.environ.get(URL) or _of_home()
        self._engine = _opened(self.url)
        with self._connected() as connection:
            _create(connection)

    def add(self, entries: Sequence[Entry]) -> list[int]:
        """Store them, all or none; their numbers."""
        values = [{k: v for k, v in asdict(entry).items() if k != "id"} for entry in entries]
        with self._connected() as connection:
            return [
                int(
                    connection.execute(
                        _ROWS.insert().values(one).returning(_ROWS.c.id)
                    ).scalar_one()
                )
                for one in values
            ]

    def entries(
        self, query: Query | None = None, *, limit: int | None = None, start: int = 0
    ) -> list[Entry]:
        """The newest first."""
        asked = _ROWS.select().where((query or Query()).condition()).order_by(_ROWS.c.id.desc())
        with self._connected() as connection:
            rows = connection.execute(asked.limit(limit).offset(start)).mappings().all()
        return [Entry(**row) for row in rows]

    def count(self, query: Query | None = None) -> int:
        """How many there are."""
        asked = sa.select(sa.func.count()).select_from(_ROWS).where((query or Query()).condition())
        with self._connected() as connection:
            return int(connection.execute(asked).scalar_one())

    def delete(self, numbers: Sequence[int]) -> int:
        """Remove the rows of these numbers; how many there were."""
        with self._connected() as connection:
            return connection.execute(_ROWS.delete().where(_ROWS.c.id.in_(numbers))).rowcount

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        """A transaction; what the database refuses is told in one line."""
        try:
            with self._engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
            raise Damaged(
                f"The feedback in {_shown(self.url)} cannot be reached: {reason}. "
                f"{URL} names another database."
            ) from error


def _of_home() -> str:
    path = store.home() / "feedback.db"
    path.parent.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{path}"


def _opened(url: str) -> Engine:
    try:
        sqlite = make_url(url).get_backend_name() == "sqlite"
        options: dict[str, Any] = {"connect_args": {"timeout": _PATIENCE}} if sqlite else {}
        engine = sa.create_engine(url, pool_pre_ping=not sqlite, **options)
    except (ArgumentError, NoSuchModuleError) as error:
        raise BadSetting(
            f"{URL} is {_shown(url)!r}; it must be a URL of SQLAlchemy, such as "
            "sqlite:///feedback.db or postgresql+psycopg://user@host/name."
        ) from error
    except ImportError as error:
        raise BadSetting(
            f"The driver of {_shown(url)} is not installed ({error}). For PostgreSQL: "
            "pip install 'quintet[postgres]'."
        ) from error
    if sqlite:
        sa.event.listen(engine, "connect", _write_ahead)
    return engine


def _write_ahead(connection: Any, record: Any) -> None:
    """Readers and a writer do not wait for one another (sqlite.org/wal.html)."""
    connection.execute("PRAGMA journal_mode=WAL")


def _create(connection: Connection) -> None:
    """The table, where it is not there yet; another process may be first."""
    if sa.inspect(connection).has_table(_ROWS.name):
        return
    for made in _definitions():
        try:
            with connection.begin_nested():
                connection.execute(made)
        except SQLAlchemyError:
            if not sa.inspect(connection).has_table(_ROWS.name):
                raise


def _definitions() -> list[sa.Executable]:
    indexes = (sa.schema.CreateIndex(index, if_not_exists=True) for index in _ROWS.indexes)
    return [sa.schema.CreateTable(_ROWS, if_not_exists=True), *indexes]


def _shown(url: str) -> str:
    """Without the password."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return url
