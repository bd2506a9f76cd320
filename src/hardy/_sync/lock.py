"""`Lock` and `RLock`."""

from __future__ import annotations

import multiprocessing
import threading
from typing import Any

from hardy._core import sync
from hardy._sync.cells import SharedHandle, check_name
from hardy._sync.deadlock import Watched, check_deadlock
from hardy._sync.deaths import Recoverable, check_on_owner_death

__all__ = ["Lock", "RLock"]


def _holder(lock: sync.LockCell) -> str | None:
    """The holder as the stdlib's repr names it; None when nobody holds the lock."""
    if lock._is_mine():
        process = multiprocessing.current_process().name
        thread = threading.current_thread().name
        return process if thread == "MainThread" else f"{process}|{thread}"
    if not lock.locked():
        return None
    return "SomeOtherThread" if lock._count() else "SomeOtherProcess"


class Lock(SharedHandle, Recoverable, Watched, sync.LockCell):
    """A lock between processes that a dead owner does not keep.

    Any thread or process may release it, as in the stdlib. Uncontended, it makes no system call.

    Args:
        ctx: accepted for code that passes a context; not used.
        name: what warnings and errors call the lock.
        on_owner_death: "warn" gives an `OwnerDiedWarning` to whoever takes the lock from a dead
            owner; "raise" raises `OwnerDied` there, with the lock held.
        deadlock: what is done about a deadlock that this lock is waited for in: "report", "raise"
            (`DeadlockError`, in the last to wait) or "off"; None: as `hardy.deadlock` says. "raise"
            also keeps all but the thread that holds the lock from releasing it, as an `RLock` does:
            else a circle of waits proves nothing, unless the lock was taken by `with`.

    If a process dies here: the next acquirer gets the lock, a warning that names the dead process,
    and `recovered` is true until it releases.

    Fork/spawn: a child of fork does not hold what its parent holds.
    """

    def __init__(
        self,
        *,
        ctx: Any = None,
        name: str | None = None,
        on_owner_death: str = "warn",
        deadlock: str | None = None,
    ) -> None:
        if deadlock is not None:
            self._deadlock = check_deadlock(deadlock)
        self._raises = check_on_owner_death(on_owner_death)
        self._create(check_name(name))
        if deadlock == "raise":
            self._keep_for_holders()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}(owner={_holder(self)})>"


class RLock(SharedHandle, Recoverable, Watched, sync.RLockCell):
    """A lock that the thread that holds it may acquire again.

    Args:
        ctx: accepted for code that passes a context; not used.
        name: what warnings and errors call the lock.
        on_owner_death, deadlock: as for `Lock`.

    If a process dies here: as for `Lock`; however often the dead thread held it.

    Fork/spawn: a child of fork does not hold what its parent holds.
    """

    def __init__(
        self,
        *,
        ctx: Any = None,
        name: str | None = None,
        on_owner_death: str = "warn",
        deadlock: str | None = None,
    ) -> None:
        if deadlock is not None:
            self._deadlock = check_deadlock(deadlock)
        self._raises = check_on_owner_death(on_owner_death)
        self._create(check_name(name))

    def __repr__(self) -> str:
        holder = _holder(self)
        if holder is None:
            depth: int | str = 0
        else:
            depth = self._count() if self._is_mine() else "nonzero"
        return f"<{type(self).__name__}({holder}, {depth})>"
