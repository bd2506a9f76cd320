"""How a handle of shared memory travels from one process to another.

To a child that is being started, its descriptor goes along with the child's own. Through a queue or
a pipe, only its place goes: which process has it open, and under which descriptor. The receiver
opens that through /proc, so no server thread is needed, and when the sender has died meanwhile
(`put` that returned has put), any other process of the user that still has the segment open will do.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from multiprocessing import context, reduction
from weakref import WeakKeyDictionary

from hardy._core import memory, runtime
from hardy._core.memory import Segment
from hardy.errors import AttachError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["PackedSegment", "pack_segment", "unpack_segment"]


class PackedSegment:
    """A segment on its way; pickles.

    Attributes:
        uid: the segment's own 16 bytes.
        kind: what is inside.
        inode: the memfd's inode number, by which another holder's descriptor is recognised.
        sender: identity of the process that packed it.
        fd: the sender's descriptor.
        passed: the descriptor handed to a child that is being started, or None.
    """

    __slots__ = ("fd", "inode", "kind", "passed", "sender", "uid")

    def __init__(self, uid: bytes, kind: int, inode: int, sender: int, fd: int, passed: Any) -> None:
        self.uid = uid
        self.kind = kind
        self.inode = inode
        self.sender = sender
        self.fd = fd
        self.passed = passed

    def __reduce__(self) -> tuple[object, ...]:
        return PackedSegment, (self.uid, self.kind, self.inode, self.sender, self.fd, self.passed)


# The same descriptor must not be handed over twice: spawn refuses a list with doubles.
_passed: WeakKeyDictionary[Any, dict[bytes, Any]] = WeakKeyDictionary()


def pack_segment(segment: Segment) -> PackedSegment:
    """What to pickle in the place of a segment."""
    passed = None
    popen = context.get_spawning_popen()
    if popen is not None:
        by_uid = _passed.setdefault(popen, {})
        passed = by_uid.get(segment.uid)
        if passed is None:
            passed = by_uid[segment.uid] = reduction.DupFd(segment.fd)
    inode = os.fstat(segment.fd).st_ino
    return PackedSegment(segment.uid, segment.kind, inode, runtime.self_identity(), segment.fd, passed)


def unpack_segment(packed: PackedSegment) -> Segment:
    """The segment, mapped into this process.

    Raises:
        AttachError: no living process of this user has it open any more.
        ForeignHandle: it is of another pid namespace or of another version of hardy.
    """
    segment = memory.known(packed.uid)
    if packed.passed is not None:
        fd = packed.passed.detach()
        if segment is None:
            return memory.attach(fd, packed.uid, packed.kind)
        if fd != segment.fd:
            os.close(fd)
    if segment is not None:
        return segment
    for fd in _descriptors(packed):
        return memory.attach(fd, packed.uid, packed.kind)
    pid = runtime.pid_of(packed.sender)
    raise AttachError(
        f"the object that process {pid} sent is gone: that process has ended or closed it, and no other process "
        "of this user has it open. Keep a reference to it in one process until the receiver has it"
    )


def _descriptors(packed: PackedSegment) -> Iterator[int]:
    """New descriptors of the memfd: through the sender, else through whoever has it open."""
    pid = runtime.pid_of(packed.sender)
    fd = _open_same(f"/proc/{pid}/fd/{packed.fd}", packed.inode)
    if fd is not None:
        yield fd
        return
    for entry in os.listdir("/proc"):
        if not entry.isdecimal():
            continue
        try:
            numbers = os.listdir(f"/proc/{entry}/fd")
        except OSError:
            continue
        for number in numbers:
            fd = _open_same(f"/proc/{entry}/fd/{number}", packed.inode)
            if fd is not None:
                yield fd
                return


def _open_same(path: str, inode: int) -> int | None:
    """Open a descriptor of another process, if it is the memfd of that inode."""
    try:
        if os.stat(path).st_ino != inode or not os.readlink(path).startswith("/memfd:hardy-"):
            return None
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
