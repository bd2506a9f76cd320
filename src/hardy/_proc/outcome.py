"""How what a process returned, or raised, comes back to its parent.

A memfd that the parent makes before the child exists. The child writes the pickled outcome, then the
head: that one small write is the commit. A child that is killed before it has committed gave nothing,
and whoever asks gets `ProcessDied`.

Rejected: a pipe. A result larger than its buffer would keep the child from ending until the parent
reads, and `join()` before `result()` would never return.
"""

from __future__ import annotations

import contextlib
import enum
import fcntl
import os
import pickle
import struct
from collections.abc import Iterator

from hardy._core import runtime

__all__ = ["RETURNED_NONE", "Kind", "OutcomeFile", "above_std_streams", "one_page"]

_HEAD = struct.Struct("<8sQQ")
_MAGIC = b"hardyout"
_START = 64
_PAGE_BYTES = 4096
# Smaller outcomes are read, not mapped: mapping takes a descriptor, which may be wanting.
_SMALL_BYTES = 1 << 20
# Linux moves no more than 2 GiB by one call.
_MOST_AT_ONCE = 1 << 30

runtime._declare("proc.outcome.before_write", "proc.outcome.before_commit", "proc.outcome.after_commit")


class Kind(enum.IntEnum):
    """What a child has to say about its end."""

    RETURNED = 1
    RAISED = 2
    EXITED = 3
    RESULT_NOT_PICKLABLE = 4
    NOT_STARTED = 5


def one_page(kind: Kind, payload: bytes) -> bytes:
    """What `commit` writes of a small payload."""
    return _HEAD.pack(_MAGIC, kind, len(payload)).ljust(_START) + payload


# What most targets return, made before the child is forked: an enum alone is some pages to copy.
_NONE = pickle.dumps(None, 5)
RETURNED_NONE = one_page(Kind.RETURNED, _NONE)
_RETURNED_NONE_HEAD = RETURNED_NONE[: _HEAD.size]
_RETURNED_NONE_KIND = (Kind.RETURNED, len(_NONE))
_KINDS = {int(kind): kind for kind in Kind}


class OutcomeFile:
    """The memfd of one process's outcome.

    Attributes:
        fd: its descriptor, -1 once closed.
    """

    def __init__(self, fd: int, owner_pid: int = 0) -> None:
        self.fd = fd
        # Only the parent may cut it: a forked sibling that drops its copy must not.
        self._owner_pid = owner_pid

    def __del__(self) -> None:
        if self.fd >= 0:
            self.close()

    @classmethod
    def create(cls) -> OutcomeFile:
        """A new one, for a child that is about to start."""
        fd = os.memfd_create("hardy-outcome", os.MFD_CLOEXEC)
        return cls(fd if fd > 2 else above_std_streams(fd), os.getpid())

    def commit(self, kind: Kind, payload: bytes) -> None:
        """In the child: say how it went."""
        if len(payload) <= _PAGE_BYTES - _START:
            self.commit_page(one_page(kind, payload))
            return
        runtime.hit("proc.outcome.before_write")
        head = _HEAD.pack(_MAGIC, kind, len(payload))
        view = memoryview(payload)
        offset = _START
        while view:
            written = os.pwrite(self.fd, view[:_MOST_AT_ONCE], offset)
            offset += written
            view = view[written:]
        runtime.hit("proc.outcome.before_commit")
        os.pwrite(self.fd, head, 0)
        runtime.hit("proc.outcome.after_commit")

    def commit_page(self, page: bytes) -> None:
        """In the child: say how it went, in what `one_page` gives."""
        runtime.hit("proc.outcome.before_write")
        # Into one page by one call, which no signal interrupts: all of it is there, or nothing.
        runtime.hit("proc.outcome.before_commit")
        os.pwrite(self.fd, page, 0)
        runtime.hit("proc.outcome.after_commit")

    def kind(self) -> tuple[Kind, int] | None:
        """In the parent, once the child has ended: the kind of its outcome, and the length in bytes."""
        head = os.pread(self.fd, _HEAD.size, 0)
        if head == _RETURNED_NONE_HEAD:
            return _RETURNED_NONE_KIND
        if len(head) < _HEAD.size:
            return None
        magic, number, length = _HEAD.unpack(head)
        kind = _KINDS.get(number)
        if magic != _MAGIC or kind is None or os.fstat(self.fd).st_size < _START + length:
            return None
        return kind, length

    @contextlib.contextmanager
    def payload(self, length: int) -> Iterator[bytes | memoryview]:
        """In the parent: the pickle that was committed, a large one without a copy.

        Raises:
            OSError: it cannot be mapped (descriptors exhausted); it is still there, ask again.
        """
        if length <= _SMALL_BYTES:
            yield os.pread(self.fd, length, _START)
            return
        import mmap

        with (
            mmap.mmap(self.fd, _START + length, access=mmap.ACCESS_READ) as pages,
            memoryview(pages) as view,
            view[_START:] as payload,
        ):
            yield payload

    def close(self) -> None:
        """Give the descriptor back; in the parent also the memory, although forked siblings hold it."""
        if self.fd >= 0:
            fd, self.fd = self.fd, -1
            if self._owner_pid == os.getpid():
                os.ftruncate(fd, 0)
            os.close(fd)


def above_std_streams(fd: int) -> int:
    """The descriptor, moved when it is 0, 1 or 2: programs redirect those without asking who lives there."""
    if fd > 2:
        return fd
    try:
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)
    finally:
        os.close(fd)
