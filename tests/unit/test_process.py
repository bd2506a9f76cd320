"""`Process`: what it gives back, how it is ended, and what bad use is told."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from multiprocessing import connection
from typing import Any

import pytest
from helpers import targets
from helpers.procfs import processes
from helpers.waiting import wait_until

from hardy import errors
from hardy.context import get_default_context
from hardy.process import Process, active_children

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


def test_child_knows_who_it_is(ctx: Any) -> None:
    """Its name, its parent, and that its default start method is its parent's."""
    process = started(ctx, targets.describe_oneself, name="me")

    told = process.result(LONG_S)

    assert told == {
        "name": "me",
        "pid": process.pid,
        "parent": os.getpid(),
        "parent_name": "MainProcess",
        "parent_lives": True,
        "hardy": True,
        "start_method": ctx.get_start_method(),
        "daemon": False,
    }


def test_daemon_may_have_children(ctx: Any) -> None:
    """Differs from the stdlib, where it is refused."""
    process = started(ctx, targets.start_grandchild, True, daemon=True)

    assert process.result(LONG_S) == 9


@pytest.mark.parametrize("kind", [targets.Person, targets.LatePerson])
@pytest.mark.parametrize("method", METHODS)
def test_subclass_may_have_attributes_of_its_own(kind: Any, method: str) -> None:
    """`self.name` and `self.age`, before or after the base's `__init__`; `run` returns the result."""
    default = get_default_context()
    before = default.get_start_method()
    default.set_start_method(method, force=True)
    try:
        process = kind("Ann", 33)
        process.start()
    finally:
        default.set_start_method(before, force=True)

    assert process.result(LONG_S) == "Ann is 33"
    assert process.name == "Ann"


def test_start_explains_when_subclass_forgot_its_base() -> None:
    """The mistake is named, with the mend."""
    with pytest.raises(AssertionError, match=r"super\(\).__init__\(\)"):
        targets.Forgetful().start()


@pytest.mark.parametrize(
    ("doing", "number"), [("terminate", signal.SIGTERM), ("kill", signal.SIGKILL), ("interrupt", signal.SIGINT)]
)
def test_signals_reach_the_child(ctx: Any, doing: str, number: int) -> None:
    """`terminate`, `kill`, `interrupt` send what they say; a dead child ignores them."""
    r, w = os.pipe()
    process = started(ctx, targets.say_and_pause, targets.Inherited(w))
    os.close(w)
    os.read(r, 20)
    os.close(r)

    getattr(process, doing)()

    process.join(LONG_S)
    # Python turns SIGINT into KeyboardInterrupt, and that into an exit status.
    assert process.exitcode == (1 if number == signal.SIGINT else -number)
    getattr(process, doing)()


def test_result_times_out_while_the_child_runs(ctx: Any) -> None:
    """As in concurrent.futures: TimeoutError, and the process is as it was."""
    process = started(ctx, targets.pause)

    with pytest.raises(TimeoutError, match=str(process.pid)):
        process.result(timeout=0.01)

    assert process.is_alive()
    assert process in active_children()
    process.kill()
    process.join(LONG_S)
    assert process not in active_children()


def test_sentinel_is_ready_when_the_child_has_ended(ctx: Any) -> None:
    """It works with `connection.wait`, also after the child was reaped."""
    process = started(ctx, targets.pause)
    ready_before = connection.wait([process.sentinel], timeout=0)

    process.kill()

    assert ready_before == []
    assert connection.wait([process.sentinel], LONG_S) == [process.sentinel]
    process.join()
    assert connection.wait([process.sentinel], 0) == [process.sentinel]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_dead_child_is_reaped_with_no_call_from_the_user(method: str) -> None:
    """No zombie is older than a second, and the status is not lost."""
    ctx = get_default_context().get_context(method)
    process = started(ctx, targets.exit_at_once, 3)

    gone = wait_until(lambda: process.pid not in processes(), LONG_S)

    assert gone
    assert process.exitcode == 3


def test_forgotten_child_is_reaped(ctx: Any) -> None:
    """Also when its object is dropped while it runs."""
    r, w = os.pipe()
    pid = started(ctx, targets.say_and_pause, targets.Inherited(w)).pid
    os.close(w)
    os.read(r, 20)
    os.close(r)

    pidfd = os.pidfd_open(pid)
    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    os.close(pidfd)

    assert wait_until(lambda: pid not in processes(), LONG_S)
    assert wait_until(lambda: not active_children(), LONG_S)


