"""What it costs that hardy can be looked at: when nobody looks, and while a trace is recorded."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial

from bench.cells import Aim, Cell
from bench.processes import BenchError, run_python

__all__ = ["OFF_FAMILY", "ON_FAMILY", "cells"]

OFF_FAMILY = "Looked at by nobody: trace hooks, wait rows and tallies of pools, beside a build without"
ON_FAMILY = "The main job while a trace is recorded"
# A folder with the build that leaves both out; `make bench` makes it.
_BLIND = os.environ.get("HARDY_BENCH_BLIND", "")
_BASELINE = "without"
# Each with the most operations of one measurement.
_WHAT: dict[str, int | None] = {
    "put and get": None,
    "int, one way": None,
    "Lock": None,
    "Semaphore": None,
    "submit": 50_000,
    "map of ints": 1_000_000,
}


def _run(what: str, folder: str, count: int) -> float:
    environment = {**os.environ, "PYTHONPATH": folder} if folder else None
    printed = run_python("-m", "bench.watched_run", what, str(count), env=environment)
    seconds, where = printed.split(maxsplit=1)
    if folder and not where.startswith(folder):
        raise BenchError(f"the build without hooks is not what ran, but {where.strip()}")
    return float(seconds)


def cells() -> Iterator[Cell]:
    """The fast ways, on both builds, and the first of them twice: what a build differs from itself; the main job."""
    if _BLIND:
        for what, most in _WHAT.items():
            without = partial(_run, what, _BLIND)
            contenders = {_BASELINE: without, "hardy": partial(_run, what, ""), f"{_BASELINE}, again": without}
            yield Cell(OFF_FAMILY, what, contenders, _BASELINE, {"hardy": Aim(0.97)}, most)
    jobs = {"hardy": partial(_run, "main job", ""), "hardy, traced": partial(_run, "main job, traced", "")}
    yield Cell(ON_FAMILY, "words of the standard library", jobs, "hardy", {"hardy, traced": Aim(0.95)}, most=1)
