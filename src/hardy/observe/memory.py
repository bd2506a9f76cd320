"""Hardy's memory in other processes, mapped to be read: nothing is written, nobody is held up.

It is opened through the descriptor of a process that has it (`/proc/PID/fd`), which the kernel allows to the same
user. The mapping keeps the memory for as long as it is looked at, also when its last user is killed meanwhile.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable
from typing import Any

from hardy._core import desk, look, runtime
from hardy.observe.kernel import Memfd

__all__ = ["Memory", "Reader"]

_READ: dict[str, Callable[[Any], Any]] = {
    "slab": look.read_slab,
    "ring": look.read_ring,
    "pool": desk.read_pool,
}


class Memory:
    """One segment of hardy's memory, mapped.

    Attributes:
        number: what the segment is called, as in a wait.
        kind: "board", "slab", "ring" or "pool".
    """

    def __init__(self, kind: str, number: int, pages: mmap.mmap) -> None:
        self.kind = kind
        self.number = number
        self.pages = pages

    def read(self) -> Any:
        """What a slab, a ring, or the tally and the desks of a pool hold now."""
        return _READ[self.kind](self.pages)

    def rows(self) -> list[dict[str, Any]]:
        """The processes on a board."""
        return look.read_board(self.pages)

    def waits(self) -> list[dict[str, Any]]:
        """The threads that a board says to wait."""
        return look.read_waits(self.pages)


class Reader:
    """Opens each segment once, and keeps it for as long as somebody has it open.

    Attributes:
        notes: what could not be read, and why; of the last `read`.
    """

    def __init__(self) -> None:
        self.notes: list[str] = []
        self._open: dict[int, Memory | str] = {}

    def read(self, memfds: list[Memfd]) -> dict[int, Memory]:
        """The memory behind those descriptors, by inode."""
        by_inode: dict[int, list[Memfd]] = {}
        for each in memfds:
            if each.name in ("board", "slab", "ring", "pool"):
                by_inode.setdefault(each.inode, []).append(each)
        for gone in self._open.keys() - by_inode.keys():
            self._close(gone)
        for inode, holders in by_inode.items():
            if inode not in self._open:
                opened = _open_any(holders)
                if opened is not None:
                    self._open[inode] = opened
        self.notes = sorted({each for each in self._open.values() if isinstance(each, str)})
        return {inode: each for inode, each in self._open.items() if isinstance(each, Memory)}

    def close(self) -> None:
        """Give all mappings back."""
        for inode in list(self._open):
            self._close(inode)

    def _close(self, inode: int) -> None:
        memory = self._open.pop(inode)
        if isinstance(memory, Memory):
            memory.pages.close()


def _open_any(holders: list[Memfd]) -> Memory | str | None:
    """The memory, or why it cannot be read; None when nobody has it any more."""
    for holder in holders:
        try:
            fd = os.open(f"/proc/{holder.pid}/fd/{holder.fd}", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue  # it ended, or closed it, meanwhile
        try:
            if os.fstat(fd).st_ino != holder.inode:
                continue
            return _map(fd, holder)
        finally:
            os.close(fd)
    return None


def _map(fd: int, holder: Memfd) -> Memory | str | None:
    if holder.name == "pool":
        size = os.fstat(fd).st_size
        return Memory("pool", 0, mmap.mmap(fd, size, prot=mmap.PROT_READ)) if size else None
    head = os.pread(fd, look.HEAD_BYTES, 0)
    said = look.read_head(head) if len(head) == look.HEAD_BYTES else None
    if said is None:
        return None  # it is only just being made
    if said["version"] != look.LAYOUT_VERSION:
        return (
            f"process {holder.pid} runs a hardy of another version (its memory has layout {said['version']}, this one "
            f"reads layout {look.LAYOUT_VERSION}): it is shown without what is inside. Use its own version's command"
        )
    if said["pidns"] != runtime.pid_namespace():
        return (
            f"process {holder.pid} lives in another pid namespace (a container), where pids mean other processes: "
            "it is shown without what is inside. Run the command in there"
        )
    size = os.fstat(fd).st_size
    if holder.name == "ring":
        size = look.RING_BYTES
    return Memory(holder.name, said["number"], mmap.mmap(fd, size, prot=mmap.PROT_READ))
