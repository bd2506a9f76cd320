"""What cannot travel, and what a task raises, concerns that task alone, and is explained."""

from __future__ import annotations

import builtins
import sys
import threading
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.pool import MaybeEncodingError
from pickle import PicklingError
from typing import Any

import pytest
from helpers.pool_tasks import (
    FailsWhenRebuilt,
    exit_with,
    give_lock,
    give_lock_for_odd,
    give_what_fails_when_rebuilt,
    square,
    stop_iterating,
    take_anything,
)
from helpers.targets import raise_two_arguments, raise_unpicklable, raise_value_error

import hardy

GIVE_UP_S = 30.0


@pytest.fixture
def executor() -> Iterator[hardy.ProcessPoolExecutor]:
    """One whose only worker is the same before and after the test."""
    with hardy.ProcessPoolExecutor(1) as executor:
        worker = next(iter(start(executor)))
        yield executor
        assert list(start(executor)) == [worker]


def start(executor: hardy.ProcessPoolExecutor) -> dict[int, Any]:
    assert executor.submit(square, 2).result(GIVE_UP_S) == 4
    processes: Any = executor._processes
    return dict(processes)


def test_error_of_a_task_bears_its_traceback_and_its_arguments(executor: hardy.ProcessPoolExecutor) -> None:
    """The cause is the worker's traceback, without hardy's frames, and the call, shortened."""
    error = executor.submit(raise_value_error, "x" * 1000).exception(GIVE_UP_S)

    assert isinstance(error, ValueError)
    cause = str(error.__cause__)
    assert "raise ValueError(text)" in cause
    assert "hardy/_exec" not in cause
    assert "raise_value_error('xxxx" in cause
    assert "PoolWorker-" in cause
    assert all(len(line) < 200 for line in cause.splitlines() if line.startswith("It was raised by"))


@pytest.mark.parametrize(
    ("target", "match"),
    [
        (raise_two_arguments, "TwoArguments.*cannot be carried over"),
        (raise_unpicklable, "HoldsLock.*cannot be carried"),
    ],
)
def test_error_that_cannot_travel_is_told_in_words(
    executor: hardy.ProcessPoolExecutor, target: Any, match: str
) -> None:
    """With its type, its text and its traceback."""
    error = executor.submit(target).exception(GIVE_UP_S)

    assert isinstance(error, hardy.RemoteError)
    with pytest.raises(hardy.RemoteError, match=match):
        raise error


def test_argument_that_cannot_be_pickled_fails_its_task(executor: hardy.ProcessPoolExecutor) -> None:
    """The path to it is in the error."""
    error = executor.submit(take_anything, [1, threading.Lock()]).exception(GIVE_UP_S)
    with pytest.raises(hardy.CannotPickle) as caught:
        list(executor.map(take_anything, [1] * 50 + [threading.Lock()], chunksize=4))

    assert isinstance(error, hardy.CannotPickle)
    assert isinstance(error, (PicklingError, TypeError))
    assert (error.path, caught.value.path) == ("args[0][1]", "items[50]")
    assert "args[0][1] is a _thread.lock" in str(error)


def test_wrong_arguments_are_refused_at_the_call_when_a_pool_is_made() -> None:
    """In the words of whoever wrote them; nothing was started."""
    with pytest.raises(TypeError, match="processes must be an integer or None, not str"):
        hardy.Pool("2")
    with pytest.raises(TypeError, match=r"initargs must be a tuple of arguments, not int: \(x,\)"):
        hardy.Pool(1, initializer=print, initargs=3)
    with pytest.raises(TypeError, match="max_workers must be an integer or None, not str"):
        hardy.ProcessPoolExecutor("2")  # type: ignore[arg-type]


def test_argument_that_cannot_be_rebuilt_fails_its_task(executor: hardy.ProcessPoolExecutor) -> None:
    """The worker goes on; whoever catches BrokenProcessPool, as with the standard library, catches it."""
    error = executor.submit(take_anything, FailsWhenRebuilt()).exception(GIVE_UP_S)

    assert isinstance(error, (hardy.CannotRebuild, BrokenProcessPool))
    assert "ValueError" in str(error)


