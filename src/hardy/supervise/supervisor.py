"""`Supervisor`: starts its children in order, watches them, starts the dead again, stops them in reverse order.

    new --start, run--> running --stop, SIGTERM, auto_shutdown, a restart too many--> stopping --> ended

It is an object of the process that starts it. One thread (the caller's in `run`, its own after `start`) sleeps in poll
on the pidfds of the children and on an eventfd; whoever changes something rings that. `_guard` is held for each
change, not while it sleeps. A nested supervisor is a child process that runs one.

If the supervisor's process dies here: at any step its children end with it (their lifelines), and theirs.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from multiprocessing.util import Finalize
from types import TracebackType
from typing import Any, NamedTuple

from hardy.context import get_default_context
from hardy.errors import RestartIntensityReached
from hardy.supervise.children import AutoShutdown, Children, check_spec
from hardy.supervise.events import SupervisorEvent, Teller
from hardy.supervise.signals import answered
from hardy.supervise.spec import ChildSpec, Startable, as_spec
from hardy.supervise.strategy import STRATEGIES, Intensity, Strategy

__all__ = ["ChildInfo", "Supervisor"]

_AUTO_SHUTDOWNS = ("never", "any_significant", "all_significant")
# Finalizers without a priority end the daemons; the children must have been stopped in order before.
_EXIT_PRIORITY = 100


class ChildInfo(NamedTuple):
    """One child, now.

    Attributes:
        id: its name.
        pid: of its process; None: it has none.
        type: `worker` or `supervisor`.
        restarts: how often it was started again.
    """

    id: str
    pid: int | None
    type: str
    restarts: int


class Supervisor(Startable):
    """Keeps processes running. Names, terms and defaults are those of Erlang/OTP's `supervisor`.

    Args:
        children: the specs, in the order in which they are started.
        strategy: who is started again when one is: `one_for_one`, it alone; `one_for_all`, all; `rest_for_one`, it and
            those that stand after it. The others are stopped first, the last one first.
        intensity: the most restarts within `period`; with one more the supervisor stops all children and gives up.
            `math.inf`: no limit.
        period: seconds.
        auto_shutdown: `any_significant` or `all_significant`: it stops by itself when one, or the last, of its
            significant children has ended and is not started again.
        name: what errors call it.
        on_event: called with each `SupervisorEvent`, in order, in the thread that caused it. What it raises is
            printed, and changes nothing.
        ctx: a context, or the name of a start method; None: the default.

    Fork/spawn: with fork, children are forked by the thread that watches them, which after `start()` is not the main
    one. A program whose other threads hold locks should take another start method, or `run()`.

    Raises:
        TypeError, ValueError: an argument is wrong.
        ChildError: two specs have one id.
    """

    def __init__(
        self,
        children: Iterable[ChildSpec | Mapping[str, Any]] = (),
        *,
        strategy: Strategy = "one_for_one",
        intensity: float = 1,
        period: float = 5.0,
        auto_shutdown: AutoShutdown = "never",
        name: str | None = None,
        on_event: Callable[[SupervisorEvent], object] | None = None,
        ctx: Any = None,
    ) -> None:
        _check_flags(strategy, intensity, period, auto_shutdown, name, on_event)
        self._strategy, self._intensity, self._period = strategy, intensity, period
        self._auto_shutdown, self._name, self._on_event = auto_shutdown, name, on_event
        self._method = _method_of(ctx)
        self._specs: list[ChildSpec] = []
        for each in children:
            spec = as_spec(each)
            check_spec(spec, self._specs, auto_shutdown, "duplicate_child_name")
            self._specs.append(spec)
        self._prepare()

    def _prepare(self) -> None:
        self._guard = threading.RLock()
        self._teller = Teller(self._on_event)
        self._children: Children | None = None
        self._ended = threading.Event()
        self._wake_fd = -1
        self._owner_pid = 0
        self._watcher: threading.Thread | None = None
        self._finalizer: Finalize | None = None

    def __getstate__(self) -> dict[str, Any]:
        if self._children is not None:
            raise TypeError(f"{self!r} has been started: it cannot go to another process any more")
        keys = ("_strategy", "_intensity", "_period", "_auto_shutdown", "_name", "_on_event", "_method", "_specs")
        return {key: self.__dict__[key] for key in keys}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._prepare()

    def __repr__(self) -> str:
        return f"<{self._title()}, {self._strategy}>"

    def _title(self) -> str:
        return f"Supervisor {self._name!r}" if self._name else f"Supervisor of {len(self._specs)}"

    def run(self) -> None:
        """Start the children, in order, and keep them running until SIGTERM, SIGINT or `stop`; then stop them.

        SIGTERM and SIGINT (Ctrl-C) stop the children in order; a second one kills them. Returns when all have ended.

        Raises:
            RestartIntensityReached: it gave up; all children were stopped.
            ValueError: this is not the main thread, where signals arrive; or it was started before.
            Exception: what the start of a child raised (`CannotPickle`, OSError); those started before it were stopped.
        """
        if threading.current_thread() is not threading.main_thread():
            raise ValueError(f"run() of {self!r} answers signals and must be called in the main thread; use start()")
        self._run((signal.SIGTERM, signal.SIGINT))

    def _run_nested(self) -> None:
        # SIGINT is answered by the outermost supervisor.
        self._run((signal.SIGTERM,))

    def _run(self, numbers: tuple[signal.Signals, ...]) -> None:
        children = self._begin()
        self._watcher = threading.current_thread()
        with answered(numbers, self._request_stop):
            self._start_all(children)
            self._watch(children)
        self._raise_failure()

    def start(self) -> None:
        """Start the children, in order, and return; a thread keeps them running until `stop`.

        Raises:
            ValueError: it was started before.
            Exception: what the start of a child raised (`CannotPickle`, OSError); those started before it were stopped.
        """
        children = self._begin()
        self._start_all(children)
        # A daemon, for it must not hold up the end of the program; the finalizer stops the children then.
        self._watcher = threading.Thread(target=self._watch, args=(children,), name="hardy-supervisor", daemon=True)
        self._finalizer = Finalize(None, _stop_at_exit, args=(self,), exitpriority=_EXIT_PRIORITY)
        self._watcher.start()

    def stop(self) -> None:
        """Stop the children in reverse order, each with its `shutdown`, and return when all have ended.

        Called from a hook, or from a signal's handler during `run`, it returns at once, and they are stopped next.

        Raises:
            RestartIntensityReached: it had given up before.
        """
        if self._children is None:
            return
        self._check_ours("stop")
        if not self._children.stopping:
            self._request_stop()
        if self._watcher is not threading.current_thread():
            self._await_end(None)
            self._raise_failure()

    def wait(self, timeout: float | None = None) -> None:
        """Until it has ended: by `stop`, by `auto_shutdown`, or since it gave up.

        Args:
            timeout: seconds to wait at most; None: no end.

        Raises:
            TimeoutError: it goes on.
            RestartIntensityReached: it gave up; all children were stopped.
        """
        self._check_ours("wait")
        if not self._await_end(timeout):
            raise TimeoutError(f"{self!r} still runs after {timeout} s")
        self._raise_failure()

    def __enter__(self) -> Supervisor:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop()
        except RestartIntensityReached:
            if error is None:
                raise

    def start_child(self, spec: ChildSpec | Mapping[str, Any]) -> int:
        """Add a child at the end, and start it; the pid of its process.

        Raises:
            ChildError: there is a child with its id (`already_started`, or `already_present` without a process).
            ValueError: the supervisor does not run.
            Exception: what the start raised; the child was not added.
        """
        made = as_spec(spec)
        with self._changing("start_child") as children:
            running = any(each.spec.id == made.id and each.process for each in children.all)
            reason = "already_started" if running else "already_present"
            check_spec(made, [child.spec for child in children.all], self._auto_shutdown, reason)
            return int(children.add(made).process.pid)

    def terminate_child(self, id: str) -> None:
        """Stop a child; its spec stays, for `restart_child`, unless it is temporary.

        Raises:
            ChildError: there is no such child (`not_found`).
            ValueError: the supervisor does not run.
        """
        with self._changing("terminate_child") as children:
            children.end(children.find(id))

    def signal_child(self, id: str, number: int) -> None:
        """Send a signal to the process of a child, if it has one; what becomes of it is dealt with as any end.

        Raises:
            ChildError: there is no such child (`not_found`).
            ValueError: the supervisor does not run.
        """
        with self._changing("signal_child") as children:
            children.find(id).signal(number)

    def restart_child(self, id: str) -> int:
        """Start a child that has no process; its new pid.

        Raises:
            ChildError: there is no such child (`not_found`), or it runs (`running`).
            ValueError: the supervisor does not run.
            Exception: what the start raised.
        """
        with self._changing("restart_child") as children:
            child = children.find_stopped(id, "restart_child()")
            children.launch(child)
            return int(child.process.pid)

    def delete_child(self, id: str) -> None:
        """Forget the spec of a child that has no process.

        Raises:
            ChildError: there is no such child (`not_found`), or it runs (`running`).
            ValueError: the supervisor does not run.
        """
        with self._changing("delete_child") as children:
            children.all.remove(children.find_stopped(id, "delete_child()"))

    def which_children(self) -> list[ChildInfo]:
        """The children, in start order."""
        with self._guard:
            if self._children is None:
                return [ChildInfo(spec.id, None, str(spec.type), 0) for spec in self._specs]
            return [
                ChildInfo(each.spec.id, each.process and each.process.pid, str(each.spec.type), each.restarts)
                for each in self._children.all
            ]

    def count_children(self) -> dict[str, int]:
        """How many `specs` there are, how many of them are `active`, and how many `supervisors` and `workers`."""
        children = self.which_children()
        supervisors = sum(each.type == "supervisor" for each in children)
        return {
            "specs": len(children),
            "active": sum(each.pid is not None for each in children),
            "supervisors": supervisors,
            "workers": len(children) - supervisors,
        }

    def get_childspec(self, id: str) -> ChildSpec:
        """The spec of a child.

        Raises:
            ChildError: there is no such child (`not_found`).
            ValueError: the supervisor was not started.
        """
        self._check_ours("get_childspec")
        with self._guard:
            assert self._children is not None
            return self._children.find(id).spec

    def _begin(self) -> Children:
        if self._children is not None:
            raise ValueError(f"{self!r} was started before; make another one")
        self._owner_pid = os.getpid()
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        ctx = get_default_context().get_context(self._method)
        counter = Intensity(self._intensity, self._period)
        children = Children(self._title(), self._strategy, counter, self._auto_shutdown, self._teller, ctx)
        self._children = children
        return children

    def _start_all(self, children: Children) -> None:
        try:
            with self._guard:
                for spec in self._specs:
                    if not children.stopping:
                        children.add(spec)
        except BaseException:
            self._finish(children)
            raise
        finally:
            self._teller.tell()

    def _watch(self, children: Children) -> None:
        """Until the end."""
        try:
            while not children.stopping:
                self._await_event(children)
                with self._guard:
                    children.deal_with_deaths()
                self._teller.tell()
        finally:
            self._finish(children)
            self._teller.tell()

    def _await_event(self, children: Children) -> None:
        """Until a child has ended, or somebody rang."""
        poll = select.poll()
        poll.register(self._wake_fd, select.POLLIN)
        with self._guard:
            for child in children.all:
                if child.process is not None:
                    poll.register(child.process.sentinel, select.POLLIN)
        # Who ends a child meanwhile, so that its descriptor is closed, rings.
        poll.poll()
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._wake_fd)

    def _finish(self, children: Children) -> None:
        going_on = True
        while going_on:
            with self._guard:
                going_on = children.end_last()
            # Each is told of when it has ended: the next one may take its time.
            self._teller.tell()
        with self._guard:
            children.close()
            fd, self._wake_fd = self._wake_fd, -1
            os.close(fd)
            self._teller.note(SupervisorEvent("stopped", ""))
        self._ended.set()

    def _await_end(self, timeout: float | None) -> bool:
        if not self._ended.wait(timeout):
            return False
        if self._watcher is not None and self._finalizer is not None:
            self._watcher.join()
            self._finalizer.cancel()
        return True

    def _request_stop(self) -> None:
        """A signal's handler calls it: without the guard. A second call asks for haste."""
        assert self._children is not None
        hurry, self._children.stopping = self._children.stopping, True
        # Closed under us by the end of the loop: then there is nobody to wake.
        with contextlib.suppress(OSError):
            os.eventfd_write(self._wake_fd, 1)
            if hurry:
                os.eventfd_write(self._children.hurry_fd, 1)

    def _raise_failure(self) -> None:
        assert self._children is not None
        if self._children.failure is not None:
            raise self._children.failure

    @contextlib.contextmanager
    def _changing(self, doing: str) -> Iterator[Children]:
        """The guard, for a change of the children; then the watching thread and the hook are told."""
        self._check_ours(doing)
        assert self._children is not None
        try:
            with self._guard:
                if self._children.stopping:
                    self._raise_failure()
                    raise ValueError(f"{doing}() of {self!r}: it stops, or has ended")
                try:
                    yield self._children
                finally:
                    os.eventfd_write(self._wake_fd, 1)
        finally:
            self._teller.tell()

    def _check_ours(self, doing: str) -> None:
        if self._children is None:
            raise ValueError(f"{doing}() of {self!r}: it has not been started; call start() or run() first")
        if self._owner_pid != os.getpid():
            raise ValueError(f"{doing}() of {self!r} in process {os.getpid()}: it belongs to process {self._owner_pid}")


