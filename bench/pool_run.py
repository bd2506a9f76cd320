"""`python -m bench.pool_run WHO WHAT COUNT`: the seconds that a pool takes for COUNT tasks.

A program of its own, so that each pool has a small, fresh parent. All pools fork, and have two workers. What comes
back is checked.
"""

from __future__ import annotations

import collections
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

WORKERS = 2
_ARRAY = np.full(1 << 20, 1.5)
_SEVERAL = 4


def same(value: Any) -> Any:
    """The task: next to nothing."""
    return value


def more(array: Any) -> Any:
    """The task with an array in and out."""
    return array + 1.0


class Side:
    """A pool to be measured.

    Attributes:
        submit: gives a task to it, and returns what `wait` takes; for many at once.
        wait: gives the result.
        apply: gives a task to it and waits for the result.
        map: all results of a function for a list, with the pool's own chunks.
    """

    def __init__(
        self,
        submit: Callable[..., Any],
        wait: Callable[[Any], Any],
        map: Callable[..., Any],
        apply: Callable[..., Any] | None = None,
    ) -> None:
        self.submit = submit
        self.wait = wait
        self.apply = apply or (lambda function, value: wait(submit(function, value)))
        self.map = map


def _result(future: Any) -> Any:
    return future.result()


def _get(result: Any) -> Any:
    return result.get()


@contextmanager
def hardy_pool() -> Iterator[Side]:
    import hardy

    with hardy.get_context("fork").Pool(WORKERS) as pool:
        yield Side(lambda f, x: pool.apply_async(f, (x,)), _get, pool.map, lambda f, x: pool.apply(f, (x,)))


@contextmanager
def hardy_executor() -> Iterator[Side]:
    import hardy

    with hardy.ProcessPoolExecutor(WORKERS, hardy.get_context("fork")) as pool:
        yield Side(pool.submit, _result, lambda f, xs: list(pool.map(f, xs, chunksize=len(xs) // 8 or 1)))


@contextmanager
def stdlib_pool() -> Iterator[Side]:
    import multiprocessing

    with multiprocessing.get_context("fork").Pool(WORKERS) as pool:
        yield Side(lambda f, x: pool.apply_async(f, (x,)), _get, pool.map, lambda f, x: pool.apply(f, (x,)))


@contextmanager
def stdlib_executor() -> Iterator[Side]:
    import concurrent.futures
    import multiprocessing

    with concurrent.futures.ProcessPoolExecutor(WORKERS, multiprocessing.get_context("fork")) as pool:
        yield Side(pool.submit, _result, lambda f, xs: list(pool.map(f, xs, chunksize=len(xs) // 8 or 1)))


@contextmanager
def loky() -> Iterator[Side]:
    from loky import ProcessPoolExecutor

    with ProcessPoolExecutor(WORKERS) as pool:
        yield Side(pool.submit, _result, lambda f, xs: list(pool.map(f, xs, chunksize=len(xs) // 8 or 1)))


@contextmanager
def pebble() -> Iterator[Side]:
    import multiprocessing

    from pebble import ProcessPool

    with ProcessPool(WORKERS, context=multiprocessing.get_context("fork")) as pool:
        yield Side(
            lambda f, x: pool.schedule(f, args=(x,)),
            _result,
            lambda f, xs: list(pool.map(f, xs, chunksize=len(xs) // 8 or 1).result()),
        )


@contextmanager
def mpire() -> Iterator[Side]:
    from mpire import WorkerPool

    with WorkerPool(WORKERS, start_method="fork") as pool:
        yield Side(
            lambda f, x: pool.apply_async(f, args=(x,)),
            _get,
            lambda f, xs: pool.map(f, xs, concatenate_numpy_output=False),
        )


@contextmanager
def joblib() -> Iterator[Side]:
    from joblib import Parallel, delayed

    # The fastest of its ways that uses processes; it has no call for one task.
    with Parallel(n_jobs=WORKERS, backend="multiprocessing", max_nbytes=None) as parallel:

        def run(function: Callable[[Any], Any], values: Any) -> Any:
            return parallel(delayed(function)(value) for value in values)

        yield Side(lambda f, x: run(f, [x]), lambda results: results[0], run)


SIDES = {
    "hardy": hardy_pool,
    "hardy executor": hardy_executor,
    "multiprocessing": stdlib_pool,
    "concurrent.futures": stdlib_executor,
    "loky": loky,
    "pebble": pebble,
    "mpire": mpire,
    "joblib": joblib,
}


def _check(fine: bool) -> None:
    if not fine:
        raise SystemExit("a wrong result came back")


def submit(side: Side, count: int) -> float:
    """No-op tasks, all given, then all waited for."""
    began = time.perf_counter()
    handles = [side.submit(same, n) for n in range(count)]
    results = [side.wait(handle) for handle in handles]
    seconds = time.perf_counter() - began
    _check(results == list(range(count)))
    return seconds


def apply(side: Side, count: int) -> float:
    """No-op tasks, one after the other."""
    apply = side.apply
    began = time.perf_counter()
    for n in range(count):
        if apply(same, n) != n:
            _check(False)
    return time.perf_counter() - began


def map_ints(side: Side, count: int) -> float:
    """One call over ints, with the pool's own chunks."""
    values = list(range(count))
    began = time.perf_counter()
    results = side.map(same, values)
    seconds = time.perf_counter() - began
    _check(list(results) == values)
    return seconds


def arrays(side: Side, count: int) -> float:
    """Arrays of 8 MiB in and out, four on their way."""
    waiting: collections.deque[Any] = collections.deque()
    began = time.perf_counter()
    for _ in range(count):
        if len(waiting) == _SEVERAL:
            result = side.wait(waiting.popleft())
        waiting.append(side.submit(more, _ARRAY))
    while waiting:
        result = side.wait(waiting.popleft())
    seconds = time.perf_counter() - began
    _check(bool((result == 2.5).all()))
    return seconds


WHAT = {"submit": submit, "apply": apply, "map": map_ints, "arrays": arrays}


def main() -> None:
    """Print the seconds."""
    who, what, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    if what == "start":

        def once() -> None:
            with SIDES[who]() as side:
                _check(side.apply(same, 1) == 1)

        once()  # imports the library
        began = time.perf_counter()
        for _ in range(count):
            once()
        print(time.perf_counter() - began)
        return
    with SIDES[who]() as side:
        # All workers are there, and have the function.
        warm = [side.submit(same, n) for n in range(8)]
        _check([side.wait(each) for each in warm] == list(range(8)))
        print(WHAT[what](side, count))


if __name__ == "__main__":
    main()
