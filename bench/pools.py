"""Pools of workers: tasks that do nothing, one at a time and many, arrays in and out, the start of a pool."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from bench.cells import Aim, Cell
from bench.processes import run_python

__all__ = ["FAMILY", "cells"]

FAMILY = "Pools, two workers"
_EVERYBODY = ("hardy", "multiprocessing", "concurrent.futures", "loky", "pebble", "mpire")
_LIMIT_S = 60
# A million: what the aim is for.
_MOST_ITEMS = 1_000_000
_MOST_ARRAYS = 40
_MOST_TASKS = 50_000


def _measure(who: str, what: str, count: int) -> float:
    return float(run_python("-m", "bench.pool_run", who, what, str(count), limit_s=_LIMIT_S))


def _cell(name: str, what: str, who: tuple[str, ...], baseline: str, aim: Aim, most: int) -> Cell:
    contenders = {each: partial(_measure, each, what) for each in who}
    return Cell(FAMILY, name, contenders, baseline, {"hardy": aim}, most)


def cells() -> Iterator[Cell]:
    """One for each way to use a pool."""
    submit = _cell("no-op, submit", "submit", _EVERYBODY, "concurrent.futures", Aim(7, 7), _MOST_TASKS)
    yield replace(submit, contenders={**submit.contenders, "hardy": partial(_measure, "hardy executor", "submit")})
    yield _cell("no-op, apply_async", "submit", _EVERYBODY, "multiprocessing", Aim(2.5, 2.5), _MOST_TASKS)
    yield _cell("no-op, one after the other", "apply", _EVERYBODY, "multiprocessing", Aim(2, 2), _MOST_TASKS)
    # mpire's map fails behind its apply_async, which starts the workers here.
    mappers = (*(each for each in _EVERYBODY if each != "mpire"), "joblib")
    yield _cell("map of ints", "map", mappers, "multiprocessing", Aim(1), _MOST_ITEMS)
    yield _cell("8 MiB array in and out", "arrays", (*_EVERYBODY, "joblib"), "multiprocessing", Aim(1), _MOST_ARRAYS)
    yield _cell("start, one task, end", "start", (*_EVERYBODY, "joblib"), "multiprocessing", Aim(1), 200)
