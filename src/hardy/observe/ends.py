"""Learns when, and how, processes that this one has started end: a thread that sleeps until one does."""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable
from typing import Any

from hardy._core import board, runtime
from hardy.errors import ending_text

__all__ = ["Ends", "is_failure"]

# A process is seen to have ended a moment before how it did is on the board.
_TRIES = 50
_TRY_AGAIN_S = 0.02


class Ends:
    """Tells of each process that it watches, once, how it ended.

    Args:
        tell: called with what was given to `watch`, and "exit 0", "SIGKILL" and so on; by a thread of its own.
    """

    def __init__(self, tell: Callable[[Any, str], None]) -> None:
        self._tell = tell
        # Held while somebody is told: a child that is forked meanwhile would inherit whatever locks that takes.
        self._lock = threading.RLock()
        self._begin()
        os.register_at_fork(before=self._lock.acquire, after_in_parent=self._lock.release, after_in_child=self._forget)

    def _begin(self) -> None:
        # By pidfd: the process's identity, and what is told with its end.
        self._open: dict[int, tuple[int, Any]] = {}
        self._thread: threading.Thread | None = None
        self._wake: tuple[int, int] | None = None
        self._over = False

    def _forget(self) -> None:
        """In the child of a fork: they are the parent's to watch."""
        for fd in (*self._open, *(self._wake or ())):
            os.close(fd)
        self._begin()
        self._lock.release()

    def watch(self, process: Any, about: Any) -> None:
        """Tell of that process, when it has ended."""
        identity = runtime.identity_of(process.pid)
        try:
            fd = os.pidfd_open(process.pid)
        except OSError:  # it has ended and was collected already, or there are no descriptors
            self._tell(about, _ending(identity))
            return
        with self._lock:
            self._open[fd] = identity, about
            if self._thread is None:
                self._wake = os.pipe2(os.O_CLOEXEC)
                self._thread = threading.Thread(target=self._run, args=self._wake[:1], name="hardy-otel", daemon=True)
                self._thread.start()
        assert self._wake is not None
        os.write(self._wake[1], b".")

    def _run(self, woken: int) -> None:
        while not self._over:
            poll = select.poll()
            for fd in (woken, *list(self._open)):
                poll.register(fd, select.POLLIN)
            for fd, _ in poll.poll():
                if fd == woken:
                    os.read(woken, 4096)
                else:
                    self._end(fd)

    def _end(self, fd: int, ending: str | None = None) -> None:
        identity, about = self._open[fd]
        said = _ending(identity) if ending is None else ending
        with self._lock:
            del self._open[fd]
            os.close(fd)
            self._tell(about, said)

    def close(self) -> None:
        """Watch no more; of those that still run, tell "running"."""
        if self._thread is not None and self._wake is not None:
            self._over = True
            os.write(self._wake[1], b".")
            self._thread.join()
            for fd in self._wake:
                os.close(fd)
        ended = select.poll()
        for fd in self._open:
            ended.register(fd, select.POLLIN)
        gone = {fd for fd, _ in ended.poll(0)}
        for fd in list(self._open):
            self._end(fd, None if fd in gone else "running")
        self._begin()


def is_failure(ending: str) -> bool:
    """Whether a process that ended so did not end as it should; "" and "running": it has not ended."""
    # Who was sent SIGTERM was asked to end: so a pool ends its workers.
    return ending not in ("", "running", "ended", "exit 0", "SIGTERM")


def _ending(identity: int) -> str:
    """How a process has ended, that has."""
    for _ in range(_TRIES):
        found = board.describe(identity)
        if found is None:
            break
        if found[2] is not None:
            return ending_text(found[2])
        time.sleep(_TRY_AGAIN_S)
    return "ended"
