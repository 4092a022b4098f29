"""Connections to SQLite of which a statement fails when a test says so."""

import sqlite3
from typing import cast

from grantwheel.journal.sqlite import SqliteJournal


class Failing:
    """A connection of which one statement fails, before it is carried out or after that."""

    def __init__(self, inner: sqlite3.Connection, statement: str, error: BaseException, *, after: bool = False) -> None:
        self._inner = inner
        self._statement = statement
        self._error: BaseException | None = error
        self._after = after

    def execute(self, statement: str, *arguments: object) -> object:
        if self._error is None or not statement.startswith(self._statement):
            return self._inner.execute(statement, *arguments)  # type: ignore[arg-type]
        error, self._error = self._error, None
        if self._after:
            self._inner.execute(statement, *arguments)  # type: ignore[arg-type]
        raise error

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)


def let_fail(journal: SqliteJournal, statement: str, error: BaseException, *, after: bool = False) -> None:
    assert journal._writing is not None
    journal._writing = cast(sqlite3.Connection, Failing(journal._writing, statement, error, after=after))


def failed(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = code
    return error
