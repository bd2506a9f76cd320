"""`concurrent.futures.ProcessPoolExecutor`, unchanged, on hardy's contexts."""

from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import pytest
from helpers.procs import run_script
from helpers.targets import give_bytes, kill_oneself, raise_value_error, square
from helpers.waiting import wait_until

import hardy

METHODS = ("fork", "spawn", "forkserver")
GIVE_UP_S = 20.0


@pytest.mark.parametrize("method", METHODS)
def test_executor_gives_results_and_errors(method: str) -> None:
    """What a task returns or raises comes back, large results too, and the executor ends."""
    with ProcessPoolExecutor(2, mp_context=hardy.get_context(method)) as executor:
        squares = list(executor.map(square, range(50), timeout=GIVE_UP_S))
        large = executor.submit(give_bytes, 3_000_000).result(GIVE_UP_S)
        error = executor.submit(raise_value_error, "why").exception(GIVE_UP_S)

    assert squares == [n * n for n in range(50)]
    assert len(large) == 3_000_000
    assert isinstance(error, ValueError)


@pytest.mark.parametrize("method", METHODS)
def test_executor_is_broken_when_a_worker_is_killed(method: str) -> None:
    """As the stdlib's own: whoever waits gets BrokenProcessPool, and nobody hangs."""
    with ProcessPoolExecutor(2, mp_context=hardy.get_context(method)) as executor:
        future = executor.submit(kill_oneself, signal.SIGKILL)

        with pytest.raises(BrokenProcessPool):
            future.result(GIVE_UP_S)


def test_executor_is_broken_when_an_idle_worker_is_killed() -> None:
    """The death of a worker that waits for work is noticed, too."""
    with ProcessPoolExecutor(2, mp_context=hardy.get_context("fork")) as executor:
        worker = executor.submit(os.getpid).result(GIVE_UP_S)

        os.kill(worker, signal.SIGKILL)

        assert wait_until(lambda: _is_broken(executor), GIVE_UP_S)


def _is_broken(executor: ProcessPoolExecutor) -> bool:
    try:
        return executor.submit(square, 2).result(GIVE_UP_S) != 4
    except BrokenProcessPool:
        return True


def test_executor_leaves_no_thread_of_its_queues() -> None:
    """The thread that watches the results ends with the executor."""
    with ProcessPoolExecutor(1, mp_context=hardy.get_context("fork")) as executor:
        executor.submit(square, 3).result(GIVE_UP_S)
        during = [thread.name for thread in threading.enumerate()]

    assert "hardy-bell" in during  # that it is gone, the fixture for every test checks


@pytest.mark.parametrize("method", METHODS)
def test_executor_in_a_script_ends_with_it(method: str) -> None:
    """A program that never shuts its executor down ends all the same."""
    done = run_script(
        """
        import sys
        from concurrent.futures import ProcessPoolExecutor
        from hardy import get_context

        if __name__ == "__main__":
            executor = ProcessPoolExecutor(2, mp_context=get_context(sys.argv[1]))
            print(sum(executor.map(abs, range(-9, 1))))
        """,
        method,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "45\n", "")


def test_pool_goes_on_and_warns_of_no_lock_when_its_idle_workers_are_terminated() -> None:
    """One of them holds the lock of the pool's pipe; that SIGTERM ended it with that in hand is no news for anybody."""
    done = run_script(
        """
        import hardy

        if __name__ == "__main__":
            with hardy.Pool(2) as pool:
                pool.map(abs, [-1, -2])
                for worker in hardy.active_children():
                    worker.terminate()
                    worker.join()
                print(pool.map(abs, [-3, -4], 1))  # by itself it divides by the workers of the moment
        """,
        env={"PYTHONWARNINGS": "always::RuntimeWarning"},
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "[3, 4]\n", "")
