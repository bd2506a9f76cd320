"""What a process is told that takes a lock over from a dead one."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from types import FrameType
from typing import TYPE_CHECKING

from hardy._core import runtime
from hardy._sync.owner import describe
from hardy.errors import OwnerDied, OwnerDiedWarning

__all__ = ["Recoverable", "check_on_owner_death"]

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


# Their locks guard the pipes of pools and executors, whose workers end by SIGTERM with the reader's lock in hand.
_POOLS = ("multiprocessing.pool", "multiprocessing.queues")


def _caller() -> tuple[int, FrameType]:
    """The first frame that is neither hardy's nor contextlib's, and how far up it is, for `warnings.warn`."""
    level = 1
    frame = sys._getframe(1)
    while frame.f_back is not None and (
        frame.f_code.co_filename.startswith(_PACKAGE) or frame.f_globals.get("__name__") == "contextlib"
    ):
        frame = frame.f_back
        level += 1
    return level, frame


def check_on_owner_death(on_owner_death: str) -> bool:
    """Whether an error is asked for rather than a warning.

    Raises:
        ValueError: it is neither "warn" nor "raise".
    """
    if on_owner_death not in ("warn", "raise"):
        raise ValueError(f'on_owner_death must be "warn" or "raise", not {on_owner_death!r}')
    return on_owner_death == "raise"


class Recoverable:
    """Warns, or raises, when a lock came from a dead owner; mixed into the locks' Python classes."""

    _raises: bool = False

    if TYPE_CHECKING:
        # Read only: a named lock always has one.
        @property
        def name(self) -> str | None: ...

    def _owner_died(self, identity: int) -> None:
        level, frame = _caller()
        who = describe(identity)
        if who.signal == signal.SIGTERM and frame.f_globals.get("__name__") in _POOLS:
            return
        which = f"an unnamed {type(self).__name__}" if self.name is None else f"{type(self).__name__} {self.name!r}"
        message = (
            f"{who.text} died holding {which}. You hold the lock now, but what it guards may be half-written: check it."
        )
        if self._raises:
            raise OwnerDied(message, name=self.name, owner=identity, pid=runtime.pid_of(identity))
        warnings.warn(message, OwnerDiedWarning, stacklevel=level)
