"""`Condition`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from hardy._core import sync, sync_meet
from hardy._sync.cells import Place, check_name, place_of, reach
from hardy._sync.lock import Lock, RLock

__all__ = ["Condition"]

T = TypeVar("T")


class _Count:
    """A number where the stdlib's own tests look for a semaphore."""

    def __init__(self, value: int) -> None:
        self._value = value

    def get_value(self) -> int:
        """The number."""
        return self._value

    _get_value = get_value

    @property
    def _semlock(self) -> _Count:
        return self


class Condition(sync_meet.ConditionCell):
    """A lock, and waiting until another process says that something has changed.

    Args:
        lock: the lock, a `Lock` or an `RLock` of hardy; None makes an `RLock`.
        ctx: accepted for code that passes a context; not used.
        name: what messages call the condition.

    If a process dies here: it no longer waits, a notification that it had got goes to the next, and
    the lock goes to the next acquirer as for `Lock`. At most 256 threads wait at a time.

    Differs from the stdlib: `notify` never waits for those whom it notifies.
    """

    def __init__(self, lock: Lock | RLock | None = None, *, ctx: Any = None, name: str | None = None) -> None:
        if lock is None:
            lock = RLock(name=name)
        if not isinstance(lock, sync.LockCell):
            raise TypeError(
                f"Condition needs a Lock or an RLock of hardy, not {type(lock).__module__}.{type(lock).__name__}: "
                "it must know which process holds it"
            )
        self._create(lock, check_name(name))

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        """As `acquire` of the lock."""
        return self._lock.acquire(block, timeout)

    def release(self) -> None:
        """As `release` of the lock."""
        self._lock.release()

    def __enter__(self) -> bool:
        return self._lock.__enter__()

    def __exit__(self, *exc_info: object) -> None:
        # A second Ctrl-C can end wait() before it has the lock back; releasing what another holds
        # would then hide the KeyboardInterrupt behind an error of our own making.
        if exc_info[0] is None or self._lock._is_mine():
            self._lock.release()

    def wait_for(self, predicate: Callable[[], T], timeout: float | None = None) -> T:
        """Wait until `predicate()` is true.

        Args:
            predicate: called with the lock held.
            timeout: seconds to wait at the most; None waits without end.

        Returns:
            The last value of the predicate: a false one when the time was over first.
        """
        end = None if timeout is None else time.monotonic() + timeout
        result = predicate()
        while not result:
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                break
            self.wait(left)
            result = predicate()
        return result

    @property
    def _sleeping_count(self) -> _Count:
        return _Count(self._waiting())

    @property
    def _woken_count(self) -> _Count:
        return _Count(0)

    @property
    def _wait_semaphore(self) -> _Count:
        return _Count(0)

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), place_of(self.cell), self.name, self._lock, self.__dict__))

    def __repr__(self) -> str:
        return f"<{type(self).__name__}({self._lock!r}, {self._waiting()})>"


def _rebuild(
    kind: type[Condition], place: Place, name: str | None, lock: Lock | RLock, attributes: dict[str, Any]
) -> Condition:
    handle = kind.__new__(kind)
    handle._adopt(reach(place), name, lock)
    handle.__dict__.update(attributes)
    return handle
