"""Forked children that a test kills, stops and waits for, each wait with a deadline."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import traceback
from collections.abc import Callable, Iterator

from helpers import procfs
from helpers.waiting import wait_until

__all__ = ["Child", "World", "world"]

DEADLINE_S = 20.0


class Child:
    """A forked child that runs one function and exits with 0, or with 1 and a traceback.

    The child talks through a pipe: what it passes to `say` comes out of `heard` one byte at a time.
    """

    def __init__(self, work: Callable[[Child], object]) -> None:
        self.status: int | None = None
        self._out, self._in = os.pipe()
        self.pid = os.fork()
        if self.pid:
            os.close(self._in)
            self._pidfd = os.pidfd_open(self.pid)
            return
        os.close(self._out)
        code = 1
        try:
            work(self)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            sys.stdout.flush()
            os._exit(code)

    def say(self, word: bytes = b".") -> None:
        """In the child: let the parent hear one byte."""
        os.write(self._in, word)

    def heard(self, timeout_s: float = DEADLINE_S) -> bytes:
        """The next byte from the child; b"" when it has died."""
        ready, _, _ = select.select([self._out], [], [], timeout_s)
        assert ready, f"the child {self.pid} said nothing within {timeout_s} s"
        return os.read(self._out, 1)

    def asleep(self) -> None:
        """Return once the child, having said so, sleeps in the kernel."""
        assert self.heard(), f"the child {self.pid} ended before it slept"
        assert wait_until(lambda: (found := procfs.stat(self.pid)) is not None and found.state == "S", DEADLINE_S)

    def ends(self, timeout_s: float = DEADLINE_S) -> int:
        """Its exit code, as in `Popen.returncode`."""
        if self.status is None:
            ready, _, _ = select.select([self._pidfd], [], [], timeout_s)
            assert ready, f"the child {self.pid} still runs after {timeout_s} s"
            self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.status

    def ended(self) -> bool:
        """Whether it has ended by now."""
        return self.status is not None or bool(select.select([self._pidfd], [], [], 0)[0])

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal; SIGKILL also waits for the end."""
        os.kill(self.pid, number)
        if number == signal.SIGKILL:
            self.ends()

    def close(self) -> None:
        """End it and give its descriptors back."""
        if self.status is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self.ends()
        os.close(self._out)
        os.close(self._pidfd)


class World:
    """All children of one test."""

    def __init__(self) -> None:
        self.children: list[Child] = []

    def fork(self, work: Callable[[Child], object]) -> Child:
        """A child that runs `work(child)`."""
        child = Child(work)
        self.children.append(child)
        return child

    def fork_asleep(self, work: Callable[[], object]) -> Child:
        """A child that has come to sleep in `work()`."""

        def run(child: Child) -> None:
            child.say()
            work()

        child = self.fork(run)
        child.asleep()
        return child


@contextlib.contextmanager
def world() -> Iterator[World]:
    """A world of which nothing is left afterwards."""
    created = World()
    try:
        yield created
    finally:
        for child in created.children:
            child.close()
