"""What a new interpreter reads: the calls that arm it, and the process object. Written by `popen_fresh`.

A module of its own, so that such a child imports nothing of how processes are started.
"""

from __future__ import annotations

import os
import pickle

from hardy._core import tracer
from hardy._proc.boot import rebuild
from hardy._sync.handles import unpack_segment

TYPE_CHECKING = False
if TYPE_CHECKING:
    import io
    from typing import Any

    from hardy._sync.handles import PackedSegment

__all__ = ["InheritedFd", "PassedFd", "adopt_trace", "open_payload", "read_process"]

_payload: io.BufferedReader | None = None


class PassedFd:
    """A descriptor that a child of spawn has under the number that it has here."""

    # Not the stdlib's own: the child would import the stdlib's way to start processes for it.
    __slots__ = ("_fd",)

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def __reduce__(self) -> tuple[Any, tuple[int]]:
        return type(self), (self._fd,)

    def detach(self) -> int:
        """The descriptor, in the child."""
        return self._fd


class InheritedFd(PassedFd):
    """One that a child of the forkserver has under another number: its place among those that it was given."""

    __slots__ = ()

    def detach(self) -> int:
        from multiprocessing.forkserver import get_inherited_fds

        inherited = get_inherited_fds()
        assert inherited is not None
        return inherited[self._fd]


def adopt_trace(packed: PackedSegment) -> None:
    """Record into the parent's trace."""
    tracer.adopt(unpack_segment(packed))


def open_payload(passed: Any) -> Any:
    """Open what the parent wrote, and make the calls that it begins with.

    Args:
        passed: the descriptor, as a DupFd.
    """
    global _payload
    fd = passed.detach()
    os.set_inheritable(fd, False)
    _payload = open(fd, "rb")  # noqa: SIM115 - read on by `read_process`
    return pickle.load(_payload)


def read_process() -> Any:
    """The process object."""
    global _payload
    assert _payload is not None
    with _payload as file:
        _payload = None
        return rebuild(lambda: pickle.load(file), *pickle.load(file))
