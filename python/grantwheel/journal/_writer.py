"""Who writes a journal: one row in its file, with a name that nobody else has."""

import contextlib
import os
import socket
import sqlite3

OWN_NAME = 16  # bytes of a token that are the journal's own


def become_writer(connection: sqlite3.Connection, last: int, known: bytes) -> bytes:
    """Be the one who writes, and return a name for that which nobody else has.

    It begins with the journal's own name, which is that of who wrote before, or what is known of it; one that has none
    gets one.
    """
    row = connection.execute("SELECT token FROM writer").fetchone()
    is_named = row is not None and isinstance(row[0], bytes) and len(row[0]) == 2 * OWN_NAME
    token: bytes = (row[0][:OWN_NAME] if is_named else known or os.urandom(OWN_NAME)) + os.urandom(OWN_NAME)
    connection.execute(
        "INSERT OR REPLACE INTO writer(id, token, pid, host, flushed) VALUES (1, ?, ?, ?, ?)",
        (token, os.getpid(), socket.gethostname(), last),
    )
    return token


def note_last(connection: sqlite3.Connection, last: int, token: bytes) -> None:
    """Say in the file how far it goes, in one more commit: who opens it then misses what is gone."""
    connection.execute("UPDATE writer SET flushed = ? WHERE token = ?", (last, token))


def other_writer(connection: sqlite3.Connection, token: bytes) -> str | None:
    """Say who writes the file, if that is somebody else."""
    with contextlib.suppress(sqlite3.Error):
        row = connection.execute("SELECT pid, host, token FROM writer").fetchone()
        if row is not None and row[2] != token:
            return f"process {row[0]} on {row[1]} writes it"
    return None
