"""Books in an SQLite database.

SQLite lets one process write at a time, but whoever waits looks again now and then, and one that comes back at once
wins: of ten processes one sold all of 5,000 tickets. So a process takes its turn at a lock that passes nobody over
(`hardy.files`), and only then begins its transaction.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hardy.apps.tickets.stores.sql_books import SCHEMA, SqlBooks
from hardy.errors import FileCorrupt
from hardy.files import AtomicFile

__all__ = ["SqliteStore"]

# For programs that write to the database without taking turns.
_BUSY_S = 30.0


class SqliteStore:
    """Books in an SQLite file; beside it are SQLite's own `-wal` and `-shm` while it is open.

    Args:
        path: of the file; it need not exist.
        durable: whether an order is on the disk when it is told (`synchronous=FULL`); without it the last orders may
            be missing after a power failure, never after the death of a process.
    """

    def __init__(self, path: str | os.PathLike[str], *, durable: bool = True) -> None:
        self._path = os.path.realpath(os.fspath(path))
        # Never read or written through this: it is the lock of that name.
        self._turns = AtomicFile(self._path)
        try:
            self._database = sqlite3.connect(self._path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
            with self._turns:
                self._database.execute("PRAGMA journal_mode = WAL")
                for statement in SCHEMA:
                    self._database.execute(statement)
            self._database.execute(f"PRAGMA synchronous = {'FULL' if durable else 'OFF'}")
        except sqlite3.OperationalError as error:
            raise OSError(f"the ticket store {self._path!r} cannot be opened: {error}") from error
        except sqlite3.DatabaseError as error:
            raise FileCorrupt(self._path, f"it is no SQLite database ({error})") from None

    @contextmanager
    def turn(self) -> Iterator[SqlBooks]:
        with self._turns:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield SqlBooks(self._execute)
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    @contextmanager
    def look(self) -> Iterator[SqlBooks]:
        self._database.execute("BEGIN")
        try:
            yield SqlBooks(self._execute)
        finally:
            self._database.execute("ROLLBACK")

    def version(self) -> object:
        # The former is another after a change by another connection, the latter after one by this.
        return self._database.execute("PRAGMA data_version").fetchone()[0], self._database.total_changes

    def close(self) -> None:
        self._database.close()

    def _execute(self, statement: str, values: Sequence[Any]) -> list[Sequence[Any]]:
        return self._database.execute(statement, values).fetchall()
