"""What supervised children run, and how a test follows what their supervisor tells."""

from __future__ import annotations

import os
import queue
import signal
import sys
from typing import Any

from hardy import SupervisorEvent

__all__ = ["Watcher"]

DEADLINE_S = 20.0


class Watcher:
    """A hook that keeps every event; `until` waits for one.

    Attributes:
        seen: the events that `until` has passed, in order.
    """

    def __init__(self) -> None:
        self.seen: list[SupervisorEvent] = []
        self._coming: queue.SimpleQueue[SupervisorEvent] = queue.SimpleQueue()

    def __call__(self, event: SupervisorEvent) -> None:
        self._coming.put(event)

    def until(self, kind: str, id: str = "") -> SupervisorEvent:
        """The next event of this kind, of this child; those before it are passed over."""
        while True:
            event = self._coming.get(timeout=DEADLINE_S)
            self.seen.append(event)
            if event.kind == kind and id in ("", event.id):
                return event

    def told(self) -> list[tuple[str, str]]:
        """Kind and child of every event so far."""
        while not self._coming.empty():
            self.seen.append(self._coming.get())
        return [(event.kind, event.id) for event in self.seen]


def pause(*ignored: Any) -> None:
    signal.pause()


def come_and_pause(passed: Any) -> None:
    """Write the pid, as a line, and stay; `passed` is a `targets.Inherited`."""
    os.write(passed.fd, b"%d\n" % os.getpid())
    signal.pause()


def be_deaf(passed: Any) -> None:
    """Ignore SIGTERM, say so, and stay."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.write(passed.fd, b"deaf\n")
    while True:
        signal.pause()


def leave(code: int) -> None:
    sys.exit(code)


def fail(text: str) -> None:
    raise ValueError(text)
