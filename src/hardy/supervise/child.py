"""One child of a supervisor: its spec and, while it lives, its process."""

from __future__ import annotations

import contextlib
import select
import signal
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from hardy.supervise.spec import INFINITY, ChildSpec, Startable

__all__ = ["Child", "Ended"]

_ANSWERED = (signal.SIGINT, signal.SIGTERM)


class Ended(NamedTuple):
    """How a process ended."""

    pid: int | None
    exitcode: int | None
    error: BaseException | None
    killed: bool = False


class Child:
    """A spec, and the process that runs it now.

    Attributes:
        spec: what it was described as.
        process: what runs it, or None.
        restarts: how often it was started again.
    """

    def __init__(self, spec: ChildSpec) -> None:
        self.spec = spec
        self.process: Any = None
        self.restarts = 0
        self._starts = 0

    def start(self, ctx: Any) -> None:
        """Start its process.

        Raises:
            Exception: whatever `Process.start` raises; there is no process then.
        """
        spec = self.spec
        arguments = (spec.start, tuple(spec.args), dict(spec.kwargs))
        # A daemon: should the supervisor's process end without having stopped it, it is ended then.
        process = ctx.Process(target=_run, args=arguments, name=spec.id, daemon=True)
        process._restarts = self._starts
        with _held_back(ctx.get_start_method() == "fork"):
            process.start()
        self.process = process
        self._starts += 1

    def collect(self) -> Ended:
        """How its process ended, which it has; its descriptors are given back."""
        process, self.process = self.process, None
        process.join()
        try:
            error = process.exception()
        except OSError as why:
            # No descriptor is left to read a large outcome: the end of the process counts, not what it said.
            error = why
        ended = Ended(process.pid, process.exitcode, error)
        process.close()
        return ended

    def signal(self, number: int) -> None:
        """Send a signal to its process, if it has one that lives."""
        if self.process is not None:
            # By pidfd: the pid may be another's once it has ended.
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.process.sentinel, number)

    def terminate(self, hurry_fd: int) -> Ended:
        """End its process, as its spec says; how it ended.

        Args:
            hurry_fd: readable when there is no more time for a friendly end.
        """
        process, wait_s = self.process, self.spec.shutdown_s
        killed = wait_s == 0
        if not killed:
            process.terminate()
            killed = not _ends_in_time(process.sentinel, hurry_fd, wait_s)
        if killed:
            process.kill()
        return self.collect()._replace(killed=killed)


@contextlib.contextmanager
def _held_back(forks: bool) -> Iterator[None]:
    """Signals that come to a forked child before `_run` wait for it.

    The child is born with the parent's handlers, and Python forgets, in a new child, which of them were to run.
    """
    if not forks:
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ANSWERED)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _ends_in_time(sentinel: int, hurry_fd: int, wait_s: float) -> bool:
    poll = select.poll()
    poll.register(sentinel, select.POLLIN)
    poll.register(hurry_fd, select.POLLIN)
    ready = poll.poll(None if wait_s == INFINITY else wait_s * 1000)
    return any(fd == sentinel for fd, _ in ready)


def _run(start: Callable[..., Any] | Startable, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """In the child: run what the spec says.

    SIGTERM ends it, whatever its parent does with that signal, so that a stop reaches it. Ctrl-C at a terminal goes to
    all processes at once; here it is the supervisor that answers it, in its order.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ANSWERED)
    if isinstance(start, Startable):
        start._run_nested()
        return None
    return start(*args, **kwargs)