def _stop_at_exit(supervisor: Supervisor) -> None:
    """At the end of a program that did not stop it, or did not ask how it ended."""
    try:
        supervisor.stop()
    except RestartIntensityReached:
        sys.excepthook(*sys.exc_info())


def _method_of(ctx: Any) -> str | None:
    if ctx is None:
        return None
    if isinstance(ctx, str):
        get_default_context().get_context(ctx)
        return ctx
    if not hasattr(ctx, "get_start_method"):
        raise TypeError(f"ctx must be a context, the name of a start method or None, not {type(ctx).__name__}")
    return str(ctx.get_start_method())


def _check_flags(
    strategy: object, intensity: object, period: object, auto_shutdown: object, name: object, on_event: object
) -> None:
    if strategy not in STRATEGIES:
        raise ValueError(f"strategy must be one of {', '.join(STRATEGIES)}, not {strategy!r:.60}")
    if auto_shutdown not in _AUTO_SHUTDOWNS:
        raise ValueError(f"auto_shutdown must be one of {', '.join(_AUTO_SHUTDOWNS)}, not {auto_shutdown!r:.60}")
    for what, value in (("intensity", intensity), ("period", period)):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise TypeError(f"{what} must be a number, not {type(value).__name__}")
        if not value >= 0:
            raise ValueError(f"{what} must be 0 or more, not {value}")
    if name is not None and not isinstance(name, str):
        raise TypeError(f"name must be a string or None, not {type(name).__name__}")
    if on_event is not None and not callable(on_event):
        raise TypeError(f"on_event must be a function or None, not {type(on_event).__name__}")
