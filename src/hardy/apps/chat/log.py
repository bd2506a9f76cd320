"""The log: one order for all that happens in the chat, in memory that all workers share.

    header   head: bytes ever appended; tail: what is before it may be gone; base: where the last whole state lies
    ring     records, each 4 bytes of length and JSON, in the order in which they happened

    | field | written by | a writer that dies leaves |
    | --- | --- | --- |
    | ring, from head on | the holder of the lock | bytes that nobody reads: the next writer writes over them |
    | head | the holder of the lock, in one store, when the record is whole | the record in the log, or not |
    | tail | the holder of the lock, before it writes over what is there | fewer old records |
    | base | the holder of the lock, when the state is in the log | the base before it, which is still there |

Readers take no lock: they copy, and look afterwards whether tail has overtaken them. Rejected: a process that keeps the
order (one more that can be killed, with all that it knows), and a lock around each reading.
"""

from __future__ import annotations

import json
import mmap
import os
import weakref
from collections.abc import Iterator
from multiprocessing.reduction import DupFd
from typing import Any

from hardy import Lock, OwnerDied

__all__ = ["Log", "Overtaken"]

_HEAD, _TAIL, _BASE = 0, 1, 2
_HEADER_BYTES = 4096
_LENGTH_BYTES = 4
_SKIP = (0xFFFFFFFF).to_bytes(_LENGTH_BYTES, "little")
_ALIGN = 8
DEFAULT_BYTES = 64 << 20


class Overtaken(Exception):
    """What was to be read has been written over."""


class Log:
    """The log; whoever maps it may read and, with `lock`, append.

    Args:
        size: bytes of the ring, a multiple of 8.
    """

    def __init__(self, size: int = DEFAULT_BYTES) -> None:
        self.lock = Lock(name="chat", on_owner_death="raise")
        fd = os.memfd_create("hardy-chat", os.MFD_CLOEXEC)
        os.ftruncate(fd, _HEADER_BYTES + size)
        self._map(fd, size)

    def _map(self, fd: int, size: int) -> None:
        self._fd, self.size = fd, size
        weakref.finalize(self, os.close, fd).atexit = False
        self._pages = mmap.mmap(fd, _HEADER_BYTES + size)
        self._header = memoryview(self._pages)[:_HEADER_BYTES].cast("Q")
        self._ring = memoryview(self._pages)[_HEADER_BYTES:]

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (DupFd(self._fd), self.size, self.lock)

    def __enter__(self) -> None:
        try:
            self.lock.acquire()
        except OwnerDied:
            pass  # the lock is ours, and what the dead one had not finished is not in the log

    def __exit__(self, *error: object) -> None:
        self.lock.release()

    @property
    def head(self) -> int:
        """Where the next record will begin."""
        return self._header[_HEAD]

    @property
    def tail(self) -> int:
        """Where the oldest record begins."""
        return self._header[_TAIL]

    @property
    def base(self) -> int:
        """Where the last whole state begins, or 0."""
        return self._header[_BASE]

    @property
    def wants_state(self) -> bool:
        """Whether a whole state should be appended, before the last one is written over."""
        return self.head - self.base > self.size // 2

    def append(self, record: dict[str, Any], *, is_state: bool = False) -> None:
        """Append a record; with the lock held.

        Raises:
            ValueError: it is longer than a quarter of the ring.
        """
        data = json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()
        need = -(-(len(data) + _LENGTH_BYTES) // _ALIGN) * _ALIGN
        if need > self.size // 4:
            raise ValueError(f"a record of {need} bytes does not fit into a log of {self.size}")
        head = self.head
        at = head % self.size
        skip = self.size - at if at + need > self.size else 0
        self._make_room(head + skip + need)
        if skip:
            self._ring[at : at + _LENGTH_BYTES] = _SKIP
            head, at = head + skip, 0
        self._ring[at : at + _LENGTH_BYTES] = len(data).to_bytes(_LENGTH_BYTES, "little")
        self._ring[at + _LENGTH_BYTES : at + _LENGTH_BYTES + len(data)] = data
        self._header[_HEAD] = head + need
        if is_state:
            self._header[_BASE] = head

    def _make_room(self, head: int) -> None:
        tail = self.tail
        while head - tail > self.size:
            tail = self._after(tail)[1]
        self._header[_TAIL] = tail

    def _after(self, position: int) -> tuple[int, int]:
        """Length of the record at a position (0: none, the ring begins anew), and where the next one begins."""
        at = position % self.size
        raw = bytes(self._ring[at : at + _LENGTH_BYTES])
        if raw == _SKIP:
            return 0, position + self.size - at
        length = int.from_bytes(raw, "little")
        return length, position + -(-(length + _LENGTH_BYTES) // _ALIGN) * _ALIGN

    def read(self, position: int, end: int) -> Iterator[tuple[int, dict[str, Any]]]:
        """The records from one position to another, and where each ends.

        Raises:
            Overtaken: they were written over meanwhile.
        """
        while position < end:
            length, after = self._after(position)
            at = position % self.size + _LENGTH_BYTES
            data = bytes(self._ring[at : at + length])
            if self.tail > position:
                raise Overtaken
            position = after
            if length:
                yield position, json.loads(data)


def _rebuild(passed: Any, size: int, lock: Any) -> Log:
    log = Log.__new__(Log)
    log.lock = lock
    log._map(passed.detach(), size)
    return log
