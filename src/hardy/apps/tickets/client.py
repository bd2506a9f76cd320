"""`hardy tickets buy`: an order over HTTP that may be sent again, and buys once."""

from __future__ import annotations

import json
import secrets
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import Any

from hardy.apps.tickets.model import TicketError

__all__ = ["Refused", "buy", "buy_and_tell"]

_TIMEOUT_S = 30.0
# A server that is being replaced is back within seconds.
_TRIES = 6
_FIRST_PAUSE_S = 0.2


class Refused(TicketError):
    """The server said no, and why."""


def buy(
    url: str, event: str, buyer: str, quantity: int, key: str, *, pause: Callable[[float], None] = time.sleep
) -> dict[str, Any]:
    """The order. It is sent again, with the same key, while the server cannot be reached: it buys once.

    Args:
        url: of the server.
        event: name of the event.
        buyer: who buys.
        quantity: how many tickets.
        key: of this purchase.
        pause: between two tries.

    Raises:
        Refused: the server said no.
        OSError: it could not be reached; the order may have been made. Ask again with the same key.
    """
    target = f"{url.rstrip('/')}/events/{urllib.parse.quote(event, safe='')}/orders"
    body = json.dumps({"buyer": buyer, "quantity": quantity}).encode()
    headers = {"Content-Type": "application/json", "Idempotency-Key": key}
    pause_s = _FIRST_PAUSE_S
    for left in reversed(range(_TRIES)):
        request = urllib.request.Request(target, body, headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
                order: dict[str, Any] = json.load(answer)
                return order
        except urllib.error.HTTPError as error:
            with error:
                if error.code < 500 or not left:
                    raise Refused(_reason(error)) from None
        except OSError:
            if not left:
                raise
        pause(pause_s)
        pause_s *= 2
    raise AssertionError("the last try returns or raises")


def _reason(error: urllib.error.HTTPError) -> str:
    text = error.read().decode(errors="replace")
    try:
        return str(json.loads(text)["detail"])
    except (ValueError, KeyError, TypeError):
        return f"the server answered {error.code}: {text[:200]}"


def buy_and_tell(url: str, event: str, buyer: str, quantity: int, key: str | None) -> int:
    """For the command: print the order, or why there is none; the exit status."""
    key = key or secrets.token_hex(8)
    try:
        order = buy(url, event, buyer, quantity, key)
    except Refused as error:
        print(f"not bought: {error}", file=sys.stderr)
        return 1
    except (OSError, ValueError) as error:
        print(
            f"{url} gave no answer ({error}). The order may have been made; this asks again, and buys once:\n"
            f"  hardy tickets buy {url} {event!r} --buyer {buyer!r} --quantity {quantity} --key {key}",
            file=sys.stderr,
        )
        return 1
    print(f"bought: {order['quantity']} for {order['event']}, order {order['id']}")
    return 0
