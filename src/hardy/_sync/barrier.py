"""`Barrier`."""

from __future__ import annotations

from collections.abc import Callable
from operator import index
from threading import BrokenBarrierError
from typing import Any, NoReturn

from hardy._core import sync_meet
from hardy._sync.cells import SharedHandle, check_name
from hardy._sync.owner import describe

__all__ = ["Barrier", "BrokenBarrierError"]


class Barrier(SharedHandle, sync_meet.BarrierCell):
    """A place where a number of processes wait for each other.

    Args:
        parties: how many must come, from 1 to 60,000.
        action: called by one of them when all have come, before any goes on.
        timeout: seconds that `wait` waits when it is given none; None waits without end.
        ctx: accepted for code that passes a context; not used.
        name: what messages call the barrier.

    If a process dies here: one that waits, or runs the action, breaks the barrier: all others get
    `BrokenBarrierError` that names it, until `reset()`.
    """

    def __init__(
        self,
        parties: int,
        action: Callable[[], object] | None = None,
        timeout: float | None = None,
        *,
        ctx: Any = None,
        name: str | None = None,
    ) -> None:
        number = index(parties)
        if not 1 <= number <= sync_meet.MOST_PARTIES:
            raise ValueError(f"parties must be from 1 to {sync_meet.MOST_PARTIES}, not {parties}")
        if action is not None and not callable(action):
            raise TypeError(f"action must be callable or None, not {type(action).__name__}")
        if timeout is not None and not isinstance(timeout, (int, float)):
            raise TypeError(f"timeout must be a number of seconds or None, not {type(timeout).__name__}")
        self._action = action
        self._timeout = timeout
        self._create(number, check_name(name))

    def wait(self, timeout: float | None = None) -> int:
        """Wait until all parties have come.

        Args:
            timeout: seconds to wait at the most, then the barrier breaks; None takes the barrier's own.

        Returns:
            A number from 0 to `parties - 1`, another for each of them.

        Raises:
            BrokenBarrierError: the barrier is broken or was reset, or the time was over.
        """
        return self._wait(self._action, self._timeout if timeout is None else timeout)

    def _raise_broken(self, identity: int) -> NoReturn:
        which = "the barrier" if self.name is None else f"barrier {self.name!r}"
        if identity:
            raise BrokenBarrierError(
                f"{describe(identity).text} died while it waited at {which}, which is broken. "
                "Call reset() once the party is replaced"
            )
        raise BrokenBarrierError(f"{which} is broken, or was reset while this party waited")

    def __repr__(self) -> str:
        state = "broken" if self.broken else f"waiters={self.n_waiting}/{self.parties}"
        return f"<{type(self).__module__}.{type(self).__qualname__} at {id(self):#x}: {state}>"
