"""Where a sale is written down: a JSON file, SQLite, PostgreSQL."""

from __future__ import annotations

from hardy.apps.tickets.model import BadOrder
from hardy.apps.tickets.stores.base import Store

__all__ = ["Store", "open_store"]


def open_store(where: str, *, durable: bool = True) -> Store:
    """The store at `where`, which is made when it is not there.

    Args:
        where: a path that ends in `.json`; one that ends in `.db` or `.sqlite`; or `postgresql://...`.
        durable: whether an order is on the disk when it is told.

    Raises:
        BadOrder: `where` is none of these.
        FileCorrupt: there is something else than a sale.
        OSError: it cannot be reached, or not be written.
    """
    if where.startswith(("postgresql://", "postgres://")):
        from hardy.apps.tickets.stores.postgres_store import PostgresStore

        return PostgresStore(where, durable=durable)
    if where.endswith(".json"):
        from hardy.apps.tickets.stores.json_store import JsonStore

        return JsonStore(where, durable=durable)
    if where.endswith((".db", ".sqlite", ".sqlite3")):
        from hardy.apps.tickets.stores.sqlite_store import SqliteStore

        return SqliteStore(where, durable=durable)
    raise BadOrder(f"a store is a path to a .json, .db or .sqlite file, or a postgresql:// address, not {where!r}")
