"""`Event`."""

from __future__ import annotations

from typing import Any

from hardy._core import sync
from hardy._sync.cells import SharedHandle, check_name

__all__ = ["Event"]


class Event(SharedHandle, sync.EventCell):
    """A flag between processes: `set` lets everyone go who waits.

    Args:
        ctx: accepted for code that passes a context; not used.
        name: what messages call the event.

    If a process dies here: the flag is up or not, and whoever waits sees it within 0.1 s.

    Differs from the stdlib: everyone who waited when `set` was called goes on with True, also when
    `clear` follows before they run.
    """

    def __init__(self, *, ctx: Any = None, name: str | None = None) -> None:
        self._create(check_name(name))

    def __repr__(self) -> str:
        state = "set" if self.is_set() else "unset"
        return f"<{type(self).__qualname__} at {id(self):#x} {state}>"
