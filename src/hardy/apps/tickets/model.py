"""What a sale knows, and what can go wrong with it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from hardy.errors import HardyError

__all__ = [
    "CANCELLED",
    "EXPIRED",
    "HELD",
    "SOLD",
    "BadOrder",
    "Event",
    "HoldOver",
    "KeyReused",
    "Order",
    "SoldOut",
    "TicketError",
    "UnknownEvent",
    "UnknownOrder",
]

# The states of an order. held -> sold | cancelled | expired; the others are final.
HELD, SOLD, CANCELLED, EXPIRED = "held", "sold", "cancelled", "expired"


class TicketError(HardyError):
    """An order that was not made; nothing was sold by it. `status` is what HTTP calls it."""

    status = 409


class BadOrder(TicketError, ValueError):
    """An argument that cannot be meant: a negative stock, an empty name."""

    status = 422


class UnknownEvent(TicketError, LookupError):
    """There is no such event."""

    status = 404


class UnknownOrder(TicketError, LookupError):
    """There is no such order."""

    status = 404


class SoldOut(TicketError):
    """Fewer tickets are left than were asked for."""


class KeyReused(TicketError):
    """The key of an earlier order came with another order: a retry must ask for the same."""

    status = 422


class HoldOver(TicketError):
    """The hold has expired or was cancelled, and its tickets are free again."""


@dataclass(frozen=True)
class Event:
    """The tickets of one event.

    Attributes:
        name: of the event.
        tickets: how many there are in all.
        sold: how many are sold.
        held: how many are held now, to be bought or to be free again.
    """

    name: str
    tickets: int
    sold: int
    held: int

    @property
    def remaining(self) -> int:
        """How many can be bought now."""
        return self.tickets - self.sold - self.held

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "remaining": self.remaining}


@dataclass(frozen=True)
class Order:
    """One order, whole or absent.

    Attributes:
        id: given by the sale.
        key: given by the buyer, once for each purchase that is meant; a retry has the same.
        event: name of the event.
        buyer: who buys.
        quantity: how many tickets.
        state: `held`, `sold`, `cancelled` or `expired`.
        created_at: seconds since the epoch.
        expires_at: of a hold, seconds since the epoch; None for a sale at once.
    """

    id: str
    key: str
    event: str
    buyer: str
    quantity: int
    state: str
    created_at: float
    expires_at: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)
