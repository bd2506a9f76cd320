"""Supervisor: order, restarts, strategies, intensity, stopping; in this process, with real children."""

from __future__ import annotations

import math
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest
from helpers import supervised
from helpers.procfs import alive, wait_dead
from helpers.supervised import Watcher
from helpers.targets import Inherited

from hardy import CannotPickle, ChildError, ChildSpec, ProcessDied, RestartIntensityReached, Supervisor


def spec(id: str, **options: Any) -> ChildSpec:
    return ChildSpec(id, supervised.pause, **options)


def pids(supervisor: Supervisor) -> dict[str, int | None]:
    return {child.id: child.pid for child in supervisor.which_children()}


def kill(supervisor: Supervisor, id: str) -> int:
    pid = pids(supervisor)[id]
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    return pid


@pytest.fixture
def watcher() -> Watcher:
    return Watcher()


@pytest.fixture
def pipe() -> Iterator[tuple[int, Inherited]]:
    read_end, write_end = os.pipe()
    yield read_end, Inherited(write_end)
    os.close(read_end)
    os.close(write_end)


def test_children_start_in_order_and_stop_in_reverse(watcher: Watcher) -> None:
    """a, b, c come in this order, and go in the other."""
    with Supervisor([spec("a"), spec("b"), spec("c")], on_event=watcher) as supervisor:
        assert [child.id for child in supervisor.which_children()] == ["a", "b", "c"]

    ids = list("abc")
    expected = [("started", id) for id in ids] + [("terminated", id) for id in reversed(ids)] + [("stopped", "")]
    assert watcher.told() == expected


@pytest.mark.parametrize(("strategy", "again"), [("one_for_one", "b"), ("one_for_all", "abc"), ("rest_for_one", "bc")])
def test_strategy_says_who_is_started_again(watcher: Watcher, strategy: Any, again: str) -> None:
    """When b is killed: it alone, all, or it and those after it; the others keep their processes."""
    with Supervisor([spec("a"), spec("b"), spec("c")], strategy=strategy, on_event=watcher) as supervisor:
        before = pids(supervisor)
        kill(supervisor, "b")
        watcher.until("restarting", "b")
        watcher.until("started", again[-1])
        after = pids(supervisor)

    assert "".join(id for id in "abc" if before[id] != after[id]) == again


@pytest.mark.parametrize(
    ("restart", "code", "again"),
    [
        ("permanent", 0, True),
        ("permanent", 3, True),
        ("transient", 0, False),
        ("transient", 3, True),
        ("temporary", 0, False),
        ("temporary", 3, False),
    ],
)
def test_restart_policy_decides_by_the_exit_code(watcher: Watcher, restart: Any, code: int, again: bool) -> None:
    """Permanent: always; transient: after a failure; temporary: never, and its spec is forgotten."""
    child = ChildSpec("child", supervised.leave, (code,), restart=restart)

    supervisor = Supervisor([spec("other"), child], intensity=0, on_event=watcher)
    supervisor.start()
    died = watcher.until("died", "child")
    known = pids(supervisor)

    with pytest.raises(RestartIntensityReached) if again else nullcontext():
        supervisor.wait(supervised.DEADLINE_S) if again else supervisor.stop()

    assert died.exitcode == code
    assert (("gave_up", "child") in watcher.told()) == again
    assert ("child" in known) == (restart != "temporary")


def test_one_restart_too_many_stops_all_and_says_why(watcher: Watcher) -> None:
    """More than `intensity` in `period`: all children end, and the error names the last one and its cause."""
    supervisor = Supervisor([spec("a"), spec("b")], intensity=2, period=1000, on_event=watcher, name="shop")
    supervisor.start()
    for _ in range(2):
        kill(supervisor, "b")
        watcher.until("restarting", "b")
        watcher.until("started", "b")
    last = kill(supervisor, "b")

    with pytest.raises(RestartIntensityReached, match=rf"'shop' gave up.*2 in 1000 s.*'b' \(pid {last}\)") as caught:
        supervisor.wait(supervised.DEADLINE_S)

    assert isinstance(caught.value.__cause__, ProcessDied)
    assert (caught.value.id, caught.value.intensity, caught.value.period) == ("b", 2, 1000)
    assert pids(supervisor) == {"a": None, "b": None}
    for call in (supervisor.stop, lambda: supervisor.start_child(spec("c"))):
        with pytest.raises(RestartIntensityReached):
            call()


def test_crash_loop_ends_in_a_named_error() -> None:
    """A child that fails each time it starts costs `intensity` starts, not a busy machine."""
    with (
        pytest.raises(RestartIntensityReached, match="ValueError: no database") as caught,
        Supervisor([ChildSpec("db", supervised.fail, ("no database",))], intensity=3) as supervisor,
    ):
        supervisor.wait(supervised.DEADLINE_S)

    assert isinstance(caught.value.__cause__, ValueError)


