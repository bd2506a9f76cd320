"""Books in one JSON file, replaced whole at each change (`hardy.locked_json`)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hardy.apps.tickets.model import HELD, SOLD, Order
from hardy.errors import FileCorrupt
from hardy.files import AtomicFile, locked_json

__all__ = ["JsonStore"]

_EMPTY: dict[str, Any] = {"events": {}, "orders": []}


class _JsonBooks:
    """The books as they are in the file: events by name, and a list of orders."""

    def __init__(self, content: dict[str, Any], path: str) -> None:
        try:
            self._events: dict[str, dict[str, int]] = content["events"]
            self._rows: list[dict[str, Any]] = content["orders"]
            self._orders = [Order(**row) for row in self._rows]
            self._counts = {name: (int(row["tickets"]), int(row["sold"])) for name, row in self._events.items()}
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise FileCorrupt(path, f"it is not the file of a ticket sale ({type(error).__name__}: {error})") from None

    def event_names(self) -> Sequence[str]:
        return sorted(self._events)

    def tickets(self, event: str) -> int | None:
        return self._events[event]["tickets"] if event in self._events else None

    def sold(self, event: str) -> int:
        return self._events[event]["sold"]

    def add_event(self, event: str, tickets: int) -> None:
        self._events[event] = {"tickets": tickets, "sold": 0}

    def holds(self, event: str) -> Sequence[Order]:
        return [order for order in self._orders if order.event == event and order.state == HELD]

    def order(self, order_id: str) -> Order | None:
        return next((order for order in self._orders if order.id == order_id), None)

    def order_by_key(self, key: str) -> Order | None:
        return next((order for order in self._orders if order.key == key), None)

    def orders(self, event: str) -> Sequence[Order]:
        return [order for order in self._orders if order.event == event]

    def add(self, order: Order) -> None:
        self._rows.append(order.as_dict())
        self._orders.append(order)
        if order.state == SOLD:
            self._events[order.event]["sold"] += order.quantity

    def set_state(self, order: Order, state: str) -> None:
        index = next(index for index, known in enumerate(self._orders) if known.id == order.id)
        self._rows[index]["state"] = state
        self._orders[index] = Order(**self._rows[index])
        if state == SOLD:
            self._events[order.event]["sold"] += order.quantity


class JsonStore:
    """Books in a JSON file: to be read with the eyes, and for hundreds of orders rather than for thousands.

    Args:
        path: of the file; it need not exist.
        durable: whether an order is on the disk when it is told (see `AtomicFile`).
    """

    def __init__(self, path: str | os.PathLike[str], *, durable: bool = True) -> None:
        self._file = AtomicFile(path, durable=durable)
        self._durable = durable
        with self.look():
            pass  # a file that is none of a sale is refused now, not at the first order

    @contextmanager
    def turn(self) -> Iterator[_JsonBooks]:
        with locked_json(self._file.path, _EMPTY, durable=self._durable) as content:
            yield _JsonBooks(content, self._file.path)

    @contextmanager
    def look(self) -> Iterator[_JsonBooks]:
        text = self._file.read()
        try:
            content = json.loads(text) if text.strip() else {"events": {}, "orders": []}
        except ValueError as error:
            raise FileCorrupt(self._file.path, f"it is not JSON: {error}") from None
        yield _JsonBooks(content, self._file.path)

    def version(self) -> object:
        try:
            seen = os.stat(self._file.path)
        except FileNotFoundError:
            return None
        return seen.st_ino, seen.st_mtime_ns, seen.st_size

    def close(self) -> None:
        """Nothing is kept open."""