def test_stopped_child_is_alive_and_goes_on(ctx: Any) -> None:
    """Death is judged by the kernel, never by silence."""
    process = started(ctx, targets.stop_oneself)
    assert wait_until(lambda: processes()[process.pid].state == "T", LONG_S)

    alive = process.is_alive()
    os.kill(process.pid, signal.SIGCONT)

    assert alive
    assert process.result(LONG_S) == "went on"


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


@pytest.mark.parametrize("doing", ["result", "exception"])
def test_result_before_start_and_after_close_is_refused(doing: str) -> None:
    """At the call, and in words."""
    process = Process(target=targets.square, args=(1,))
    with pytest.raises(ValueError, match="not been started"):
        getattr(process, doing)()

    process.start()
    process.join()
    process.close()

    with pytest.raises(ValueError, match="closed"):
        getattr(process, doing)()


def test_result_in_another_process_is_refused() -> None:
    """Only the parent can know it."""
    process = Process(target=targets.square, args=(1,))
    process.start()

    def ask() -> None:
        process.result()

    other = Process(target=ask)
    other.start()

    with pytest.raises(ValueError, match="only the process that started it"):
        other.result(LONG_S)
    assert process.result(LONG_S) == 1


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"target": 5}, "target must be callable"),
        ({"target": print, "args": 5}, r"args=\(5,\)"),
        ({"target": print, "args": "abc"}, r"args=\('abc',\)"),
        ({"target": print, "name": 5}, "name must be a string"),
        ({"target": print, "kwargs": 5}, "kwargs must be a dict"),
    ],
)
def test_process_refuses_wrong_types(arguments: dict[str, Any], text: str) -> None:
    """TypeError at the call, with what was meant."""
    with pytest.raises(TypeError, match=text):
        Process(**arguments)


@pytest.mark.parametrize("doing", ["join", "result", "exception"])
@pytest.mark.parametrize(("timeout", "error"), [("5", TypeError), (float("nan"), ValueError), ([], TypeError)])
def test_waits_refuse_a_timeout_that_is_no_number(doing: str, timeout: Any, error: type[Exception]) -> None:
    """At the call, and the process is as it was."""
    process = Process(target=targets.square, args=(1,))
    process.start()

    with pytest.raises(error, match="timeout"):
        getattr(process, doing)(timeout)

    assert process.result(LONG_S) == 1


def test_bad_order_of_calls_is_refused() -> None:
    """With the stdlib's exception types."""
    process = Process(target=targets.square, args=(1,))
    with pytest.raises(AssertionError, match="can only join a started process"):
        process.join()
    with pytest.raises(ValueError, match="not been started"):
        process.kill()
    with pytest.raises(ValueError, match="not started"):
        _ = process.sentinel

    process.start()

    with pytest.raises(AssertionError, match="cannot start a process twice"):
        process.start()
    assert process.result(LONG_S) == 1
    process.close()
    with pytest.raises(ValueError, match="closed"):
        process.start()


def test_close_is_refused_while_the_child_runs() -> None:
    """As in the stdlib."""
    process = Process(target=targets.pause)
    process.start()

    with pytest.raises(ValueError, match="still running"):
        process.close()

    process.kill()
    process.join()
    process.close()


def test_repr_is_the_stdlibs() -> None:
    """People parse it."""
    process = Process(target=targets.pause, name="p")
    initial = repr(process)
    process.start()
    running = repr(process)
    process.kill()
    process.join()

    assert initial == f"<Process name='p' parent={os.getpid()} initial>"
    assert running == f"<Process name='p' pid={process.pid} parent={os.getpid()} started>"
    assert repr(process) == f"<Process name='p' pid={process.pid} parent={os.getpid()} stopped exitcode=-SIGKILL>"


def test_start_takes_nothing_when_descriptors_are_exhausted() -> None:
    """One clear error, and nothing half made."""
    from helpers.procs import run_script

    done = run_script("""
        import os, resource
        from hardy.process import Process, active_children

        def work():
            return 1

        if __name__ == "__main__":
            first = Process(target=work)
            first.start()
            print(first.result())
            first.close()
            resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
            taken = []
            try:
                while True:
                    taken.append(os.open("/dev/null", os.O_RDONLY))
            except OSError:
                pass
            for spare in range(8):
                for _ in range(spare):
                    os.close(taken.pop())
                process = Process(target=work)
                try:
                    process.start()
                except OSError as error:
                    print(error.errno, active_children(), process.exitcode)
                else:
                    print("started", process.result())
                    process.close()
                while True:
                    try:
                        taken.append(os.open("/dev/null", os.O_RDONLY))
                    except OSError:
                        break
    """)

    lines = done.stdout.splitlines()
    assert lines[0] == "1", done.stderr
    assert set(lines[1:]) == {"24 [] None", "started 1"}, done.stdout + done.stderr
