"""`Process`: started, named, signalled, waited for and reaped."""

from __future__ import annotations

import os
import signal
import sys
from multiprocessing import connection
from typing import Any

import pytest
from helpers import targets
from helpers.procfs import processes
from helpers.waiting import wait_until

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


def read_stdin() -> str:
    return sys.stdin.read()


def look_at_stdin() -> tuple[str, bytes, bool, str, bool]:
    here = sys.stdin
    is_null = os.fstat(here.fileno()).st_rdev == os.stat(os.devnull).st_rdev
    below = started(get_default_context().get_context("fork"), read_stdin)
    return here.read(), here.buffer.read(), is_null, below.result(), here.closed


def test_standard_input_of_a_child_is_empty(ctx: Any) -> None:
    """Two processes that read from one terminal would take each other's input."""
    before = sys.stdin.closed
    process = started(ctx, look_at_stdin)

    assert process.result(LONG_S) == ("", b"", True, "", False)
    assert sys.stdin.closed == before


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
