"""The time of a round trip: an int there through one queue, and back through another.

One right after the other, when both sides may find the answer before they have gone to sleep; and after a pause,
when both sleep, so that each message must wake its reader.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from itertools import repeat

from bench import plain
from bench.cells import Aim, Cell, Measure
from bench.peers import PEERS, Channel
from bench.peers.stdlib_queue import StdlibQueue
from bench.processes import BenchError, Gate, run_roles

__all__ = ["FAMILY", "cells"]

FAMILY = "Round trip"
_BOUND = 1000
# Longer than anyone spins, and short enough for hundreds of round trips a measurement.
_PAUSE_S = 0.001
# The pauses are not in the time of a measurement; so many make one of about a third of a second.
_MOST_PARKED = 300


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


def _ask(there: Channel, back: Channel, count: int, pause_s: float, gate: Gate) -> float:
    receive = back.receiver()
    send = there.sender()
    gate.opened()
    send(0)
    receive()
    gate.ready()
    paused_ns = 0
    start_ns = time.monotonic_ns()
    for number in range(count):
        if pause_s:
            before_ns = time.monotonic_ns()
            time.sleep(pause_s)
            paused_ns += time.monotonic_ns() - before_ns
        send(number)
        if receive() != number:
            raise BenchError(f"another number came back than {number}")
    end_ns = time.monotonic_ns()
    there.finish()
    back.finish()
    return (end_ns - start_ns - paused_ns) / 1e9


def _measure(kind: type[Channel], pause_s: float, count: int) -> float:
    there, back = kind(_BOUND, 8), kind(_BOUND, 8)
    _, seconds = run_roles((partial(_echo, there, back, count), partial(_ask, there, back, count, pause_s)))
    return float(seconds)


def cells() -> Iterator[Cell]:
    """An int: both sides busy, and both parked."""
    for name, pause_s, aims in (
        ("int, both sides busy", 0.0, {"hardy": Aim(100)}),
        ("int, both sides parked", _PAUSE_S, {"hardy": Aim(7, prototype=6.6)}),
    ):
        contenders: dict[str, Measure] = {kind.name: partial(_measure, kind, pause_s) for kind in PEERS}
        if plain.find_compiler():
            contenders[plain.NAME] = partial(plain.measure, ("round-trip", str(round(pause_s * 1e9))))
        yield Cell(FAMILY, name, contenders, StdlibQueue.name, aims, most=_MOST_PARKED if pause_s else None)
