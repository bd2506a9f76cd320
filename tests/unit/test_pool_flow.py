"""How tasks go in and results come out: ahead of the reader, in order, as they are ready, with asyncio."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import itertools
import threading
import weakref
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.pool_tasks import (
    add,
    array_sum,
    pid_of_worker,
    put_pid_of_worker_in_the_place_of_square,
    square,
    start_and_wait,
    use_a_pool,
    wait_for_file,
)
from helpers.procs import wait_dead
from helpers.waiting import wait_until

import hardy

METHODS = ("fork", "spawn", "forkserver")
GIVE_UP_S = 30.0


class Counted:
    """An endless input that knows how much of it was taken."""

    def __init__(self) -> None:
        self.taken = 0

    def __iter__(self) -> Iterator[int]:
        while True:
            self.taken += 1
            yield self.taken - 1


@pytest.mark.parametrize("method", METHODS)
def test_pool_has_the_four_ways(method: str) -> None:
    """Asked for at once or later, waited for or looked at."""
    with hardy.get_context(method).Pool(2) as pool:
        assert pool.apply(add, (1,), {"b": 2}) == 3
        result = pool.apply_async(add, (1, 2))
        assert result.get(GIVE_UP_S) == 3
        assert result.ready()
        assert result.successful()
        assert pool.map(square, range(5)) == [0, 1, 4, 9, 16]
        assert pool.starmap(add, [(1, 2), (3, 4)]) == [3, 7]
        assert pool.starmap_async(add, [(1, 2)]).get(GIVE_UP_S) == [3]
        assert list(pool.imap(square, range(5), 2)) == [0, 1, 4, 9, 16]
        assert sorted(pool.imap_unordered(square, range(5))) == [0, 1, 4, 9, 16]
        assert pool.map(square, []) == []
        pool.close()
        pool.join()


def test_get_says_so_when_it_is_too_early(tmp_path: Path) -> None:
    """`multiprocessing.TimeoutError`, as there."""
    with hardy.Pool(1) as pool:
        result = pool.apply_async(wait_for_file, (str(tmp_path / "go"),))
        stream = pool.imap(square, [1])

        with pytest.raises(hardy.TimeoutError):
            result.get(0.01)
        with pytest.raises(hardy.TimeoutError):
            stream.next(0.01)
        with pytest.raises(ValueError, match="not ready"):
            result.successful()
        (tmp_path / "go").touch()
        assert stream.next(GIVE_UP_S) == 1


@pytest.mark.parametrize("name", ["imap", "imap_unordered"])
def test_endless_input_is_taken_only_so_far_ahead(name: str) -> None:
    """What is taken is bounded by what was read."""
    numbers = Counted()
    with hardy.Pool(2) as pool:
        stream = getattr(pool, name)(square, numbers)
        first = [next(stream) for _ in range(20)]

        assert numbers.taken <= 20 + 64
    assert len(set(first)) == 20


@pytest.mark.parametrize("buffersize", [None, 2])
def test_join_returns_when_only_a_part_was_read(buffersize: int | None) -> None:
    """CPython's issue 155477; also for an input without an end. The reader is told that there is no more."""
    pool = hardy.Pool(2)
    sized = pool.imap(square, range(1000), buffersize=buffersize)
    endless = pool.imap(square, itertools.count(), buffersize=buffersize)
    next(sized)
    next(endless)

    pool.close()
    pool.join()

    with pytest.raises(hardy.Closed, match="joined before all of the input was taken"):
        list(endless)


def test_join_runs_all_of_an_input_that_nobody_has_begun_to_read() -> None:
    """As with the standard library: close, join, then read."""
    pool = hardy.Pool(2)
    stream = pool.imap(square, (n for n in range(500)))

    pool.close()
    pool.join()

    assert list(stream) == [n * n for n in range(500)]


def test_input_goes_on_being_read_when_the_pool_is_closed() -> None:
    """close, read, join."""
    pool = hardy.Pool(2)
    stream = pool.imap_unordered(square, (n for n in range(500)))
    pool.close()

    got = sorted(stream)
    pool.join()

    assert got == [n * n for n in range(500)]


def test_rest_is_cancelled_when_the_reader_closes_the_iterator(tmp_path: Path) -> None:
    """The workers are free for others at once."""
    with hardy.Pool(1) as pool:
        stream = pool.imap(wait_for_file, itertools.repeat(str(tmp_path / "never")))
        stream.close()

        assert pool.apply(square, (4,)) == 16
        assert list(stream) == []


def test_error_of_the_input_comes_behind_the_results() -> None:
    """What was taken before it is not lost."""

    def inputs() -> Iterator[int]:
        yield from range(3)
        raise LookupError("no more")

    with hardy.Pool(2) as pool:
        stream = pool.imap(square, inputs())

        assert [next(stream) for _ in range(3)] == [0, 1, 4]
        with pytest.raises(LookupError):
            next(stream)