def test_result_that_cannot_be_pickled_fails_its_task(executor: hardy.ProcessPoolExecutor) -> None:
    """It names the culprit's place in the result."""
    error = executor.submit(give_lock).exception(GIVE_UP_S)

    assert isinstance(error, (hardy.TaskResultNotPicklable, hardy.ResultNotPicklable, MaybeEncodingError))
    assert error.path == "result['lock']"
    assert "'ok': 1" in error.value


def test_result_that_cannot_be_rebuilt_fails_its_task(executor: hardy.ProcessPoolExecutor) -> None:
    """The pool goes on."""
    error = executor.submit(give_what_fails_when_rebuilt).exception(GIVE_UP_S)

    assert isinstance(error, hardy.CannotRebuild)
    assert "cannot be rebuilt here" in str(error)


def test_items_of_a_chunk_fail_one_by_one() -> None:
    """What cannot be sent, or raises, does not cost the items beside it."""
    with hardy.Pool(1) as pool:
        got: list[Any] = []
        for function in (give_lock_for_odd, stop_iterating):
            stream = pool.imap(function, range(5), 5)
            for _ in range(5):
                try:
                    got.append(stream.next(GIVE_UP_S))
                except Exception as error:
                    got.append(type(error).__name__)

    lost = "TaskResultNotPicklable"
    assert got == [0, lost, 2, lost, 4, 0, 1, "StopIteration", 3, 4]


def test_exit_of_a_task_ends_nobody(executor: hardy.ProcessPoolExecutor) -> None:
    """The executor gives SystemExit as the standard library's; `Pool`, where it would end the caller, an error."""
    assert isinstance(executor.submit(exit_with, 3).exception(GIVE_UP_S), SystemExit)
    with hardy.Pool(1) as pool:
        with pytest.raises(hardy.ProcessExited, match=r"called sys\.exit\(3\)"):
            pool.apply_async(exit_with, (3,)).get(GIVE_UP_S)
        assert pool.apply(square, (2,)) == 4


def test_lambda_travels_when_cloudpickle_is_installed(executor: hardy.ProcessPoolExecutor) -> None:
    """So do closures."""
    pytest.importorskip("cloudpickle")
    factor = 3

    assert executor.submit(lambda n: n * factor, 5).result(GIVE_UP_S) == 15


def test_lambda_as_result_is_an_error_when_cloudpickle_is_installed(executor: hardy.ProcessPoolExecutor) -> None:
    """As with the standard library, of a program whose workers can import its functions."""
    pytest.importorskip("cloudpickle")

    for error in executor.submit(lambda: lambda: 5).exception(GIVE_UP_S), _error_of_item():
        assert isinstance(error, MaybeEncodingError)
        assert error.exc
        assert error.value


def _error_of_item() -> BaseException:
    with hardy.Pool(1) as pool, pytest.raises(MaybeEncodingError) as caught:
        pool.map(lambda n: lambda: n, [1])
    return caught.value


def test_open_file_is_refused_when_cloudpickle_is_installed(executor: hardy.ProcessPoolExecutor) -> None:
    """Cloudpickle by itself would send a copy of what is in it."""
    pytest.importorskip("cloudpickle")
    with open(__file__) as file, pytest.raises(hardy.CannotPickle) as caught:
        executor.submit(lambda source: source.name, file).result(GIVE_UP_S)

    assert "pip install" not in str(caught.value)


def test_error_of_a_lambda_names_cloudpickle_when_it_is_not_installed(
    executor: hardy.ProcessPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says what to install."""
    monkeypatch.setitem(sys.modules, "cloudpickle", None)

    error = executor.submit(lambda: 5).exception(GIVE_UP_S)

    assert isinstance(error, hardy.CannotPickle)
    assert "pip install 'hardy[cloudpickle]'" in str(error)


def test_errors_of_pools_pickle() -> None:
    """They may be sent on, with their fields."""
    import pickle

    for name in ("WorkerDied", "PoisonTask"):
        error = getattr(hardy, name)("died", name="w", pid=1, signal=9, exitcode=-9)
        error.task = "t"
        copy = pickle.loads(pickle.dumps(error))
        assert (type(copy), copy.task, copy.signal, str(copy)) == (type(error), "t", 9, "died")
    late = hardy.TaskTimeout("late")
    late.timeout = 3.0
    assert pickle.loads(pickle.dumps(late)).timeout == 3.0
    assert issubclass(hardy.TaskTimeout, builtins.TimeoutError)
