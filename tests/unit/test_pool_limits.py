"""What can be asked for a task: time, memory, repetition, an early end; and what a worker keeps."""

from __future__ import annotations

import concurrent.futures
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.pool_tasks import (
    fail_at_first,
    fail_to_begin,
    get_state,
    pid_of_worker,
    report_and_wait,
    set_state,
    square,
    start_and_wait,
    take_memory,
    wait_for_file,
)
from helpers.waiting import wait_until

import hardy

GIVE_UP_S = 30.0


@pytest.fixture
def executor() -> Iterator[hardy.ProcessPoolExecutor]:
    with hardy.ProcessPoolExecutor(2) as executor:
        yield executor


def test_task_fails_alone_when_it_takes_too_long(executor: hardy.ProcessPoolExecutor) -> None:
    """Its worker is killed and replaced; the error is a TimeoutError."""
    late = executor.options(timeout=0.1, name="slow").submit(signal.pause)
    other = executor.submit(square, 5)

    error = late.exception(GIVE_UP_S)

    assert isinstance(error, (hardy.TaskTimeout, TimeoutError))
    assert (error.task, error.timeout) == ("slow", 0.1)
    assert other.result(GIVE_UP_S) == 25


def test_time_counts_from_the_begin_of_a_task(tmp_path: Path) -> None:
    """What waits for a worker is not late."""
    with hardy.ProcessPoolExecutor(1) as executor:
        first = executor.submit(wait_for_file, str(tmp_path / "go"))
        limited = executor.options(timeout=1)
        waits = limited.submit(square, 3)
        concurrent.futures.wait([first], 1.2)
        assert not waits.done()
        (tmp_path / "go").touch()

        assert waits.result(GIVE_UP_S) == 9
        assert isinstance(executor.options(timeout=0.1).submit(signal.pause).exception(GIVE_UP_S), hardy.TaskTimeout)


def test_each_item_has_its_own_time_when_they_go_together() -> None:
    """A time limit is one of the item, not of the chunk that it travels in."""
    with hardy.Pool(1) as pool:
        stream = pool.options(timeout=1).imap(pause_at_two, range(5), 5)
        results: list[Any] = []
        for _ in range(5):
            try:
                results.append(stream.next(GIVE_UP_S))
            except hardy.TaskTimeout:
                results.append("late")

    assert results == [0, 1, "late", 3, 4]


def pause_at_two(n: int) -> int:
    if n == 2:
        signal.pause()
    return n


def test_task_fails_alone_when_it_takes_too_much_memory(executor: hardy.ProcessPoolExecutor) -> None:
    """The error is a MemoryError, and says how much it had."""
    large = executor.options(max_memory=150 << 20).submit(take_memory, 400 << 20)
    other = executor.submit(square, 5)

    error = large.exception(GIVE_UP_S)

    assert isinstance(error, (hardy.TaskMemoryExceeded, MemoryError))
    assert error.memory > error.max_memory == 150 << 20
    assert other.result(GIVE_UP_S) == 25


def test_task_is_repeated_when_it_raises_what_is_worth_it(executor: hardy.ProcessPoolExecutor, tmp_path: Path) -> None:
    """Other errors, and those of tasks without retries, are told at once."""
    a, *others, e = (str(tmp_path / name) for name in "abcde")
    retrying = executor.options(retries=3, retry_on=(ConnectionError, hardy.WorkerDied), backoff=0.01)

    assert retrying.submit(fail_at_first, a).result(GIVE_UP_S) == 2
    assert list(retrying.map(fail_at_first, others, chunksize=3)) == [2, 2, 2]
    assert isinstance(executor.submit(fail_at_first, e).exception(GIVE_UP_S), ConnectionError)
    assert isinstance(retrying.submit(square, "x").exception(GIVE_UP_S), TypeError)


def test_future_cancels_a_task_that_runs(executor: hardy.ProcessPoolExecutor, tmp_path: Path) -> None:
    """Its worker is killed and replaced, and whoever waits is told."""
    future = executor.submit(start_and_wait, str(tmp_path / "pid"))
    assert wait_until((tmp_path / "pid").exists, GIVE_UP_S)

    assert future.running()
    assert future.cancel()

    assert future.cancelled()
    assert concurrent.futures.wait([future], GIVE_UP_S).done == {future}
    assert executor.submit(pid_of_worker).result(GIVE_UP_S) != int((tmp_path / "pid").read_text())


