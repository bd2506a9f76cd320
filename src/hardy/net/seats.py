"""The table of the workers in shared memory: who sits where, how many connections, and a queue for each seat.

There are twice as many seats as workers, since a reload has both generations at once. A row of numbers is written by
the worker in that seat alone, and zeroed by the master when the worker has died or before another takes the seat.

If a worker dies here: its row says so within the time that the master takes to notice; until then a broadcast
puts into a queue that nobody reads, which is bounded, never waits, and is emptied by the next in that seat.
"""

from __future__ import annotations

import logging
import mmap
import os
from multiprocessing.reduction import DupFd
from typing import Any

from hardy._proc.outcome import above_std_streams
from hardy.errors import CannotUnpickle
from hardy.queues import Empty, Full

__all__ = ["Seats"]

_PID, _CONNECTIONS, _LISTENS, _WIDTH = 0, 1, 2, 8
_MOST_WAITING_BYTES = 64 << 20
_LOG = logging.getLogger("hardy.net")


class Seats:
    """The table; each worker and the master have it."""

    def __init__(self, ctx: Any, count: int) -> None:
        self.count = count
        self._map(above_std_streams(os.memfd_create("hardy-server", os.MFD_CLOEXEC)))
        self._queues = [ctx.Queue(maxbytes=_MOST_WAITING_BYTES, name=f"broadcast-{seat}") for seat in range(count)]
        # For the count of all connections to be exact: held for an accept, and only when there is a limit.
        self.accepting = ctx.Lock(name="accept", on_owner_death="raise")

    def _map(self, fd: int) -> None:
        self._fd = fd
        os.ftruncate(fd, self.count * _WIDTH * 8)
        self._pages = mmap.mmap(fd, self.count * _WIDTH * 8)
        self._rows = memoryview(self._pages).cast("q")

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self.count, DupFd(self._fd), self._queues, self.accepting)

    def close(self) -> None:
        """Give the memory back, in this process."""
        if self._fd >= 0:
            self._rows.release()
            self._pages.close()
            os.close(self._fd)
            self._fd = -1

    def take(self, seat: int, pid: int) -> None:
        """For a worker that begins."""
        self.clear(seat)
        self._rows[seat * _WIDTH + _PID] = pid

    def clear(self, seat: int) -> None:
        """For one that has died."""
        for cell in range(seat * _WIDTH, (seat + 1) * _WIDTH):
            self._rows[cell] = 0

    def pids(self) -> list[int]:
        """Of the workers that live."""
        return [pid for pid in self._rows[_PID::_WIDTH] if pid]

    def count_connections(self, seat: int, number: int) -> None:
        """How many this worker has."""
        self._rows[seat * _WIDTH + _CONNECTIONS] = number

    def connections(self) -> int:
        """Of all workers."""
        return sum(self._rows[_CONNECTIONS::_WIDTH])

    def broadcast(self, obj: Any) -> int:
        """Give an object to each worker that listens; how many there were. Never waits."""
        reached = 0
        for seat in range(self.count):
            if not self._rows[seat * _WIDTH + _LISTENS]:
                continue
            try:
                self._queues[seat].put(obj, False)
                reached += 1
            except Full:
                pid = self._rows[seat * _WIDTH + _PID]
                _LOG.warning(
                    "worker %d does not take what is broadcast: %d MiB wait for it; this one does not reach it",
                    pid,
                    _MOST_WAITING_BYTES >> 20,
                )
        return reached

    def listen(self, seat: int) -> None:
        """From now on what is broadcast comes to `next_messages` of this seat."""
        try:
            while True:
                self._queues[seat].get(False)
        except Empty:
            pass  # what was for the one who sat here before is gone
        self._rows[seat * _WIDTH + _LISTENS] = 1

    def next_messages(self, seat: int) -> list[Any]:
        """Waits for what is broadcast; one that cannot be rebuilt here is logged and left out."""
        try:
            messages: list[Any] = self._queues[seat].get_many()
            return messages
        except CannotUnpickle as error:
            _LOG.error("a broadcast was lost to this worker: %s", error)
            return error.rest


def _rebuild(count: int, passed: Any, queues: list[Any], accepting: Any) -> Seats:
    seats = Seats.__new__(Seats)
    seats.count, seats._queues, seats.accepting = count, queues, accepting
    seats._map(passed.detach())
    return seats
