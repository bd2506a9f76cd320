"""`python -m bench.watched_run WHAT COUNT`: the seconds that it takes, and where the hardy that ran is installed.

A program of its own, so that the same Python can run one build of hardy or the other.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import repeat

import hardy
from bench.locks import _measure as measure_lock
from bench.messages import MESSAGES
from bench.one_way import _measure as measure_one_way
from bench.peers.hardy_queue import HardyQueue
from bench.pool_run import hardy_executor, hardy_pool, map_ints, submit
from hardy.apps.demo.job import run_job


def _put_and_get(count: int) -> float:
    queue = hardy.Queue()
    put, get = queue.put, queue.get
    start = time.perf_counter()
    for _ in repeat(None, count):
        put(1)
        get()
    return time.perf_counter() - start


def _submit(count: int) -> float:
    with hardy_executor() as side:
        return submit(side, count)


def _map(count: int) -> float:
    with hardy_pool() as side:
        return map_ints(side, count)


def _main_job(count: int) -> float:
    seconds = 0.0
    for _ in range(count):
        outcome = run_job("fork", max(3, os.cpu_count() or 1), 0, 1.0, 0, lambda files, killed: None)
        seconds += outcome.seconds
    return seconds


def _main_job_traced(count: int) -> float:
    # What is drawn when the job is over takes nothing from it.
    with tempfile.TemporaryDirectory() as folder, hardy.trace(f"{folder}/trace.json"):
        return _main_job(count)


_MEASURES: dict[str, Callable[[int], float]] = {
    "put and get": _put_and_get,
    "int, one way": partial(measure_one_way, HardyQueue, MESSAGES[0], False),
    "Lock": partial(measure_lock, hardy.Lock, 1),
    "Semaphore": partial(measure_lock, hardy.Semaphore, 1),
    "submit": _submit,
    "map of ints": _map,
    "main job": _main_job,
    "main job, traced": _main_job_traced,
}


if __name__ == "__main__":
    print(_MEASURES[sys.argv[1]](int(sys.argv[2])), hardy.__file__)
