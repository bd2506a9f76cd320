"""What bad use of a process is told: at the call, in words, and nothing is half made."""

from __future__ import annotations

import functools
import os
import pickle
import sys
import threading
from typing import Any

import pytest
from helpers import targets
from helpers.procs import run_script

from hardy import errors
from hardy.context import get_default_context
from hardy.process import Process, active_children, current_process

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


def test_start_explains_when_subclass_forgot_its_base() -> None:
    """The mistake is named, with the mend."""
    with pytest.raises(AssertionError, match=r"super\(\).__init__\(\)"):
        targets.Forgetful().start()


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
        ({"target": print, "args": {"n": 1}}, "named arguments go to kwargs"),
        ({"target": print, "kwargs": 5}, "kwargs must be a dict"),
        ({"target": print, "kwargs": {5: 1}}, "5 is no name"),
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


def test_start_takes_nothing_when_descriptors_are_exhausted() -> None:
    """One clear error, and nothing half made."""
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


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        ({"target": targets.square, "args": (1, {"s": threading.Lock()})}, "args[1]['s']"),
        ({"target": targets.square, "kwargs": {"n": threading.Lock()}}, "kwargs['n']"),
        ({"target": lambda: 1}, "target"),
        ({"target": functools.partial(lambda: 1)}, "target.func"),
        ({"target": targets.square, "args": (targets.SaysWhatTravels(),)}, "args[0].session"),
    ],
)
def test_start_names_the_culprit_when_it_cannot_be_pickled(
    method: str, arguments: dict[str, Any], path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The path leads to it, nothing was started, and the stdlib's exception types catch it."""
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    process = get_default_context().get_context(method).Process(name="w1", **arguments)

    with pytest.raises(errors.CannotPickle, match=f"cannot start 'w1' with '{method}'") as caught:
        process.start()

    assert caught.value.path == path
    assert isinstance(caught.value, (TypeError, AttributeError))
    assert active_children() == []


@pytest.mark.parametrize(
    ("doing", "error", "text"),
    [
        ("start", AssertionError, r"cannot start a process twice: 'w1' \(pid \d+\) .* make a new Process"),
        ("set daemon", AssertionError, r"process has already started: 'w1' .* before start\(\)"),
        ("pickle", TypeError, r"the process object 'w1' \(pid \d+\) cannot be sent to another process"),
    ],
)
def test_started_process_refuses_what_comes_too_late(doing: str, error: type[Exception], text: str) -> None:
    """By name and pid, with the mend; of the stdlib's type."""
    process = Process(target=targets.square, args=(1,), name="w1")
    process.start()

    calls = {
        "start": process.start,
        "set daemon": lambda: setattr(process, "daemon", True),
        "pickle": lambda: pickle.dumps(process),
    }
    with pytest.raises(error, match=text):
        calls[doing]()

    assert process.result(LONG_S) == 1


@pytest.mark.parametrize("doing", ["join", "kill", "terminate", "is_alive", "start"])
def test_process_of_another_is_refused(doing: str) -> None:
    """It is said whose it is, and what to do instead."""
    process = Process(target=targets.square, args=(1,), name="w1")
    if doing != "start":
        process.start()
    other = Process(target=lambda: getattr(process, doing)())
    other.start()

    error = other.exception(LONG_S)

    assert isinstance(error, AssertionError)
    assert f"'w1'{'' if doing == 'start' else f' (pid {process.pid})'} was made by process {os.getpid()}" in str(error)
    if doing != "start":
        assert process.result(LONG_S) == 1


def test_join_of_oneself_is_refused() -> None:
    """A process would wait for itself for ever."""
    process = Process(target=lambda: process.join())
    process.start()

    error = process.exception(LONG_S)

    assert isinstance(error, AssertionError)
    assert "this very process" in str(error)
    with pytest.raises(AssertionError, match=rf"'MainProcess' \(pid {os.getpid()}\) is this very process"):
        current_process().join()


def test_closed_process_is_named() -> None:
    """ValueError, as in the stdlib, for whatever is asked of it."""
    process = Process(target=targets.square, args=(1,), name="w1")
    process.start()
    process.join()
    process.close()

    for ask in (process.join, process.start, process.kill, process.is_alive, lambda: process.exitcode):
        with pytest.raises(ValueError, match="process object is closed: 'w1'"):
            ask()


def test_fork_beside_threads_warns_with_their_names() -> None:
    """On every Python, at the user's line; and not when there is no other thread."""
    leave = threading.Event()
    thread = threading.Thread(target=leave.wait, name="refresher")
    thread.start()

    process = Process(target=targets.square, args=(1,))
    with pytest.warns(errors.ForkWithThreadsWarning, match=r"\('refresher'\).*get_context\('spawn'\)") as got:
        process.start()
    leave.set()
    thread.join()

    assert got[0].filename == __file__
    assert len(got) == 1
    assert process.result(LONG_S) == 1
