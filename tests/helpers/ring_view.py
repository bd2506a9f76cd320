"""What the shared memory of a queue says, read from outside: without the guard, and so mending nothing."""

from __future__ import annotations

import os
import struct
from typing import Any, NamedTuple

# Offsets of `struct hdy_ring` (layout_ring.h).
GUARD = 64
GUARD_BYTES = 40
ACTIVE = 104
STATES = 128
STATE_BYTES = 64
LIMITS = 256
SEQUENCES = 320
COUNTERS = 384
USERS = 8192
TABLE = 32768
UNIT = 65536
ARENA = 256 * UNIT


class View(NamedTuple):
    """The committed state and the counters."""

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
    hands: int
    leased: int
    ready: int
    dead: int

    @property
    def count(self) -> int:
        return self.tail - self.head


def look(queue: Any) -> View:
    """The queue as it is committed now."""
    fd = queue.segment.fd
    active = struct.unpack("<I", os.pread(fd, 4, ACTIVE))[0] & 1
    state = struct.unpack("<4Q4I", os.pread(fd, 48, STATES + active * STATE_BYTES))
    counters = struct.unpack("<10I", os.pread(fd, 40, COUNTERS))
    arenas, _hint, retained, _keep, _punched, hands, _lease_first, leased, ready, dead = counters
    return View(*state, arenas, retained, hands, leased, ready, dead)


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


def holder_of_guard(queue: Any) -> int:
    """The thread that holds the guard, or 0. (The first word of glibc's mutex; the kernel reads it too.)"""
    word = struct.unpack("<I", os.pread(queue.segment.fd, 4, GUARD))[0]
    return int(word & 0x3FFFFFFF)