@pytest.mark.parametrize("chunksize", [1, 3])
def test_executor_maps_several_inputs_in_order(chunksize: int) -> None:
    """As `map` does, also endless ones; a failing item ends it."""
    with hardy.ProcessPoolExecutor(2) as executor:
        sums = executor.map(add, itertools.count(), (10, 20, 30, 40), chunksize=chunksize)
        endless = executor.map(add, itertools.count(), itertools.count(), chunksize=chunksize)
        failing = executor.map(square, [1, "x", 3], chunksize=chunksize)

        assert list(sums) == [10, 21, 32, 43]
        assert [next(endless) for _ in range(100)] == list(range(0, 200, 2))
        endless.close()
        assert next(failing) == 1
        with pytest.raises(TypeError):
            next(failing)
        assert list(failing) == []


def test_executor_map_is_late_when_its_time_is_up(tmp_path: Path) -> None:
    """The rest is cancelled."""
    with hardy.ProcessPoolExecutor(1) as executor:
        results = executor.map(wait_for_file, [str(tmp_path / "never")] * 3, timeout=0.05)

        with pytest.raises(TimeoutError) as caught:
            next(results)
        # Two classes up to Python 3.10.
        assert isinstance(caught.value, concurrent.futures.TimeoutError)
        assert executor.submit(square, 2).result(GIVE_UP_S) == 4


def test_executor_shuts_down_and_cancels_what_waits(tmp_path: Path) -> None:
    """What runs is finished, what waits is cancelled, and whoever waits for it is told."""
    executor = hardy.ProcessPoolExecutor(1)
    runs = executor.submit(start_and_wait, str(tmp_path / "pid"))
    waits = [executor.submit(square, n) for n in range(50)]
    assert wait_until((tmp_path / "pid").exists, GIVE_UP_S)

    executor.shutdown(wait=False, cancel_futures=True)

    assert all(future.cancelled() for future in waits)
    assert not runs.done()
    assert runs.cancel()
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(square, 1)
    executor.shutdown()


@pytest.mark.parametrize("name", ["kill_workers", "terminate_workers"])
def test_executor_ends_its_workers_at_once(name: str, tmp_path: Path) -> None:
    """Whoever waits is told."""
    executor = hardy.ProcessPoolExecutor(2)
    future = executor.submit(start_and_wait, str(tmp_path / "pid"))
    assert wait_until((tmp_path / "pid").exists, GIVE_UP_S)

    getattr(executor, name)()

    assert isinstance(future.exception(GIVE_UP_S), hardy.PoolBroken)
    assert wait_dead(int((tmp_path / "pid").read_text()))


