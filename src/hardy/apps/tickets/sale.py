"""`Sale`: the rules, the same for every store.

An order is one transaction, and only one is under way at a time for an event:

    ask --> wait for the turn --> turn --> read what is left --> write the order --> done
            (a store's own lock)          `------------- one transaction -------------'

A buyer that is killed before the store has written has ordered nothing, one that is killed after has ordered; there
is nothing between. A buyer that does not know which asks again with the same key, and is told.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType

from hardy.apps.tickets.model import (
    CANCELLED,
    EXPIRED,
    HELD,
    SOLD,
    BadOrder,
    Event,
    HoldOver,
    KeyReused,
    Order,
    SoldOut,
    UnknownEvent,
    UnknownOrder,
)
from hardy.apps.tickets.stores.base import Books, Store

__all__ = ["STEPS", "Sale"]

# What `on_step` is called with in an order's life, in this order.
STEPS = ("ask", "turn", "read", "write", "done")
_LONGEST_TEXT = 200


def _nothing(step: str) -> None:
    pass


def _check_text(what: str, text: object) -> str:
    if not isinstance(text, str) or not text.strip() or len(text) > _LONGEST_TEXT or not text.isprintable():
        raise BadOrder(f"{what} must be a printable text of 1 to {_LONGEST_TEXT} characters, and is {text!r:.60}")
    return text


def _check_count(what: str, count: object, least: int) -> int:
    if not isinstance(count, int) or isinstance(count, bool) or not least <= count < 1 << 31:
        raise BadOrder(f"{what} must be a whole number from {least} on, and is {count!r:.60}")
    return count


class Sale:
    """Sells the tickets of events, never more than there are.

    Several processes may have a `Sale` each, over the same store.

    Args:
        store: where it is written down: `open_store`.
        on_step: is called at each step of an order (see STEPS), inside the transaction from "turn" to "write". A retry
            of an order that is there ends after "turn".
        clock: seconds since the epoch.
    """

    def __init__(
        self, store: Store, *, on_step: Callable[[str], None] = _nothing, clock: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._step = on_step
        self._clock = clock

    def add_event(self, name: str, tickets: int) -> Event:
        """A new event; or the one that is there, when it has as many tickets.

        Raises:
            BadOrder: the name or the number cannot be meant, or the event has another number of tickets.
        """
        _check_text("the name of an event", name)
        _check_count("tickets", tickets, 0)
        with self._store.turn() as books:
            known = books.tickets(name)
            if known is None:
                books.add_event(name, tickets)
            elif known != tickets:
                raise BadOrder(f"event {name!r} is there already, with {known} tickets, not {tickets}")
            return self._event(books, name)

    def events(self) -> list[Event]:
        """All events, by name."""
        with self._store.look() as books:
            return [self._event(books, name) for name in books.event_names()]

    def event(self, name: str) -> Event:
        """One event.

        Raises:
            UnknownEvent: there is none of that name.
        """
        with self._store.look() as books:
            return self._event(books, name)

    def buy(self, event: str, buyer: str, key: str, quantity: int = 1) -> Order:
        """Buy at once.

        Args:
            event: name of the event.
            buyer: who buys.
            key: of this purchase; a retry with the same key gives the same order, and sells nothing more.
            quantity: how many tickets.

        Raises:
            SoldOut: fewer are left.
            KeyReused: the key is that of another order.
            UnknownEvent: there is no such event.
            BadOrder: an argument cannot be meant.
        """
        return self._order(event, buyer, key, quantity, None)

    def hold(self, event: str, buyer: str, key: str, quantity: int = 1, *, hold_s: float = 300.0) -> Order:
        """Keep tickets for so many seconds, for `confirm`; after that they are free again by themselves.

        Raises:
            As `buy` does.
        """
        if isinstance(hold_s, bool) or not isinstance(hold_s, (int, float)) or not 0 < hold_s <= 86_400:
            raise BadOrder(f"hold_s must be a number of seconds from 0 to 86400, and is {hold_s!r:.60}")
        return self._order(event, buyer, key, quantity, hold_s)

    def confirm(self, order_id: str) -> Order:
        """Make a sale of a hold; of a sale, nothing more.

        Raises:
            HoldOver: it has expired or was cancelled.
            UnknownOrder: there is no such order.
        """
        with self._store.turn() as books:
            order = self._known(books, order_id)
            if order.state == HELD and not self._is_over(order):
                return self._change(books, order, SOLD)
            if order.state == SOLD:
                return order
            ended = CANCELLED if order.state == CANCELLED else EXPIRED
        raise HoldOver(f"order {order_id} is {ended}: its tickets are free again. Order anew, with a new key")

    def cancel(self, order_id: str) -> Order:
        """Give the tickets of a hold back; of an order that is over already, nothing more.

        Raises:
            HoldOver: it is sold, and a sale is final.
            UnknownOrder: there is no such order.
        """
        with self._store.turn() as books:
            order = self._known(books, order_id)
            if order.state == HELD:
                return self._change(books, order, EXPIRED if self._is_over(order) else CANCELLED)
            if order.state != SOLD:
                return order
        raise HoldOver(f"order {order_id} is sold, and cannot be cancelled any more")

    def order(self, order_id: str) -> Order:
        """One order.

        Raises:
            UnknownOrder: there is none of that id.
        """
        with self._store.look() as books:
            return self._as_of_now(self._known(books, order_id))

    def orders(self, event: str) -> list[Order]:
        """All orders of an event, the oldest first."""
        with self._store.look() as books:
            return [self._as_of_now(order) for order in books.orders(event)]

    def audit(self, event: str) -> list[str]:
        """What is wrong with the books of an event; nothing, as it should be."""
        with self._store.look() as books:
            orders = books.orders(event)
            sold = sum(order.quantity for order in orders if order.state == SOLD)
            seen = self._event(books, event)
        wrong = []
        if sold != seen.sold:
            wrong.append(f"{seen.sold} tickets are counted as sold, and the orders say {sold}")
        if seen.remaining < 0:
            wrong.append(f"oversold by {-seen.remaining}")
        if len({order.key for order in orders}) != len(orders) or len({order.id for order in orders}) != len(orders):
            wrong.append("an order is there twice")
        return wrong

    def close(self) -> None:
        """Close the store; a second call does nothing."""
        self._store.close()

    def __enter__(self) -> Sale:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _order(self, event: str, buyer: str, key: str, quantity: int, hold_s: float | None) -> Order:
        _check_text("the name of an event", event)
        _check_text("the buyer", buyer)
        _check_text("the key", key)
        _check_count("quantity", quantity, 1)
        self._step("ask")
        with self._store.turn() as books:
            self._step("turn")
            earlier = books.order_by_key(key)
            if earlier is not None:
                self._check_same(earlier, event, buyer, quantity)
                return self._as_of_now(earlier)
            now = self._clock()
            for order in books.holds(event):
                if self._is_over(order):
                    self._change(books, order, EXPIRED)
            left = self._event(books, event).remaining
            self._step("read")
            if left < quantity:
                raise SoldOut(f"{left} tickets of {event!r} are left, and {quantity} were asked for; nothing was sold")
            state, until = (SOLD, None) if hold_s is None else (HELD, now + hold_s)
            new = Order(secrets.token_hex(8), key, event, buyer, quantity, state, now, until)
            books.add(new)
            self._step("write")
        self._step("done")
        return new

    @staticmethod
    def _check_same(earlier: Order, event: str, buyer: str, quantity: int) -> None:
        if (earlier.event, earlier.buyer, earlier.quantity) != (event, buyer, quantity):
            raise KeyReused(
                f"key {earlier.key!r} is that of order {earlier.id}, of {earlier.quantity} for {earlier.event!r} by "
                f"{earlier.buyer!r}. Take a new key for a new order, and ask for the same in a retry"
            )

    def _event(self, books: Books, name: str) -> Event:
        tickets = books.tickets(name)
        if tickets is None:
            names = ", ".join(repr(known) for known in books.event_names()) or "none yet"
            raise UnknownEvent(f"there is no event {name!r:.60}. There are: {names}")
        held = sum(order.quantity for order in books.holds(name) if not self._is_over(order))
        return Event(name, tickets, books.sold(name), held)

    @staticmethod
    def _known(books: Books, order_id: str) -> Order:
        order = books.order(order_id)
        if order is None:
            raise UnknownOrder(f"there is no order {order_id!r:.60}")
        return order

    def _is_over(self, order: Order) -> bool:
        return order.expires_at is not None and order.expires_at <= self._clock()

    def _as_of_now(self, order: Order) -> Order:
        """A hold that is over is expired, also before the store has been told."""
        return replace(order, state=EXPIRED) if order.state == HELD and self._is_over(order) else order

    @staticmethod
    def _change(books: Books, order: Order, state: str) -> Order:
        books.set_state(order, state)
        return replace(order, state=state)