def test_intensity_may_be_endless(watcher: Watcher) -> None:
    """`math.inf`: no number of restarts is too many."""
    with Supervisor([spec("a")], intensity=math.inf, on_event=watcher) as supervisor:
        for _ in range(8):
            watcher.until("started", "a")
            kill(supervisor, "a")
        watcher.until("started", "a")
        assert supervisor.which_children()[0].restarts == 8


def test_child_that_ignores_sigterm_is_killed_after_its_shutdown(watcher: Watcher, pipe: tuple[int, Inherited]) -> None:
    """The deadline is the spec's; `brutal_kill` has none."""
    children = [
        ChildSpec("deaf", supervised.be_deaf, (pipe[1],), shutdown=0.05),
        spec("brutal", shutdown="brutal_kill"),
    ]

    with Supervisor(children, on_event=watcher):
        assert os.read(pipe[0], 100) == b"deaf\n"

    assert watcher.told()[-3:] == [("killed", "brutal"), ("killed", "deaf"), ("stopped", "")]


def test_spec_that_cannot_be_pickled_is_refused_at_start(watcher: Watcher) -> None:
    """With spawn: CannotPickle with the path, and those that were started before are stopped."""
    children = [spec("a"), spec("b", args=(threading.Lock(),))]
    supervisor = Supervisor(children, ctx="spawn", on_event=watcher)

    with pytest.raises(CannotPickle, match=r"cannot start 'b' with 'spawn': args\[1\]\[0\]"):
        supervisor.start()

    assert watcher.told() == [("started", "a"), ("terminated", "a"), ("stopped", "")]


def test_children_are_added_stopped_started_again_and_forgotten() -> None:
    """OTP's start_child, terminate_child, restart_child, delete_child, and its words for what cannot be."""

    def refused(call: Any, *args: Any) -> str:
        with pytest.raises(ChildError) as caught:
            call(*args)
        return caught.value.reason

    with Supervisor([spec("a")]) as supervisor:
        pid = supervisor.start_child({"id": "b", "start": supervised.pause})
        assert pids(supervisor)["b"] == pid
        assert refused(supervisor.start_child, spec("b")) == "already_started"
        assert refused(supervisor.restart_child, "b") == "running"
        assert refused(supervisor.delete_child, "b") == "running"
        supervisor.terminate_child("b")
        assert not alive(pid)
        assert pids(supervisor)["b"] is None
        assert supervisor.count_children() == {"specs": 2, "active": 1, "supervisors": 0, "workers": 2}
        assert refused(supervisor.start_child, spec("b")) == "already_present"
        assert supervisor.restart_child("b") != pid
        supervisor.terminate_child("b")
        supervisor.delete_child("b")
        assert refused(supervisor.terminate_child, "b") == "not_found"
        assert supervisor.get_childspec("a").restart == "permanent"

    with pytest.raises(ValueError, match="it stops, or has ended"):
        supervisor.start_child(spec("c"))


def test_added_child_is_watched(watcher: Watcher) -> None:
    """What `start_child` started is started again as any other."""
    with Supervisor(on_event=watcher) as supervisor:
        supervisor.start_child(spec("late"))
        watcher.until("started", "late")
        kill(supervisor, "late")

        assert watcher.until("started", "late").pid == pids(supervisor)["late"]


@pytest.mark.parametrize(("auto_shutdown", "ends_at"), [("any_significant", 1), ("all_significant", 2)])
def test_auto_shutdown_stops_when_the_significant_have_ended(
    watcher: Watcher, auto_shutdown: Any, ends_at: int, pipe: tuple[int, Inherited]
) -> None:
    """The work is done: the first, or the last, significant child returned."""
    work = [ChildSpec(f"w{n}", os.read, (pipe[0], 1), restart="transient", significant=True) for n in range(2)]
    supervisor = Supervisor([spec("other"), *work], auto_shutdown=auto_shutdown, on_event=watcher, ctx="fork")
    supervisor.start()

    for _ in range(ends_at):
        os.write(pipe[1].fd, b"!")
        watcher.until("died")
    supervisor.wait(supervised.DEADLINE_S)

    assert watcher.told()[-1] == ("stopped", "")
    assert sum(kind == "died" for kind, _ in watcher.told()) == ends_at


def test_nested_supervisor_is_a_child_that_supervises(watcher: Watcher, pipe: tuple[int, Inherited]) -> None:
    """Its children end with it when it is killed, and come again with it."""
    inner = Supervisor([ChildSpec("leaf", supervised.come_and_pause, (pipe[1],))])

    with Supervisor([ChildSpec("inner", inner)], on_event=watcher) as supervisor:
        first = int(os.read(pipe[0], 100))
        assert supervisor.count_children()["supervisors"] == 1
        kill(supervisor, "inner")
        second = int(os.read(pipe[0], 100))
        assert wait_dead(first)
        assert alive(second)

    assert not alive(second)


