"""The ticket sale: never oversold, whoever is killed.

    with Sale(open_store("tickets.db")) as sale:
        sale.add_event("concert", 100)
        order = sale.buy("concert", "ada", key="a-click")

`hardy tickets demo | serve | buy` is the command.
"""

from __future__ import annotations

from hardy.apps.tickets.model import (
    BadOrder,
    Event,
    HoldOver,
    KeyReused,
    Order,
    SoldOut,
    TicketError,
    UnknownEvent,
    UnknownOrder,
)
from hardy.apps.tickets.sale import Sale
from hardy.apps.tickets.stores import Store, open_store

__all__ = [
    "BadOrder",
    "Event",
    "HoldOver",
    "KeyReused",
    "Order",
    "Sale",
    "SoldOut",
    "Store",
    "TicketError",
    "UnknownEvent",
    "UnknownOrder",
    "open_store",
]
