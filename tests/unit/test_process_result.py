"""What comes back from a process: `result`, `exception`, `await`, and the errors that explain its end."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
from helpers import targets
from helpers.limits import make_group
from helpers.procs import run_script
from helpers.waiting import wait_until

from hardy import errors
from hardy.context import get_default_context
from hardy.process import Process

METHODS = ["fork", "spawn", "forkserver"]
# Longer than any child takes here; a test that waits so long has failed.
LONG_S = 20.0


@pytest.fixture(params=METHODS)
def ctx(request: pytest.FixtureRequest) -> Any:
    """The context of each start method."""
    return get_default_context().get_context(request.param)


def started(ctx: Any, target: Any, *args: Any, **options: Any) -> Any:
    process = ctx.Process(target=target, args=args, **options)
    process.start()
    return process


def test_result_is_what_the_target_returned(ctx: Any) -> None:
    """`result()` waits, and gives the return value, each time it is asked."""
    process = started(ctx, targets.square, 7)

    assert process.result(LONG_S) == 49
    assert process.result() == 49
    assert process.exception() is None
    assert process.exitcode == 0


def test_join_before_result_does_not_deadlock_when_result_is_huge(ctx: Any) -> None:
    """No pipe has to be drained for a child to end."""
    process = started(ctx, targets.give_bytes, 20_000_000)

    process.join(LONG_S)

    assert process.exitcode == 0
    assert len(process.result()) == 20_000_000


def test_exception_is_raised_with_the_childs_traceback_as_its_cause(ctx: Any) -> None:
    """The error is the child's own; where it came from is to be read in its cause."""
    process = started(ctx, targets.raise_value_error, "no bread")

    with pytest.raises(ValueError, match="no bread") as caught:
        process.result(LONG_S)

    assert isinstance(caught.value.__cause__, errors.RemoteTraceback)
    assert "in raise_value_error" in str(caught.value.__cause__)
    assert "_proc/child.py" not in str(caught.value.__cause__)
    assert process.exception() is caught.value
    assert process.exitcode == 1


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGUSR1])
def test_result_names_name_pid_and_signal_when_killed(ctx: Any, number: int) -> None:
    """Whoever waits for a dead process's answer is told who died, and of what."""
    process = started(ctx, targets.kill_oneself, number, name="victim")

    with pytest.raises(errors.ProcessDied) as caught:
        process.result(LONG_S)

    error = caught.value
    assert (error.name, error.pid, error.signal, error.exitcode) == ("victim", process.pid, number, -number)
    for word in ("victim", str(process.pid), signal.Signals(number).name):
        assert word in str(error)
    assert process.exitcode == -number


@pytest.mark.parametrize(
    ("code", "exitcode", "error"),
    [(None, 0, None), (0, 0, None), (4, 4, errors.ProcessExited), ("bye", 1, errors.ProcessExited)],
)
def test_result_explains_sys_exit(ctx: Any, code: object, exitcode: int, error: type[Exception] | None) -> None:
    """Success is no result; any other code is an error that names it."""
    process = started(ctx, targets.exit_with, code)

    found = process.exception(LONG_S)

    if error is None:
        assert found is None
        assert process.result() is None
    else:
        assert isinstance(found, errors.ProcessExited)
        assert found.code == code
        assert repr(code) in str(found)
    assert process.exitcode == exitcode


def test_result_explains_os_exit(ctx: Any) -> None:
    """`os._exit` leaves no result: the error gives the status."""
    process = started(ctx, targets.exit_at_once, 3)

    with pytest.raises(errors.ProcessDied, match="status 3"):
        process.result(LONG_S)


def test_result_names_the_culprit_when_it_cannot_be_pickled(ctx: Any) -> None:
    """The path leads to what cannot travel; the process itself ended well."""
    process = started(ctx, targets.give_unpicklable)

    with pytest.raises(errors.ResultNotPicklable) as caught:
        process.result(LONG_S)

    assert caught.value.path == "result['sessions'][1]"
    assert caught.value.type_name == "_thread.lock"
    assert process.exitcode == 0


@pytest.mark.parametrize(
    ("target", "text"),
    [
        (targets.raise_unpicklable, "HoldsLock"),
        (targets.raise_two_arguments, "TwoArguments"),
        (targets.give_what_rebuilds_badly, "cannot rebuild"),
    ],
)
def test_result_stands_in_for_what_cannot_be_rebuilt(ctx: Any, target: Any, text: str) -> None:
    """An exception or value that does not survive pickling is told in words."""
    process = started(ctx, target)

    with pytest.raises(errors.RemoteError, match=text):
        process.result(LONG_S)


def test_await_gives_the_result_without_blocking_the_loop(ctx: Any) -> None:
    """Two tasks may await one process while others run."""
    process = started(ctx, targets.square, 5)
    dead = started(ctx, targets.kill_oneself, 9)

    async def ask() -> list[Any]:
        async def one(which: Any) -> Any:
            return await which

        return await asyncio.gather(one(process), one(process), one(dead), return_exceptions=True)

    first, second, third = asyncio.run(ask())

    assert (first, second) == (25, 25)
    assert isinstance(third, errors.ProcessDied)


def test_concurrent_waits_give_the_same_answer() -> None:
    """Threads may wait for one process together."""
    process = Process(target=targets.square, args=(6,))
    process.start()
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(process.result(LONG_S))) for _ in range(8)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == [36] * 8


def test_child_tells_its_end_when_the_forkserver_is_killed_or_stopped() -> None:
    """Death is seen by pidfd; the forkserver's word is not needed, and a new one is started."""
    done = run_script("""
        import os, signal
        from pathlib import Path
        from hardy.context import get_default_context

        def pause():
            signal.pause()

        def answer():
            return 4

        def server():
            for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
                if b"forkserver import main" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    return int(pid)

        if __name__ == "__main__":
            ctx = get_default_context().get_context("forkserver")
            for number in (signal.SIGKILL, signal.SIGSTOP):
                process = ctx.Process(target=pause)
                process.start()
                pid = server()
                os.kill(pid, number)
                process.kill()
                print(process.exception(5).signal, process.exitcode)
                os.kill(pid, signal.SIGCONT)
                process = ctx.Process(target=answer)
                process.start()
                print(process.result(5))
    """)

    assert done.stdout == "9 -9\n4\n" * 2, done.stderr


def test_error_says_out_of_memory_when_the_kernel_does(tmp_path: Path) -> None:
    """Told from any other SIGKILL by the control group's own counter."""
    script = """
        import os, sys
        from hardy.process import Process

        def fill():
            filled = []
            while True:
                filled.append(b"x" * 1_000_000)

        if __name__ == "__main__":
            open(sys.argv[1] + "/cgroup.procs", "w").write(str(os.getpid()))
            process = Process(target=fill)
            process.start()
            error = process.exception()
            print(error.signal, error.out_of_memory, "out of memory" in str(error))
    """
    group = make_group("memory", f"hardy-test-{os.getpid()}", 60_000_000)
    if group is None:
        pytest.skip("no control group with a memory limit can be made here")
    try:
        done = run_script(script, str(group))
    finally:
        assert wait_until(lambda: not (group / "cgroup.procs").read_text(), LONG_S)
        group.rmdir()

    assert done.stdout == "9 True True\n", done.stderr