@pytest.mark.filterwarnings("ignore::hardy.ForkWithThreadsWarning", "ignore:.*multi-threaded:DeprecationWarning")
def test_first_tasks_run_at_once_when_two_threads_give_them(tmp_path: Path) -> None:
    """The thread that comes while the other one starts the workers finds them all."""
    for number in range(3):
        path, go = str(tmp_path / str(number)), threading.Barrier(2)
        with hardy.ProcessPoolExecutor(2, hardy.get_context("fork")) as executor:
            futures: list[concurrent.futures.Future[Any]] = []

            def give(*call: Any, go: Any = go, executor: Any = executor, futures: list[Any] = futures) -> None:
                go.wait()
                futures.append(executor.submit(*call))

            threads = [
                threading.Thread(target=give, args=call) for call in ((wait_for_file, path), (Path.touch, Path(path)))
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

            assert not concurrent.futures.wait(futures, GIVE_UP_S).not_done


@pytest.mark.parametrize("kind", ["executor", "pool"])
def test_what_a_task_returned_is_let_go_with_its_future_when_no_cycles_are_collected(kind: str) -> None:
    """Whoever drops a future, or a pool's result, has its memory back at once."""
    gc.disable()
    try:
        with hardy.ProcessPoolExecutor(1) if kind == "executor" else hardy.Pool(1) as pool:
            ended = pool.submit(square, 3) if kind == "executor" else pool.apply_async(square, (3,))
            assert (ended.result() if kind == "executor" else ended.get()) == 9
            seen = weakref.ref(ended)
            del ended

            assert wait_until(lambda: seen() is None, GIVE_UP_S)
    finally:
        gc.enable()


def test_futures_work_with_the_tools_of_concurrent_futures() -> None:
    """`wait`, `as_completed`, callbacks."""
    called: list[int] = []
    with hardy.ProcessPoolExecutor(2) as executor:
        futures = [executor.submit(square, n) for n in range(20)]
        for future in futures:
            future.add_done_callback(lambda done: called.append(done.result()))
        completed = {future.result() for future in concurrent.futures.as_completed(futures, GIVE_UP_S)}
        assert not concurrent.futures.wait(futures, GIVE_UP_S).not_done

    assert completed == set(called) == {n * n for n in range(20)}


@pytest.mark.parametrize("method", METHODS)
def test_function_is_what_its_name_means_in_the_worker_when_the_task_runs(method: str) -> None:
    """As with pickle: a function goes by its name."""
    with hardy.ProcessPoolExecutor(1, hardy.get_context(method)) as executor:
        before = executor.submit(square, 3).result(GIVE_UP_S)
        executor.submit(put_pid_of_worker_in_the_place_of_square).result(GIVE_UP_S)

        assert before == 9
        assert executor.submit(square, 3).result(GIVE_UP_S) == executor.submit(pid_of_worker).result(GIVE_UP_S)
        assert list(executor.map(square, [3, 4])) == list(executor.map(pid_of_worker, [3, 4]))


@pytest.mark.parametrize("make", [hardy.Pool, hardy.ProcessPoolExecutor])
def test_asyncio_awaits_tasks(make: Any, tmp_path: Path) -> None:
    """`await pool.run`, `async for ... in pool.as_completed`; to cancel ends the task."""

    async def inputs() -> AsyncIterator[int]:
        for n in range(5):
            yield n

    async def main() -> None:
        async with make(2) as pool:
            assert await pool.run(add, 1, b=2) == 3
            assert sorted([r async for r in pool.as_completed(square, range(10))]) == [n * n for n in range(10)]
            assert [r async for r in pool.as_completed(square, inputs(), ordered=True)] == [0, 1, 4, 9, 16]
            endless = pool.as_completed(square, itertools.count())
            assert [await endless.__anext__() for _ in range(30)]
            await endless.aclose()
            task = asyncio.create_task(pool.run(start_and_wait, str(tmp_path / "pid")))
            assert await asyncio.to_thread(wait_until, (tmp_path / "pid").exists, GIVE_UP_S)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert wait_dead(int((tmp_path / "pid").read_text()))
            with pytest.raises(TypeError):
                await pool.options(retries=1).run(square, "x")

    asyncio.run(main())


@pytest.mark.parametrize("method", METHODS)
def test_large_arrays_go_in_and_out(method: str) -> None:
    """Beside the pickle; they can be written to."""
    array = np.arange(1_000_000, dtype=np.float64)
    with hardy.get_context(method).Pool(2) as pool:
        results = pool.map(array_sum, [array, array[::2], array.reshape(1000, 1000)])

    assert (results[0] == array * 2).all()
    assert (results[1] == array[::2] * 2).all()
    assert (results[2] == array.reshape(1000, 1000) * 2).all()
    results[0][0] = 7


def test_long_tasks_are_shared_out_when_a_worker_is_free(tmp_path: Path) -> None:
    """A task that was given to a worker that is busy for long goes to another."""
    with hardy.Pool(2) as pool:
        blocked = pool.apply_async(wait_for_file, (str(tmp_path / "go"),))
        others = [pool.apply_async(square, (n,)) for n in range(30)]

        assert [each.get(GIVE_UP_S) for each in others] == [n * n for n in range(30)]
        assert not blocked.ready()
        (tmp_path / "go").touch()
        assert blocked.get(GIVE_UP_S)


@pytest.mark.parametrize("method", METHODS)
def test_task_may_have_a_pool_of_its_own(method: str) -> None:
    """Workers may have children, and they end with them."""
    with hardy.get_context(method).Pool(2) as pool:
        assert pool.map(use_a_pool, [3, 4], 1) == [[0, 1, 4], [0, 1, 4, 9]]


def test_pool_says_whose_it_is_when_a_forked_child_uses_it() -> None:
    """Its workers are the parent's; the child gets an error, and the pool is not harmed."""
    with hardy.Pool(1) as pool:
        process = hardy.get_context("fork").Process(target=pool.apply, args=(square, (2,)))
        process.start()

        with pytest.raises(RuntimeError, match="belongs to process"):
            process.result(GIVE_UP_S)
        assert pool.apply(square, (3,)) == 9


def test_callback_that_raises_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, and the result is there."""

    def fail(value: int) -> None:
        raise LookupError(value)

    with hardy.Pool(1) as pool:
        assert pool.apply_async(square, (3,), callback=fail).get(GIVE_UP_S) == 9
        assert pool.apply(square, (4,)) == 16

    assert "a callback of Pool raised" in caplog.text


def test_managers_pool_is_hardys() -> None:
    """One in the server process, by a proxy."""
    with hardy.Manager() as manager:
        pool = manager.Pool(2)

        assert pool.map(square, range(4)) == [0, 1, 4, 9]
        assert pool.apply_async(pid_of_worker).get(GIVE_UP_S)
        assert list(pool.imap(square, range(3))) == [0, 1, 4]
        pool.terminate()
