"""However a pool ends, nothing of it is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from helpers.pool_tasks import square, start_and_wait
from helpers.procs import run_script, wait_dead
from helpers.waiting import wait_until

import hardy

METHODS = ("fork", "spawn", "forkserver")
GIVE_UP_S = 30.0

INTERRUPTED = """
    import sys
    import hardy
    from helpers.pool_tasks import start_and_wait

    def files():
        return [f"{sys.argv[3]}/{n}" for n in range(2)]

    if __name__ == "__main__":
        context = hardy.get_context(sys.argv[2])
        if sys.argv[1] == "pool":
            with context.Pool(2) as pool:
                pool.map(start_and_wait, files(), 1)
        elif sys.argv[1] == "executor":
            with hardy.ProcessPoolExecutor(2, context) as executor:
                list(executor.map(start_and_wait, files()))
        elif sys.argv[1] == "bare pool":
            pool = context.Pool(2)
            pool.map(start_and_wait, files(), 1)
        else:
            executor = hardy.ProcessPoolExecutor(2, context)
            list(executor.map(start_and_wait, files()))
    """


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize("kind", ["pool", "executor", "bare pool", "bare executor"])
def test_ctrl_c_ends_the_pool_with_one_traceback(kind: str, method: str, tmp_path: Path) -> None:
    """As from a terminal: each process of the group gets SIGINT. The parent's traceback is the only one."""
    script = tmp_path / "script.py"
    source = INTERRUPTED.splitlines()
    script.write_text("\n".join(line[4:] for line in source))
    with tempfile.TemporaryFile() as err:
        process = subprocess.Popen(
            [sys.executable, str(script), kind, method, str(tmp_path)],
            stderr=err,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
            start_new_session=True,
        )
        try:
            ready = wait_until(lambda: all((tmp_path / str(n)).exists() for n in range(2)), GIVE_UP_S)
            os.killpg(process.pid, signal.SIGINT)
            process.wait(GIVE_UP_S)
        finally:
            process.kill()
            process.wait()
        err.seek(0)
        said = err.read().decode()

    assert ready
    assert process.returncode == -signal.SIGINT
    assert said.count("Traceback (most recent call last)") == 1, said
    assert said.rstrip().endswith("KeyboardInterrupt")
    assert all(wait_dead(int((tmp_path / str(n)).read_text())) for n in range(2))


@pytest.mark.parametrize("method", METHODS)
def test_nothing_is_left_when_an_exception_leaves_the_block(method: str, tmp_path: Path) -> None:
    """Also when a task runs that would never end."""
    pool = hardy.get_context(method).Pool(2)

    def leave_by_an_error() -> None:
        with pool:
            pool.apply_async(start_and_wait, (str(tmp_path / "pid"),))
            assert wait_until((tmp_path / "pid").exists, GIVE_UP_S)
            raise LookupError

    with pytest.raises(LookupError):
        leave_by_an_error()

    assert wait_dead(int((tmp_path / "pid").read_text()))
    with pytest.raises(ValueError, match="not running"):
        pool.apply(square, (1,))


def test_whoever_waits_is_told_when_the_pool_is_terminated(tmp_path: Path) -> None:
    """Nobody waits for ever for what will never be."""
    pool = hardy.Pool(1)
    results = [pool.apply_async(start_and_wait, (str(tmp_path / f"{n}"),)) for n in range(3)]

    pool.terminate()

    for result in results:
        with pytest.raises(hardy.PoolBroken, match="terminated before"):
            result.get(GIVE_UP_S)


@pytest.mark.parametrize("method", METHODS)
def test_program_ends_that_never_shuts_down(method: str) -> None:
    """An executor's tasks are finished first, as there; a pool's workers are ended."""
    done = run_script(
        """
        import os
        import sys
        import hardy
        from helpers.pool_tasks import square

        if __name__ == "__main__":
            executor = hardy.ProcessPoolExecutor(2, hardy.get_context(sys.argv[1]))
            # One write each: two threads' prints may mix.
            executor.submit(square, 3).add_done_callback(lambda future: os.write(1, f"{future.result()}\\n".encode()))
            pool = hardy.get_context(sys.argv[1]).Pool(2)
            os.write(1, f"{pool.map(square, [2])}\\n".encode())
        """,
        method,
    )

    assert done.returncode == 0
    assert sorted(done.stdout.split()) == ["9", "[4]"]
    assert done.stderr == ""


def test_pool_that_is_forgotten_warns_and_ends() -> None:
    """As with the standard library, ResourceWarning; its workers end."""
    pool = hardy.Pool(1)
    pid = pool._pool[0].pid
    with pytest.warns(ResourceWarning, match="unclosed running multiprocessing pool"):
        del pool

    assert wait_dead(pid)


def test_executor_that_is_forgotten_finishes_its_tasks() -> None:
    """Whoever holds the futures gets the results."""
    executor = hardy.ProcessPoolExecutor(2)
    futures = [executor.submit(square, n) for n in range(20)]
    del executor

    assert [future.result(GIVE_UP_S) for future in futures] == [n * n for n in range(20)]


def test_pools_repr_names_state_and_size() -> None:
    """As the standard library's."""
    pool = hardy.Pool(2)
    during = repr(pool)
    pool.close()
    pool.join()

    assert "state=RUN pool_size=2" in during
    assert "state=CLOSE pool_size=0" in repr(pool)
    with pytest.raises(NotImplementedError):
        pool.__reduce__()


def test_nothing_is_left_when_a_worker_cannot_be_forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several that are forked together, the third cannot be had: the error comes out, and none is left."""
    fork, pids = os.fork, []

    def scarce() -> int:
        if len(pids) == 2:
            raise BlockingIOError("no more processes")
        pid = fork()
        pids.append(pid)
        return pid

    monkeypatch.setattr(os, "fork", scarce)

    with pytest.raises(BlockingIOError, match="no more processes"):
        hardy.get_context("fork").Pool(4)

    assert all(wait_dead(pid) for pid in pids)


@pytest.mark.parametrize("point", ["proc.start.before_launch", "proc.start.after_launch", "proc.start.after_watch"])
def test_no_worker_is_left_when_the_program_is_killed_while_it_makes_a_pool(point: str) -> None:
    """With some of its workers forked, or watched, and others not."""
    done = run_script(
        """
        import os, sys
        import hardy
        from hardy._core import runtime

        fork = os.fork

        def fork_and_tell():
            pid = fork()
            if pid:
                print(pid, flush=True)
            return pid

        if __name__ == "__main__":
            os.fork = fork_and_tell
            hardy.get_context("fork").Process(target=int).start()
            runtime.arm(f"{sys.argv[1]}=kill:2")
            hardy.get_context("fork").Pool(3)
        """,
        point,
    )

    pids = [int(pid) for pid in done.stdout.split()]
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert len(pids) == (1 if point.endswith("before_launch") else 4)
    assert all(wait_dead(pid) for pid in pids)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"processes": 0}, ValueError),
        ({"processes": -1}, ValueError),
        ({"maxtasksperchild": 0}, ValueError),
        ({"initializer": 5}, TypeError),
    ],
)
def test_pool_refuses_a_wrong_argument(arguments: dict[str, object], error: type[Exception]) -> None:
    """Nothing is started."""
    with pytest.raises(error):
        hardy.Pool(**arguments)  # type: ignore[arg-type]
