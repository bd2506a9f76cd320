"""`hardy tickets serve`: the application on uvicorn, in processes of hardy that share one listening socket."""

from __future__ import annotations

import sys

from hardy.apps._web import Site, address_of, keep_serving, listen
from hardy.apps.tickets.model import BadOrder
from hardy.apps.tickets.sale import Sale
from hardy.apps.tickets.stores import open_store
from hardy.apps.tickets.web import make_app
from hardy.errors import HardyError

__all__ = ["run"]


def run(where: str, events: list[str], host: str, port: int, workers: int) -> int:
    """Serve until SIGINT or SIGTERM; the exit status."""
    if workers < 1:
        print(f"hardy tickets serve: --workers must be 1 at least, not {workers}", file=sys.stderr)
        return 2
    try:
        with Sale(open_store(where)) as sale:
            for text in events:
                sale.add_event(*_parse_event(text))
            offered = sale.events()
        listener = listen(host, port)
    except (HardyError, OSError, ImportError) as error:
        print(f"hardy tickets serve: {error}", file=sys.stderr)
        return 1
    with listener:
        print(f"selling at {address_of(listener, host)} ({len(offered)} events, books in {where})", flush=True)
        if not offered:
            print("no event is on offer yet: start it with --event NAME=TICKETS", flush=True)
        site = Site("hardy tickets serve", "tickets", make_app, (where,), "no order was lost")
        return keep_serving(site, listener, workers)


def _parse_event(text: str) -> tuple[str, int]:
    name, found, number = text.rpartition("=")
    if not found or not name or not number.strip().lstrip("-").isdigit():
        raise BadOrder(f"an event is given as NAME=TICKETS, as in concert=100, not {text!r}")
    return name, int(number)
