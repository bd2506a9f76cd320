"""Forked processes that tell the test what they do, so that a kill at any instruction leaves a true record."""

from __future__ import annotations

import os
import pickle
import platform
import select
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hardy._core import runtime
from helpers import procfs
from helpers.waiting import wait_until

RAISED = 70
# What a blocked actor is in, by its number on this machine.
_FUTEX = {"x86_64": ("202 ", "449 "), "aarch64": ("98 ", "449 ")}.get(platform.machine())


class Line:
    """The child's end: what is said is in the pipe, whatever happens to the child afterwards."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def say(self, *words: Any) -> None:
        data = pickle.dumps(words)
        os.write(self._fd, len(data).to_bytes(4, "little") + data)


class Actor:
    """A forked process that runs `target(line, *args)`, and ends with it.

    Attributes:
        said: every message that it said, in order; `hear` adds to it.
        status: how it ended, as from waitpid; None while it runs.
    """

    def __init__(self, target: Callable[..., None], args: tuple[Any, ...], failpoint: str) -> None:
        self.said: list[tuple[Any, ...]] = []
        self.status: int | None = None
        self._rest = b""
        self._fd, write_end = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            _play(target, Line(write_end), args, failpoint)
        os.close(write_end)
        os.set_blocking(self._fd, False)
        self._pidfd = os.pidfd_open(self.pid)

    def hear(self) -> list[tuple[Any, ...]]:
        """All that it has said so far."""
        while True:
            try:
                data = os.read(self._fd, 65536)
            except BlockingIOError:
                break
            if not data:
                break
            self._rest += data
        while len(self._rest) >= 4 and len(self._rest) >= 4 + int.from_bytes(self._rest[:4], "little"):
            size = 4 + int.from_bytes(self._rest[:4], "little")
            self.said.append(pickle.loads(self._rest[4:size]))
            self._rest = self._rest[size:]
        return self.said

    def has_said(self, *words: Any, timeout_s: float = 10.0) -> bool:
        """Whether it says exactly that within the time."""
        deadline = time.monotonic() + timeout_s
        while words not in self.hear() and (left := deadline - time.monotonic()) > 0:
            select.select([self._fd], [], [], left)
            if self.ended(0.0) is not None:
                break
        return words in self.hear()

    def ended(self, timeout_s: float) -> int | None:
        """Its wait status if it ends within the time, or None."""
        if self.status is None and select.select([self._pidfd], [], [], timeout_s)[0]:
            self.status = os.waitpid(self.pid, 0)[1]
        return self.status

    def is_asleep(self) -> bool:
        """Whether it sleeps in the kernel (on a futex, where the kernel tells)."""
        try:
            call = Path(f"/proc/{self.pid}/syscall").read_text()
        except OSError:
            call = ""
        if call and _FUTEX:
            return call.startswith(_FUTEX)
        found = procfs.stat(self.pid)
        return found is not None and found.state == "S"

    def wait_asleep(self) -> None:
        assert wait_until(self.is_asleep), f"actor {self.pid} never slept: {self.hear()}, {self.status}"

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def stop(self) -> None:
        """SIGSTOP, and wait until it has stopped."""
        self.signal(signal.SIGSTOP)
        self.wait_stopped()

    def wait_stopped(self) -> None:
        assert wait_until(lambda: getattr(procfs.stat(self.pid), "state", "") == "T"), "it did not stop"

    def resume(self) -> None:
        self.signal(signal.SIGCONT)

    def ends_well(self, timeout_s: float = 5.0) -> bool:
        """Whether it ends by itself, without an error, within the time."""
        return self.ended(timeout_s) == 0

    def dispose(self) -> None:
        """Kill it if it still runs, and reap it."""
        if self.status is None:
            self.signal(signal.SIGKILL)
            self.ended(10.0)
        os.close(self._fd)
        os.close(self._pidfd)

    def __repr__(self) -> str:
        return f"<actor {self.pid}, status {self.status}, said {self.said[-6:]}>"


def _play(target: Callable[..., None], line: Line, args: tuple[Any, ...], failpoint: str) -> None:
    status = RAISED
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        runtime.arm(failpoint)
        target(line, *args)
        status = 0
    except BaseException:
        line.say("raised", traceback.format_exc()[-3000:])
    finally:
        os._exit(status)


class Crew:
    """The actors of one test; none outlives it."""

    def __init__(self) -> None:
        self.actors: list[Actor] = []

    def start(self, target: Callable[..., None], *args: Any, failpoint: str = "") -> Actor:
        actor = Actor(target, args, failpoint)
        self.actors.append(actor)
        return actor

    def dies(self, target: Callable[..., None], *args: Any, failpoint: str) -> Actor:
        """An actor that is killed at the failpoint; the assertion fails when it never gets there."""
        actor = self.start(target, *args, failpoint=failpoint if "=" in failpoint else f"{failpoint}=kill")
        must_die(actor, failpoint)
        return actor

    def dispose(self) -> None:
        for actor in self.actors:
            actor.dispose()

    def report(self) -> str:
        return "\n".join(f"{actor!r}: {actor.hear()}" for actor in self.actors)


def must_die(actor: Actor, failpoint: str) -> None:
    status = actor.ended(10.0)
    said = actor.hear()
    assert status is not None, f"hung before {failpoint}: {said}"
    assert os.WIFSIGNALED(status), f"never reached {failpoint}, exit status {status >> 8}: {said}"
    assert os.WTERMSIG(status) == signal.SIGKILL, f"ended by signal {os.WTERMSIG(status)}: {said}"


@contextmanager
def new_crew() -> Iterator[Crew]:
    crew = Crew()
    try:
        yield crew
    finally:
        crew.dispose()
