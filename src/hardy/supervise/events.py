"""What a supervisor tells its hook, in order."""

from __future__ import annotations

import collections
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

__all__ = ["Kind", "SupervisorEvent", "Teller"]

Kind = Literal["started", "died", "restarting", "terminated", "killed", "gave_up", "stopped"]


@dataclass(frozen=True)
class SupervisorEvent:
    """One thing that happened.

    Attributes:
        kind: `started`: a child has a process. `died`: its process ended by itself, or was killed by somebody else.
            `restarting`: it was decided to start it again. `terminated`: the supervisor ended it.
            `killed`: the same, but by SIGKILL. `gave_up`: there were more restarts than `intensity` in `period`.
            `stopped`: all children have ended, and nothing will happen any more.
        id: of the child; "" for `stopped`.
        pid: of its process, or None.
        exitcode: as `Process.exitcode`, or None.
        error: why it ended, when it did not return: its exception, or `ProcessDied`.
    """

    kind: Kind
    id: str
    pid: int | None = None
    exitcode: int | None = None
    error: BaseException | None = None


class Teller:
    """Hands events to the hook: in order, one at a time, and never while the supervisor's guard is held."""

    def __init__(self, hook: Callable[[SupervisorEvent], object] | None) -> None:
        self._hook = hook
        self._waiting: collections.deque[SupervisorEvent] = collections.deque()
        self._telling = threading.Lock()

    def note(self, event: SupervisorEvent) -> None:
        """An event that `tell` will hand over."""
        if self._hook is not None:
            self._waiting.append(event)

    def tell(self) -> None:
        """Hand over what waits; what another thread is handing over is left to it, also from inside a hook."""
        # Looked at again after the release: what was noted before it may have been left to us.
        while self._waiting and self._telling.acquire(blocking=False):
            try:
                while self._waiting:
                    self._call(self._waiting.popleft())
            finally:
                self._telling.release()

    def _call(self, event: SupervisorEvent) -> None:
        assert self._hook is not None
        try:
            self._hook(event)
        except Exception:
            # A hook that fails is its author's concern; the children must not pay for it.
            sys.excepthook(*sys.exc_info())
