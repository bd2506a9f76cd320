"""Books in a PostgreSQL database (the extra `hardy[postgres]`).

The turn is an advisory lock of the transaction, whose waiters PostgreSQL serves in the order of their coming; it ends
with the connection, so that a killed buyer keeps nobody waiting once the server has noticed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hardy.apps.tickets.stores.sql_books import SCHEMA, SqlBooks

__all__ = ["PostgresStore"]

# One number among all advisory locks of the database: "tickets" as eight bytes.
_TURN = int.from_bytes(b"tickets\0", "big")


class PostgresStore:
    """Books in two tables, `ticket_events` and `ticket_orders`, which are made when they are not there.

    Args:
        url: `postgresql://user:password@host/database`, or any other form that psycopg takes.
        durable: whether an order is on the server's disk when it is told (`synchronous_commit`).
    """

    def __init__(self, url: str, *, durable: bool = True) -> None:
        try:
            import psycopg
        except ImportError as error:
            raise ImportError("a PostgreSQL store needs psycopg: pip install 'hardy[postgres]'") from error
        try:
            self._connection = psycopg.connect(url, autocommit=True, connect_timeout=10)
        except psycopg.OperationalError as error:
            raise OSError(f"the ticket store cannot be reached: {error}") from error
        self._connection.execute(f"SET synchronous_commit = {'on' if durable else 'off'}")
        with self.turn():
            for statement in SCHEMA:
                self._execute(statement, ())

    @contextmanager
    def turn(self) -> Iterator[SqlBooks]:
        with self._connection.transaction():
            self._execute("SELECT pg_advisory_xact_lock(?)", (_TURN,))
            yield SqlBooks(self._execute)

    @contextmanager
    def look(self) -> Iterator[SqlBooks]:
        with self._connection.transaction():
            self._execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY", ())
            yield SqlBooks(self._execute)

    def version(self) -> object:
        # The number of the next transaction that changes something; others than ours count too.
        return self._execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text", ())[0][0]

    def close(self) -> None:
        self._connection.close()

    def _execute(self, statement: str, values: Sequence[Any]) -> Sequence[Sequence[Any]]:
        # The statements of hardy hold no other question mark.
        cursor = self._connection.execute(statement.replace("?", "%s"), values)
        return cursor.fetchall() if cursor.description else []
