"""The ledger: shared memory in which each process writes what it is about to do, and what came of it.

One memfd, made by the conductor and mapped by all. A store into it outlives its writer, so a record tells of a killed
process how far it had come:

    control page: words (CONTROL), the same for all
    seat 0: header page (SEAT words, then the text of an error), then records of 32 bytes
    seat 1: ...

A record is four 8-byte words: code, value, start, end. The writer stores code, value, start and end = 0, then counts
the record; when the operation is over it stores the value that it gave, then the end. Killed in between, `end` stays 0:
the process died *inside* that operation. Each seat has one writer at a time.
"""

from __future__ import annotations

import mmap
import os
import time
from collections.abc import Iterator
from typing import NamedTuple

PAGE = 4096
WORDS_IN_PAGE = PAGE // 8
RECORD_WORDS = 4
MOST_TEXT = PAGE - 1024

# Operations; the low byte of a record's code.
PUT, GET, ITEM, TAKE, ACK, NACK, DONE, ACQUIRE, RELEASE, WAIT, SET, START, NOTICED = range(1, 14)
# What was seen, in the bits above the incarnation.
REFUSED, RECOVERED, CORRUPT, NOT_ALONE, TORN, UNMARKED, BROKEN = (1 << (40 + bit) for bit in range(7))
INC_SHIFT, INC_MASK = 8, 0xFFFF
EXTRA_SHIFT, EXTRA_MASK = 24, 0xFFFF

# Words of the control page.
PHASE, WORLD_STATE, WORLD_PID, FDS_BEFORE, FDS_AFTER, BYTES_LEFT, TASKS_LOST, ZOMBIES = range(8)
OWNER, FIRST, SECOND, TOKENS, LEFT_LOCKED, PERMITS_SHORT, RSS = range(8, 15)
HOLDS = 64  # and one word a seat from here
# Values of PHASE and WORLD_STATE.
RUNNING, DRAINING = 0, 1
READY, DRAINED = 1, 2

# Words of a seat's header.
PID, INCARNATION, COUNT, FULL, TEXT_BYTES, OUTER_PID, PROGRESS = range(7)


class Record(NamedTuple):
    """One operation, as far as it came."""

    code: int
    value: int
    start: int
    end: int

    @property
    def op(self) -> int:
        return self.code & 0xFF

    @property
    def incarnation(self) -> int:
        return self.code >> INC_SHIFT & INC_MASK

    @property
    def extra(self) -> int:
        """The most items that a get_many asks for, or the deliveries of a lease."""
        return self.code >> EXTRA_SHIFT & EXTRA_MASK


class Ledger:
    """The memory of one round.

    Args:
        seats: how many writers; the last is the world's main process.
        records: how many records each of them has.
        fd: of the memfd, when it exists already.
        wraps: whether a full seat begins again from its start (a soak keeps no history).
    """

    def __init__(self, seats: int, records: int, fd: int | None = None, *, wraps: bool = False) -> None:
        self.seats = seats
        self.records = records
        self.wraps = wraps
        self._seat_words = WORDS_IN_PAGE + records * RECORD_WORDS
        nbytes = PAGE + seats * self._seat_words * 8
        self.fd = os.memfd_create("chaos-ledger", os.MFD_CLOEXEC) if fd is None else fd
        if fd is None:
            os.ftruncate(self.fd, nbytes)
        self._map = mmap.mmap(self.fd, nbytes)
        self.words = memoryview(self._map).cast("Q")

    def at(self, seat: int, word: int) -> int:
        """Where the word of that seat's header is in `words`."""
        return WORDS_IN_PAGE + seat * self._seat_words + word

    def seat_word(self, seat: int, word: int) -> int:
        """That word of the seat's header."""
        return self.words[self.at(seat, word)]

    def first_record(self, seat: int) -> int:
        """Where the seat's records begin in `words`."""
        return self.at(seat, WORDS_IN_PAGE)

    def read(self, seat: int) -> Iterator[Record]:
        """The seat's records in the order of their start (not of a ledger that wraps)."""
        first = self.first_record(seat)
        count = min(self.seat_word(seat, COUNT), self.records)
        words = self.words[first : first + count * RECORD_WORDS].tolist()
        parts = iter(words)
        return map(Record._make, zip(parts, parts, parts, parts, strict=True))

    def last(self, seat: int) -> Record | None:
        """The seat's latest record."""
        count = self.seat_word(seat, COUNT)
        if not count:
            return None
        at = self.first_record(seat) + (count - 1) % self.records * RECORD_WORDS
        return Record(*self.words[at : at + RECORD_WORDS])

    def text(self, seat: int) -> str:
        """What went wrong in that seat; "" for nothing."""
        size = self.seat_word(seat, TEXT_BYTES)
        at = self.at(seat, 128) * 8
        return bytes(self._map[at : at + size]).decode(errors="replace")

    def write_text(self, seat: int, text: str) -> None:
        """Leave word of what went wrong; the first word stays."""
        if not self.seat_word(seat, TEXT_BYTES):
            data = text.encode(errors="replace")[-MOST_TEXT:]
            at = self.at(seat, 128) * 8
            self._map[at : at + len(data)] = data
            self.words[self.at(seat, TEXT_BYTES)] = len(data)

    def close(self) -> None:
        """Unmap and close it."""
        self.words.release()
        self._map.close()
        os.close(self.fd)


