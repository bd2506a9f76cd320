"""Acquire and release of locks and of a semaphore: alone, and between two processes."""

from __future__ import annotations

import mmap
import multiprocessing
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import repeat
from typing import Any

import hardy
from bench.cells import Aim, Cell
from bench.processes import BenchError, Gate, run_roles

__all__ = ["FAMILY", "cells"]

FAMILY = "Locks, acquire and release"
_BASELINE = "multiprocessing"
_KINDS: tuple[tuple[str, dict[str, Callable[[], Any]]], ...] = (
    ("Lock", {"hardy": hardy.Lock, _BASELINE: multiprocessing.Lock}),
    ("RLock", {"hardy": hardy.RLock, _BASELINE: multiprocessing.RLock}),
    ("Semaphore", {"hardy": hardy.Semaphore, _BASELINE: multiprocessing.Semaphore}),
)


def _turns(lock: Any, counter: memoryview, count: int, gate: Gate) -> tuple[int, int]:
    acquire, release = lock.acquire, lock.release
    gate.opened()
    gate.ready()
    start_ns = time.monotonic_ns()
    for _ in repeat(None, count):
        acquire()
        # Two processes that are inside at once lose a count.
        counter[0] += 1
        release()
    return start_ns, time.monotonic_ns()


def _measure(make: Callable[[], Any], processes: int, count: int) -> float:
    each = max(1, count // processes)
    counter = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("Q")
    role = partial(_turns, make(), counter, each)
    spans = run_roles([role] * processes)
    if counter[0] != each * processes:
        raise BenchError(f"{make.__name__}: {counter[0]} turns counted of {each * processes}: no exclusion")
    seconds = (max(end for _, end in spans) - min(start for start, _ in spans)) / 1e9
    return float(seconds * count / (each * processes))


def cells() -> Iterator[Cell]:
    """Alone and contended, for each kind."""
    for kind, makers in _KINDS:
        for name, processes in ((f"{kind}, alone", 1), (f"{kind}, two processes", 2)):
            contenders = {who: partial(_measure, make, processes) for who, make in makers.items()}
            yield Cell(FAMILY, name, contenders, _BASELINE, {"hardy": Aim(1)})
