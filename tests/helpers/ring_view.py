"""What the shared memory of a queue says, read from outside: without the guards, and so mending nothing."""

from __future__ import annotations

import os
import struct
from typing import Any, NamedTuple

# Offsets of `struct hdy_ring` (layout_ring.h): a side is its guard, what it saw of the other, its commit, its two ends.
HEAD = 64
TAIL = 192
SEEN = 48
COMMITS = 64
ENDS = 72
END_BYTES = 24
PROGRESS = 320
HEAP = 384
COUNTERS = 424
LIMITS = 448
RARE = 472
WAITS = 512
ITEMS, SPACE = 0, 1
LEASES = 704
USERS = 8192
TABLE = 32768
UNIT = 65536
ARENA = 256 * UNIT


class View(NamedTuple):
    """The committed ends and the counters."""

    head: int
    tail: int
    bytes: int
    unfinished: int
    head_unit: int
    head_off: int
    tail_unit: int
    tail_off: int
    arenas: int
    retained: int
    dirty: int
    hands: int
    leased: int
    ready: int
    dead: int
    emptied: int

    @property
    def count(self) -> int:
        return self.tail - self.head


def _read(queue: Any, form: str, offset: int) -> tuple[int, ...]:
    return struct.unpack(form, os.pread(queue.segment.fd, struct.calcsize(form), offset))


def holding_end(queue: Any, side: int) -> int:
    """The offset of that side's committed end."""
    (commits,) = _read(queue, "<Q", side + COMMITS)
    return side + ENDS + (commits & 1) * END_BYTES


def look(queue: Any) -> View:
    """The queue as it is committed now."""
    head, taken, head_unit, head_off = _read(queue, "<2Q2I", holding_end(queue, HEAD))
    tail, put, tail_unit, tail_off = _read(queue, "<2Q2I", holding_end(queue, TAIL))
    (commits,) = _read(queue, "<Q", HEAD + COMMITS)
    (done,) = _read(queue, "<Q", PROGRESS + (commits & 1) * 16)
    arenas, _hint, retained = _read(queue, "<3I", COUNTERS)
    _ended, _closes, dirty, hands = _read(queue, "<3Ii", RARE)
    _swept, _first, leased, ready, dead, emptied = _read(queue, "<6I", LEASES + 8)
    ends = head, tail, put - taken, tail - done, head_unit, head_off, tail_unit, tail_off
    return View(*ends, arenas, retained, dirty, hands, leased, ready, dead, emptied)


def asks(queue: Any, what: int) -> int:
    """How often anybody has asked to be woken for ITEMS or SPACE."""
    return _read(queue, "<I", WAITS + 64 * what)[0]


def units_in_use(queue: Any) -> int:
    """How many units of the file are allocated, to the queue or to a process's hand."""
    used = 0
    for arena in range(look(queue).arenas):
        table = os.pread(queue.segment.fd, 4096, arena * ARENA + TABLE)
        spans = [n for _owner, n, _next in struct.iter_unpack("<QII", table)]
        used += sum(spans[1:])
    return used


def poke(queue: Any, offset: int, data: bytes) -> None:
    """Write into the queue's memory, as a stray pointer would."""
    os.pwrite(queue.segment.fd, data, offset)


def holders_of_guards(queue: Any) -> set[int]:
    """The threads that hold a guard. (The first word of glibc's mutex; the kernel reads it too.)"""
    words = [_read(queue, "<I", guard)[0] for guard in (HEAD, TAIL, HEAP)]
    return {word & 0x3FFFFFFF for word in words} - {0}
