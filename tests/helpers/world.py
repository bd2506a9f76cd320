"""Forked children that a test kills, stops and waits for, each wait with a deadline."""

from __future__ import annotations

import contextlib
import mmap
import os
import select
import signal
import sys
import traceback
from collections.abc import Callable, Iterator

from hardy._core import runtime
from helpers import procfs
from helpers.waiting import wait_until

__all__ = ["Child", "Tally", "World", "world"]

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
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
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

    def told(self) -> None:
        """In the child: say that it has come so far, and wait until the parent calls `tell`."""
        self.say()
        signal.sigwait({signal.SIGUSR1})

    def comes(self) -> None:
        """Return once the child has come to `told`, or has said anything."""
        assert self.heard(), f"the child {self.pid} ended before it came so far"

    def tell(self) -> None:
        """Let the child go on that has come to `told`."""
        os.kill(self.pid, signal.SIGUSR1)

    def heard(self, timeout_s: float = DEADLINE_S) -> bytes:
        """The next byte from the child; b"" when it has died."""
        ready, _, _ = select.select([self._out], [], [], timeout_s)
        assert ready, f"the child {self.pid} said nothing within {timeout_s} s"
        return os.read(self._out, 1)

    def asleep(self) -> None:
        """Return once the child, having said so, sleeps in the kernel."""
        self.comes()
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

    def is_struck(self, point: str) -> None:
        """Wait for the death of a child that was to die at a failpoint; it must have come there."""
        assert self.ends() == -signal.SIGKILL, f"the scenario did not come by {point}: exit code {self.status}"

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

    def strike(self, point: str, work: Callable[[], object]) -> None:
        """Do `work()` in a child that is killed at a failpoint, and fail if it never came there."""

        def run(_: Child) -> None:
            runtime.arm(f"{point}=kill")
            work()

        self.fork(run).is_struck(point)


class Tally:
    """A number in shared memory that only the holder of a lock may change."""

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, mmap.PAGESIZE)

    @property
    def value(self) -> int:
        return self._shared[1]

    def add(self) -> None:
        """Add one, in steps between which another process would be noticed."""
        assert self._shared[0] == 0, "two are inside"
        self._shared[0] = 1
        seen = self._shared[1]
        os.sched_yield()
        self._shared[1] = seen + 1
        self._shared[0] = 0


@contextlib.contextmanager
def world() -> Iterator[World]:
    """A world of which nothing is left afterwards."""
    created = World()
    try:
        yield created
    finally:
        for child in created.children:
            child.close()
