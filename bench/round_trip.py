"""The time of a round trip: an int there through one queue, and back through another."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from itertools import repeat

from bench.cells import Cell
from bench.peers import PEERS, Channel
from bench.peers.stdlib_queue import StdlibQueue
from bench.processes import BenchError, Gate, run_roles

__all__ = ["FAMILY", "cells"]

FAMILY = "Round trip"
_BOUND = 1000
# 44 us over 6.7 us: without spinning before a sleep.
_PROTOTYPE = 6.6


def _echo(there: Channel, back: Channel, count: int, gate: Gate) -> None:
    receive = there.receiver()
    gate.opened()
    send = back.sender()
    send(receive())
    gate.ready()
    for _ in repeat(None, count):
        send(receive())
    there.finish()
    back.finish()


def _ask(there: Channel, back: Channel, count: int, gate: Gate) -> float:
    receive = back.receiver()
    send = there.sender()
    gate.opened()
    send(0)
    receive()
    gate.ready()
    start_ns = time.monotonic_ns()
    for number in range(count):
        send(number)
        if receive() != number:
            raise BenchError(f"another number came back than {number}")
    end_ns = time.monotonic_ns()
    there.finish()
    back.finish()
    return (end_ns - start_ns) / 1e9


def _measure(kind: type[Channel], count: int) -> float:
    there, back = kind(_BOUND, 8), kind(_BOUND, 8)
    _, seconds = run_roles((partial(_echo, there, back, count), partial(_ask, there, back, count)))
    return float(seconds)


def cells() -> Iterator[Cell]:
    """One cell: an int."""
    contenders = {kind.name: partial(_measure, kind) for kind in PEERS}
    yield Cell(FAMILY, "int", contenders, StdlibQueue.name, _PROTOTYPE)
