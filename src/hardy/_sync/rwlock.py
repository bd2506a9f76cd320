"""`RWLock`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hardy._core import sync_party
from hardy._sync.cells import SharedHandle, check_name
from hardy._sync.deaths import Recoverable, check_on_owner_death
from hardy._sync.owner import describe

__all__ = ["RWLock"]


class RWLock(SharedHandle, Recoverable, sync_party.RWLockCell):
    """A lock that many processes may hold to read, or one to write.

    A writer that waits holds back new readers, so that writers are not starved; a thread that reads
    already may read once more all the same. Not recursive for writers, and no reader can become one.

    Args:
        ctx: accepted for code that passes a context; not used.
        name: what warnings and errors call the lock.
        on_owner_death: "warn" or "raise", for whoever takes the lock after a writer has died, until
            another writer has released it.

    If a process dies here: its read locks are given back. When it was writing, the lock goes to the
    next acquirer, reader or writer, who is told, and `recovered` is true until a writer has released.
    At most 128 processes hold or want the lock at a time; further ones wait for one of them to leave.
    """

    def __init__(self, *, ctx: Any = None, name: str | None = None, on_owner_death: str = "warn") -> None:
        self._raises = check_on_owner_death(on_owner_death)
        self._create(check_name(name))

    @contextmanager
    def read(self) -> Iterator[None]:
        """Hold the lock to read, together with others."""
        self.acquire_read()
        try:
            yield
        finally:
            self.release_read()

    @contextmanager
    def write(self) -> Iterator[None]:
        """Hold the lock to write, alone."""
        self.acquire_write()
        try:
            yield
        finally:
            self.release_write()

    def __repr__(self) -> str:
        writer, readers = self._state()
        state = f"writer={describe(writer).text}" if writer else f"readers={readers}"
        return f"<{type(self).__name__}({state})>"