def test_future_cancels_a_task_that_waits(tmp_path: Path) -> None:
    """It is never run, and those around it are."""
    with hardy.ProcessPoolExecutor(1) as executor:
        first = executor.submit(wait_for_file, str(tmp_path / "go"))
        futures = [executor.submit(square, n) for n in range(40)]

        cancelled = [future.cancel() for future in futures[::2]]
        (tmp_path / "go").touch()

        assert first.result(GIVE_UP_S)
        assert cancelled == [True] * 20
        assert [future.result(GIVE_UP_S) for future in futures[1::2]] == [n * n for n in range(1, 40, 2)]
        assert not first.cancel()


def test_result_of_a_pool_can_be_cancelled(tmp_path: Path) -> None:
    """One call, and all items of a map."""
    with hardy.Pool(2) as pool:
        one = pool.apply_async(start_and_wait, (str(tmp_path / "pid"),))
        assert wait_until((tmp_path / "pid").exists, GIVE_UP_S)
        many = pool.map_async(wait_for_file, [str(tmp_path / "never")] * 6, 2)

        assert one.cancel()
        assert many.cancel()

        with pytest.raises(concurrent.futures.CancelledError):
            one.get(GIVE_UP_S)
        with pytest.raises(concurrent.futures.CancelledError):
            many.get(GIVE_UP_S)
        assert pool.apply(square, (3,)) == 9


def test_progress_is_told_while_a_task_runs(executor: hardy.ProcessPoolExecutor, tmp_path: Path) -> None:
    """`hardy.progress` inside, `future.progress()` outside."""
    future = executor.submit(report_and_wait, str(tmp_path / "go"))

    assert wait_until(lambda: future.progress() == (3, 10), GIVE_UP_S)
    (tmp_path / "go").touch()
    future.result(GIVE_UP_S)
    assert future.progress() is None
    hardy.progress(1, 2)  # nobody's here, and no error


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_worker_keeps_its_state_from_task_to_task(method: str) -> None:
    """What the initializer puts into `hardy.worker_state` is there for every task; a new worker begins anew."""
    with hardy.get_context(method).Pool(1, set_state, (10,)) as pool:
        before = [pool.apply(get_state) for _ in range(3)]
        pool._pool[0].kill()
        pool._pool[0].join(GIVE_UP_S)
        assert wait_until(lambda: pool.apply(get_state) == 11, GIVE_UP_S)

    assert before == [11, 12, 13]
    assert not hasattr(hardy.worker_state, "value")


def test_pool_is_broken_when_its_initializer_raises() -> None:
    """Everybody is told, with the traceback; the workers are not started for ever."""
    with hardy.ProcessPoolExecutor(2, initializer=fail_to_begin) as executor:
        with pytest.raises(hardy.PoolBroken, match=r"initializer raised ValueError.*no such file"):
            executor.submit(square, 1).result(GIVE_UP_S)
        with pytest.raises(hardy.PoolBroken):
            executor.submit(square, 1)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"retry": 2}, TypeError),
        ({"timeout": "1"}, TypeError),
        ({"timeout": -1}, ValueError),
        ({"retries": 1.5}, TypeError),
        ({"retries": -1}, ValueError),
        ({"retry_on": "ValueError"}, TypeError),
        ({"max_memory": 0}, ValueError),
        ({"name": 5}, TypeError),
        ({"backoff": float("nan")}, ValueError),
    ],
)
def test_option_is_refused_at_the_call(changes: dict[str, Any], error: type[Exception]) -> None:
    """A wrong name or value is not found out later."""
    with hardy.ProcessPoolExecutor(1) as executor, pytest.raises(error):
        executor.options(**changes)


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_worker_is_replaced_after_its_tasks(method: str) -> None:
    """`max_tasks_per_child`; no task is lost between two workers."""
    with hardy.ProcessPoolExecutor(1, hardy.get_context(method), max_tasks_per_child=3) as executor:
        pids = [executor.submit(pid_of_worker).result(GIVE_UP_S) for _ in range(7)]

    assert len(set(pids)) == 3
    assert pids[0] == pids[2] != pids[3] == pids[5] != pids[6]
