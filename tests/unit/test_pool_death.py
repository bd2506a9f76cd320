"""A worker's death costs its own task, and nobody else's."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.pool_tasks import (
    always_die,
    die_at_first,
    die_at_three,
    exit_at_once,
    hold_and_die,
    hold_and_wait,
    pid_of_worker,
    square,
    start_and_wait,
)
from helpers.procs import run_script, wait_dead
from helpers.waiting import wait_until

import hardy

METHODS = ("fork", "spawn", "forkserver")
GIVE_UP_S = 30.0


@pytest.fixture(params=METHODS)
def executor(request: pytest.FixtureRequest) -> Iterator[hardy.ProcessPoolExecutor]:
    """An executor with four workers, of each start method."""
    with hardy.ProcessPoolExecutor(4, mp_context=hardy.get_context(request.param)) as executor:
        yield executor


def kill_a_busy_worker(path: Path) -> None:
    assert wait_until(path.exists, GIVE_UP_S)
    os.kill(int(path.read_text()), signal.SIGKILL)


def test_twenty_tasks_end_but_for_one_when_a_busy_worker_is_killed(
    executor: hardy.ProcessPoolExecutor, tmp_path: Path
) -> None:
    """19 results, and one error that names the worker, its pid, the signal and the task."""
    bad = executor.options(name="resize-7").submit(start_and_wait, str(tmp_path / "pid"))
    good = [executor.submit(square, n) for n in range(19)]

    kill_a_busy_worker(tmp_path / "pid")

    assert [future.result(GIVE_UP_S) for future in good] == [n * n for n in range(19)]
    error = bad.exception(GIVE_UP_S)
    assert isinstance(error, hardy.WorkerDied)
    assert (error.pid, error.signal, error.task) == (int((tmp_path / "pid").read_text()), signal.SIGKILL, "resize-7")
    assert "PoolWorker" in error.name
    assert "start_and_wait('" in str(error)


def test_twenty_tasks_end_when_a_busy_worker_is_killed_and_retries_are_asked_for(
    executor: hardy.ProcessPoolExecutor, tmp_path: Path
) -> None:
    """20 of 20."""
    careful = executor.options(retries=1)

    futures = [careful.submit(die_at_first, str(tmp_path / "bad"))] + [careful.submit(square, n) for n in range(19)]

    assert [future.result(GIVE_UP_S) for future in futures] == [str(tmp_path / "bad"), *(n * n for n in range(19))]


def test_nobody_notices_when_an_idle_worker_is_killed(executor: hardy.ProcessPoolExecutor) -> None:
    """The pool goes on with as many workers as before."""
    idle = executor.submit(pid_of_worker).result(GIVE_UP_S)

    os.kill(idle, signal.SIGKILL)
    squares = list(executor.map(square, range(40), timeout=GIVE_UP_S))

    assert squares == [n * n for n in range(40)]
    assert idle not in {executor.submit(pid_of_worker).result(GIVE_UP_S) for _ in range(8)}


@pytest.mark.parametrize("method", METHODS)
def test_no_worker_outlives_its_parent(method: str) -> None:
    """Killed with busy workers, the parent takes them along."""
    done = run_script(
        """
        import os, signal, sys
        import hardy
        from helpers.pool_tasks import pid_of_worker

        if __name__ == "__main__":
            pool = hardy.get_context(sys.argv[1]).Pool(3)
            pids = {worker.pid for worker in pool._pool}
            pool.map_async(signal.sigwait, [[signal.SIGUSR1]] * 6, 1)
            pool.apply_async(pid_of_worker)
            print(*pids, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        """,
        method,
    )

    pids = [int(pid) for pid in done.stdout.split()]
    assert len(pids) == 3
    assert all(wait_dead(pid, 10.0) for pid in pids)


def test_map_gives_all_other_items_when_one_kills_its_worker() -> None:
    """The others of its chunk are kept, or run; the error is that of the one item."""
    with hardy.Pool(2) as pool:
        results: list[Any] = []
        stream = pool.imap(die_at_three, range(20), 5)
        for _ in range(20):
            try:
                results.append(stream.next(GIVE_UP_S))
            except hardy.WorkerDied as error:
                results.append(error.task)

    assert results == [n * n if n != 3 else "die_at_three" for n in range(20)]


def test_map_is_whole_when_items_kill_their_workers_and_retries_are_asked_for(tmp_path: Path) -> None:
    """Each item is repeated by itself."""
    names = [str(tmp_path / f"item-{n}") for n in range(12)]
    with hardy.Pool(3) as pool:
        got = pool.options(retries=1).map_async(die_at_first, names, 4).get(GIVE_UP_S)

    assert got == names


def test_task_is_put_away_when_it_kills_every_worker(tmp_path: Path) -> None:
    """It is run as often as was allowed, and never again; the error says so."""
    with hardy.Pool(2) as pool:
        poison = pool.options(retries=2).apply_async(always_die, (str(tmp_path / "poison"),))
        with pytest.raises(hardy.PoisonTask, match=r"at attempt 3.*not run again") as caught:
            poison.get(GIVE_UP_S)
        healthy = pool.map(square, range(10))

    assert caught.value.attempts == 3
    assert (tmp_path / "poison").stat().st_size == 3
    assert healthy == [n * n for n in range(10)]


def test_error_tells_the_exit_status_when_a_worker_leaves_by_itself() -> None:
    """`os._exit` is a death, too."""
    with hardy.Pool(1) as pool, pytest.raises(hardy.WorkerDied, match="exited with status 7") as caught:
        pool.apply_async(exit_at_once, (7,)).get(GIVE_UP_S)

    assert (caught.value.exitcode, caught.value.signal) == (7, None)


HOLDS = """
    import sys
    import hardy
    from helpers.pool_tasks import hold_and_die

    if __name__ == "__main__":
        with hardy.get_context(sys.argv[1]).Pool(1) as pool:
            try:
                pool.apply_async(hold_and_die, (400 << 20,)).get(30)
            except hardy.WorkerDied as error:
                print(error.peak_memory, "MiB of memory at most" in str(error))
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_error_tells_how_much_memory_the_worker_had_when_its_parent_has_less(method: str) -> None:
    """The most of it, by the kernel's count; which for a spawned worker begins with what its parent has."""
    peak, by_the_kernel = run_script(HOLDS, method).stdout.split()

    assert by_the_kernel == "True"
    assert int(peak) > 400 << 20


def test_error_does_not_tell_the_parents_memory_when_the_worker_was_spawned() -> None:
    """The kernel counts it for the child, which begins as a copy."""
    much = b"x" * (300 << 20)
    with hardy.get_context("spawn").Pool(1) as pool, pytest.raises(hardy.WorkerDied) as caught:
        pool.apply_async(hold_and_die, (1,)).get(GIVE_UP_S)

    assert (caught.value.peak_memory or 0) < len(much) // 2


def test_error_tells_how_much_memory_was_seen_when_a_forkserver_reaps_the_worker(tmp_path: Path) -> None:
    """Its status goes to the forkserver, which does not tell of memory; so the worker is looked at while it works."""
    with hardy.get_context("forkserver").Pool(1) as pool:
        waits = pool.apply_async(hold_and_wait, (200 << 20, str(tmp_path / "pid")))
        assert wait_until((tmp_path / "pid").exists, GIVE_UP_S)
        slot = pool._engine.slots[0]
        assert wait_until(lambda: slot.peak_bytes > 200 << 20, GIVE_UP_S)
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
        with pytest.raises(hardy.WorkerDied, match="MiB of memory") as caught:
            waits.get(GIVE_UP_S)

    assert caught.value.peak_memory is not None
    assert caught.value.peak_memory > 200 << 20


@pytest.mark.parametrize("method", METHODS)
def test_task_goes_to_another_when_its_worker_is_stopped(method: str) -> None:
    """One that had nothing in hand: what it was given is nobody's yet."""
    with hardy.get_context(method).Pool(2) as pool:
        stopped = pool.apply_async(pid_of_worker).get(GIVE_UP_S)
        os.kill(stopped, signal.SIGSTOP)
        results = [pool.apply_async(pid_of_worker) for _ in range(20)]

        assert stopped not in {result.get(GIVE_UP_S) for result in results}


HALF = """
    import sys
    import hardy

    HALF = (
        "import os, sys\\n"
        "if os.getpid() == sys.owner:\\n"
        "    sys.pool._pool[0].kill()\\n"
        "    sys.got = sys.pool.apply(sys.task)\\n"
        "value = 7\\n"
    )

    def import_it():
        import half
        return half.value, threading.current_thread().name

    if __name__ == "__main__":
        import os, threading
        with open("half.py", "w") as file:
            file.write(HALF)
        sys.owner, sys.task = os.getpid(), import_it
        with hardy.get_context("fork").Pool(1) as sys.pool:
            import half
        print(*sys.got)
    """


def test_new_worker_can_import_what_its_parent_is_importing() -> None:
    """It was forked beside an import that will never end in it; it begins that import anew. Nobody is warned of it."""
    done = run_script(HALF, env={"PYTHONWARNINGS": "error"})

    assert (done.returncode, done.stdout.split(), done.stderr) == (0, ["7", "MainThread"], "")


def test_pool_that_is_made_beside_a_thread_warns_once() -> None:
    """Not for each worker, nor for those that take a dead one's place."""

    def make_and_lose_a_worker() -> list[int]:
        with hardy.get_context("fork").Pool(3) as pool:
            victim = pool._pool[0]
            victim.kill()
            victim.join()
            return pool.map(square, range(20))

    leave = threading.Event()
    thread = threading.Thread(target=leave.wait, name="refresher")
    thread.start()
    try:
        with pytest.warns(hardy.ForkWithThreadsWarning, match="refresher") as got:
            assert make_and_lose_a_worker() == [n * n for n in range(20)]
    finally:
        leave.set()
        thread.join()

    assert [warning.filename for warning in got] == [__file__]


def test_pool_of_new_interpreters_beside_a_thread_does_not_warn(recwarn: pytest.WarningsRecorder) -> None:
    """Nothing is forked."""
    leave = threading.Event()
    thread = threading.Thread(target=leave.wait, name="refresher")
    thread.start()

    with hardy.get_context("spawn").Pool(1) as pool:
        squares = pool.map(square, range(3))
    leave.set()
    thread.join()

    assert squares == [0, 1, 4]
    assert not [str(warning.message) for warning in recwarn]


def test_every_task_ends_when_workers_are_killed_all_the_time() -> None:
    """Busy, idle, and starting ones."""
    with hardy.Pool(3) as pool:
        result = pool.options(retries=100).map_async(square, range(3000), 7)
        for _ in range(30):
            victim = wait_until(lambda: list(pool._pool))[0]
            victim.kill()
            victim.join(GIVE_UP_S)
        got = result.get(GIVE_UP_S)

    assert got == [n * n for n in range(3000)]