def test_nested_supervisor_that_gives_up_is_a_failed_child(watcher: Watcher) -> None:
    """The failure goes up: the outer one counts it, and gives up in its turn."""
    inner = Supervisor([ChildSpec("leaf", supervised.fail, ("broken",))], intensity=1)

    with (
        pytest.raises(RestartIntensityReached, match="'inner'") as caught,
        Supervisor([ChildSpec("inner", inner)], intensity=1, on_event=watcher) as supervisor,
    ):
        supervisor.wait(supervised.DEADLINE_S)

    assert isinstance(caught.value.__cause__, RestartIntensityReached)
    assert watcher.told().count(("died", "inner")) == 2


def test_hook_that_raises_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """Its traceback is printed, and the children run on."""

    def hook(event: object) -> None:
        raise ArithmeticError("in the hook")

    with Supervisor([spec("a")], on_event=hook) as supervisor:
        assert pids(supervisor)["a"]

    assert "ArithmeticError: in the hook" in capsys.readouterr().err


def test_hook_may_use_its_supervisor(watcher: Watcher) -> None:
    """A hook is called with no lock held: it may add a child, and may stop."""
    supervisors: list[Supervisor] = []

    def hook(event: Any) -> None:
        watcher(event)
        if (event.kind, event.id) == ("died", "a"):
            supervisors[0].start_child(spec("b"))
        elif (event.kind, event.id) == ("started", "b"):
            supervisors[0].stop()

    supervisors.append(Supervisor([spec("a", restart="temporary")], on_event=hook))
    supervisors[0].start()
    kill(supervisors[0], "a")
    supervisors[0].wait(supervised.DEADLINE_S)

    assert watcher.told()[-2:] == [("terminated", "b"), ("stopped", "")]


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"strategy": "simple_one_for_one"}, ValueError, "strategy must be one of"),
        ({"intensity": -1}, ValueError, "intensity must be 0 or more"),
        ({"intensity": "3"}, TypeError, "intensity must be a number"),
        ({"period": math.nan}, ValueError, "period must be"),
        ({"auto_shutdown": "always"}, ValueError, "auto_shutdown must be one of"),
        ({"on_event": 3}, TypeError, "on_event must be a function"),
        ({"name": 3}, TypeError, "name must be a string"),
        ({"ctx": "thread"}, ValueError, "thread"),
        ({"ctx": 3}, TypeError, "ctx must be"),
        ({"children": [spec("a"), spec("a")]}, ChildError, "ids are unique"),
        ({"children": [supervised.pause]}, TypeError, "described by a ChildSpec"),
        ({"children": [spec("a", restart="transient", significant=True)]}, ValueError, "auto_shutdown='never'"),
    ],
)
def test_supervisor_refuses_bad_arguments(options: dict[str, Any], error: type[Exception], text: str) -> None:
    """At the call, by name."""
    with pytest.raises(error, match=text):
        Supervisor(**options)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"id": ""}, TypeError, "id of a child"),
        ({"start": None}, TypeError, "start of child 'a' must be a function or a Supervisor, not NoneType"),
        ({"args": "abc"}, TypeError, r"args=\('abc',\)"),
        ({"kwargs": []}, TypeError, "kwargs"),
        ({"restart": "always"}, ValueError, "permanent, transient, temporary"),
        ({"type": "thread"}, ValueError, "worker, supervisor"),
        ({"shutdown": "soon"}, TypeError, "shutdown of child 'a'"),
        ({"shutdown": -1}, ValueError, "0 seconds or more"),
        ({"significant": True}, ValueError, "permanent and cannot be significant"),
        ({"start": Supervisor(), "args": (1,)}, TypeError, "takes no args"),
    ],
)
def test_child_spec_refuses_bad_fields(options: dict[str, Any], error: type[Exception], text: str) -> None:
    """At the call, naming the child."""
    with pytest.raises(error, match=text):
        ChildSpec(**{"id": "a", "start": supervised.pause, **options})


def test_supervisor_is_started_once_and_used_where_it_was_started() -> None:
    """Each misuse says what to do."""
    supervisor = Supervisor([spec("a")])
    supervisor.stop()
    with pytest.raises(ValueError, match="call start"):
        supervisor.wait()
    with supervisor, pytest.raises(ValueError, match="started before"):
        supervisor.start()
    with pytest.raises(TypeError, match="has been started"):
        supervisor.__getstate__()


def test_run_needs_the_main_thread() -> None:
    """Signals arrive there; another thread is told to use start()."""
    errors = []

    def call() -> None:
        with pytest.raises(ValueError, match="main thread") as caught:
            Supervisor([spec("a")]).run()
        errors.append(caught.value)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()

    assert "use start()" in str(errors[0])
