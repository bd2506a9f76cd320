"""What a store must offer to a sale."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from hardy.apps.tickets.model import Order

__all__ = ["Books", "Store"]


class Books(Protocol):
    """What is written down, inside one transaction."""

    def event_names(self) -> Sequence[str]:
        """All events, in order."""

    def tickets(self, event: str) -> int | None:
        """How many tickets the event has in all; None: there is no such event."""

    def sold(self, event: str) -> int:
        """How many tickets of the event are sold."""

    def add_event(self, event: str, tickets: int) -> None:
        """Write down a new event."""

    def holds(self, event: str) -> Sequence[Order]:
        """The orders of the event that are held, those that are over but were not yet marked among them."""

    def order(self, order_id: str) -> Order | None:
        """The order of that id."""

    def order_by_key(self, key: str) -> Order | None:
        """The order of that key."""

    def orders(self, event: str) -> Sequence[Order]:
        """All orders of the event, the oldest first."""

    def add(self, order: Order) -> None:
        """Write down a new order."""

    def set_state(self, order: Order, state: str) -> None:
        """Write down the new state of a held order."""


class Store(Protocol):
    """Where books are kept. Not for several threads at once."""

    def turn(self) -> AbstractContextManager[Books]:
        """The books, for this process alone. Changes are there when the block ends, and none of them if it raises."""

    def look(self) -> AbstractContextManager[Books]:
        """The books as they are, to be read only, without waiting for a turn."""

    def version(self) -> object:
        """Something that is another after each change; cheap to ask for."""

    def close(self) -> None:
        """Let go of the store; a second call does nothing."""
