"""Orders per second of the ticket sale, by store: one buyer, and four at once; on the disk, and not."""

from __future__ import annotations

import atexit
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

from bench.cells import Cell
from bench.processes import BenchError, Gate, run_roles
from hardy.apps.tickets import Sale, open_store
from tests.helpers.postgres import Postgres, postgres_server

__all__ = ["FAMILY", "cells"]

FAMILY = "Tickets, orders per second"
_BASELINE = "JSON file"
_BUYERS = (1, 4)
# A JSON file is written whole at each order: the cells stop before that decides.
_MOST = 400
_EVENT = "bench"

# One server for all measurements, ended with the bench.
_until_the_end = ExitStack()
atexit.register(_until_the_end.close)


def _buy(where: str, durable: bool, number: int, count: int, gate: Gate) -> tuple[int, int]:
    with Sale(open_store(where, durable=durable)) as sale:
        gate.opened()
        gate.ready()
        start_ns = time.monotonic_ns()
        for order in range(count):
            sale.buy(_EVENT, f"buyer-{number}", f"{number}-{order}")
        return start_ns, time.monotonic_ns()


def _measure(kind: str, postgres: Postgres | None, durable: bool, buyers: int, count: int) -> float:
    each = max(1, count // buyers)
    with tempfile.TemporaryDirectory(prefix="hardy-bench-") as folder:
        where = postgres.new_database() if postgres and kind == "postgres" else f"{folder}/tickets.{kind}"
        with Sale(open_store(where, durable=False)) as sale:
            sale.add_event(_EVENT, each * buyers)
        spans = run_roles([partial(_buy, where, durable, number, each) for number in range(buyers)])
        with Sale(open_store(where)) as sale:
            if sale.event(_EVENT).remaining or sale.audit(_EVENT):
                raise BenchError(f"{kind}: {sale.event(_EVENT)}, {sale.audit(_EVENT)}")
    seconds = (max(end for _, end in spans) - min(start for start, _ in spans)) / 1e9
    return float(seconds * count / (each * buyers))


def cells() -> Iterator[Cell]:
    """A cell for each number of buyers, with and without fsync; PostgreSQL where its programs are installed."""
    kinds = {_BASELINE: "json", "SQLite": "db"}
    postgres = _until_the_end.enter_context(postgres_server())
    if postgres:
        kinds["PostgreSQL"] = "postgres"
    for durable in (True, False):
        for buyers in _BUYERS:
            name = f"{buyers} buyer{'s' if buyers > 1 else ''}, {'fsync' if durable else 'no fsync'}"
            contenders = {who: partial(_measure, kind, postgres, durable, buyers) for who, kind in kinds.items()}
            yield Cell(FAMILY, name, contenders, _BASELINE, most=_MOST)