class Pen:
    """One process's hand in the ledger.

    Args:
        ledger: where it writes.
        seat: whose place it takes.
        incarnation: how many held the place before.
    """

    def __init__(self, ledger: Ledger, seat: int, incarnation: int) -> None:
        self.ledger = ledger
        self.seat = seat
        self.incarnation = incarnation
        self._words = ledger.words
        self._inc = incarnation << INC_SHIFT
        self._count_at = ledger.at(seat, COUNT)
        self._first = ledger.first_record(seat)
        self._records = ledger.records
        # What a seat may still write when the round drains.
        self._room = ledger.records - min(ledger.records // 4, 8192)
        self._wraps = ledger.wraps
        self._at = self._first
        self._words[ledger.at(seat, INCARNATION)] = incarnation
        self._words[ledger.at(seat, PID)] = os.getpid()

    def begin(self, op: int, value: int = 0, extra: int = 0) -> None:
        """Say what this process is about to do."""
        words, count = self._words, self._words[self._count_at]
        if count >= self._records and not self._wraps:
            raise RuntimeError(f"the ledger of seat {self.seat} is full")
        at = self._at = self._first + count % self._records * RECORD_WORDS
        words[at] = op | self._inc | extra << EXTRA_SHIFT
        words[at + 1] = value
        words[at + 3] = 0
        words[at + 2] = time.monotonic_ns()
        words[self._count_at] = count + 1

    def end(self, flags: int = 0) -> None:
        """Say that it is done."""
        words, at = self._words, self._at
        if flags:
            words[at] |= flags
        words[at + 3] = time.monotonic_ns()

    def end_with(self, value: int, flags: int = 0, extra: int = 0) -> None:
        """Say that it is done, and what it gave."""
        words, at = self._words, self._at
        words[at + 1] = value
        if flags or extra:
            words[at] |= flags | extra << EXTRA_SHIFT
        words[at + 3] = time.monotonic_ns()

    def note(self, op: int, value: int, flags: int = 0, start: int = 0) -> None:
        """A record that is complete at once."""
        head = self._at
        self.begin(op, value)
        if start:
            self._words[self._at + 2] = start
        self.end(flags)
        self._at = head

    def is_full(self) -> bool:
        """Whether the seat has no room for more; the round then ends."""
        if self._wraps or self._words[self._count_at] < self._room:
            return False
        self._words[self.ledger.at(self.seat, FULL)] = 1
        return True

    def is_running(self) -> bool:
        """Whether the kills go on, so the work should."""
        return self._words[PHASE] == RUNNING and not self.is_full()

    def wait_for_room(self) -> None:
        """A full seat stays where it is until the round drains."""
        while self.is_full() and self._words[PHASE] == RUNNING:
            time.sleep(0.001)
