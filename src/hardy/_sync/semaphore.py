"""`Semaphore` and `BoundedSemaphore`."""

from __future__ import annotations

from operator import index
from typing import Any

from hardy._core import sync_party
from hardy._sync.cells import SharedHandle, check_name

__all__ = ["SEM_VALUE_MAX", "BoundedSemaphore", "Semaphore"]

SEM_VALUE_MAX = 2**31 - 1


def _check_value(value: int) -> int:
    number = index(value)
    if not 0 <= number <= SEM_VALUE_MAX:
        raise ValueError(f"a semaphore's value must be from 0 to {SEM_VALUE_MAX}, not {value}")
    return number


class Semaphore(SharedHandle, sync_party.SemaphoreCell):
    """A counter of permits between processes; `acquire` waits while there is none.

    Args:
        value: permits at the start.
        ctx: accepted for code that passes a context; not used.
        name: what messages call the semaphore.

    If a process dies here: the permits that it took with `with semaphore:` come back; those that it
    took with a bare `acquire()` do not, for that may have been a signal. At most 128 living processes
    at a time have their permits on record; a further one's count as bare.
    """

    def __init__(self, value: int = 1, *, ctx: Any = None, name: str | None = None) -> None:
        self._create(_check_value(value), SEM_VALUE_MAX, check_name(name))

    def __repr__(self) -> str:
        return f"<{type(self).__name__}(value={self.get_value()})>"


class BoundedSemaphore(Semaphore):
    """A semaphore that refuses to have more permits than at the start.

    Args:
        value: permits at the start, and at any time at the most.
        ctx: accepted for code that passes a context; not used.
        name: what messages call the semaphore.

    If a process dies here: as for `Semaphore`.
    """

    def __init__(self, value: int = 1, *, ctx: Any = None, name: str | None = None) -> None:
        number = _check_value(value)
        self._create(number, number, check_name(name))

    def __repr__(self) -> str:
        return f"<{type(self).__name__}(value={self.get_value()}, maxvalue={self.maxvalue})>"
