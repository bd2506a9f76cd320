"""Books in two tables of an SQL database, written so that SQLite and PostgreSQL understand it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from hardy.apps.tickets.model import HELD, SOLD, Order

__all__ = ["SCHEMA", "SqlBooks"]

# Times are seconds since the epoch, in eight bytes in either database.
SCHEMA = (
    """CREATE TABLE IF NOT EXISTS ticket_events (
        name TEXT PRIMARY KEY,
        tickets INTEGER NOT NULL CHECK (tickets >= 0),
        sold INTEGER NOT NULL DEFAULT 0,
        CHECK (sold >= 0 AND sold <= tickets)
    )""",
    """CREATE TABLE IF NOT EXISTS ticket_orders (
        id TEXT PRIMARY KEY,
        key TEXT NOT NULL UNIQUE,
        event TEXT NOT NULL REFERENCES ticket_events (name),
        buyer TEXT NOT NULL,
        quantity INTEGER NOT NULL CHECK (quantity > 0),
        state TEXT NOT NULL,
        created_at DOUBLE PRECISION NOT NULL,
        expires_at DOUBLE PRECISION
    )""",
    "CREATE INDEX IF NOT EXISTS ticket_holds ON ticket_orders (event) WHERE state = 'held'",
)
_COLUMNS = "id, key, event, buyer, quantity, state, created_at, expires_at"
_FIND = f"SELECT {_COLUMNS} FROM ticket_orders WHERE"


class SqlBooks:
    """Books inside one transaction.

    Args:
        execute: runs a statement, whose places are `?`, with its values, and gives the rows.
    """

    def __init__(self, execute: Callable[[str, Sequence[Any]], Iterable[Sequence[Any]]]) -> None:
        self._execute = execute

    def event_names(self) -> Sequence[str]:
        return [row[0] for row in self._execute("SELECT name FROM ticket_events ORDER BY name", ())]

    def tickets(self, event: str) -> int | None:
        return self._number("SELECT tickets FROM ticket_events WHERE name = ?", event)

    def sold(self, event: str) -> int:
        return self._number("SELECT sold FROM ticket_events WHERE name = ?", event) or 0

    def add_event(self, event: str, tickets: int) -> None:
        self._execute("INSERT INTO ticket_events (name, tickets) VALUES (?, ?)", (event, tickets))

    def holds(self, event: str) -> Sequence[Order]:
        return self._orders(f"{_FIND} state = '{HELD}' AND event = ?", event)

    def order(self, order_id: str) -> Order | None:
        return next(iter(self._orders(f"{_FIND} id = ?", order_id)), None)

    def order_by_key(self, key: str) -> Order | None:
        return next(iter(self._orders(f"{_FIND} key = ?", key)), None)

    def orders(self, event: str) -> Sequence[Order]:
        return self._orders(f"{_FIND} event = ? ORDER BY created_at, id", event)

    def add(self, order: Order) -> None:
        values = tuple(order.as_dict().values())
        self._execute(f"INSERT INTO ticket_orders ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
        self._count_sale(order, order.state)

    def set_state(self, order: Order, state: str) -> None:
        self._execute("UPDATE ticket_orders SET state = ? WHERE id = ?", (state, order.id))
        self._count_sale(order, state)

    def _count_sale(self, order: Order, state: str) -> None:
        if state == SOLD:
            statement = "UPDATE ticket_events SET sold = sold + ? WHERE name = ?"
            self._execute(statement, (order.quantity, order.event))

    def _number(self, statement: str, value: str) -> int | None:
        row = next(iter(self._execute(statement, (value,))), None)
        return None if row is None else int(row[0])

    def _orders(self, statement: str, value: str) -> Sequence[Order]:
        return [Order(*row) for row in self._execute(statement, (value,))]
