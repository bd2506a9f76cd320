"""The stdlib's `SharedMemory` with `track`, which Python has since 3.13."""

from __future__ import annotations

import sys
from multiprocessing import shared_memory as _shared_memory
from types import FunctionType
from typing import Any

__all__ = ["SharedMemory"]

_TRACKS = sys.version_info >= (3, 13)


class _NoTracker:
    """In the place of the module that tells the resource tracker."""

    @staticmethod
    def register(name: str, kind: str) -> None:
        """Tell nobody."""

    @staticmethod
    def unregister(name: str, kind: str) -> None:
        """Tell nobody."""


def _untracked(method: Any) -> Any:
    """The stdlib's own method, seeing no tracker. Not by a change of its module: other threads use it, too."""
    seen = {**method.__globals__, "resource_tracker": _NoTracker}
    return FunctionType(method.__code__, seen, argdefs=method.__defaults__)


_init: Any = _shared_memory.SharedMemory.__init__
_unlink: Any = _shared_memory.SharedMemory.unlink
_init_untracked = _untracked(_init)
_unlink_untracked = _untracked(_unlink)


class SharedMemory(_shared_memory.SharedMemory):
    """A named block of shared memory; as `multiprocessing.shared_memory.SharedMemory`.

    Args:
        name: of the block; None makes one up.
        create: make a new block, instead of opening one.
        size: of a new block, in bytes.
        track: whether the resource tracker removes the block when all processes that share the tracker have ended. Say
            False where somebody else removes it.

    Differs from the stdlib: `track` exists on every Python, and goes along when the object is sent to another process.
    """

    def __init__(self, name: str | None = None, create: bool = False, size: int = 0, *, track: bool = True) -> None:
        self._hardy_track = bool(track)
        if _TRACKS:
            _init(self, name, create, size, track=track)
        elif track:
            _init(self, name, create, size)
        else:
            _init_untracked(self, name, create, size)

    def unlink(self) -> None:
        """Remove the name; the memory goes with its last user."""
        if _TRACKS or self._hardy_track:
            super().unlink()
        else:
            _unlink_untracked(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return _open, (type(self), self.name, self.size, self._hardy_track)


def _open(kind: type[SharedMemory], name: str, size: int, track: bool) -> SharedMemory:
    return kind(name, False, size, track=track)
