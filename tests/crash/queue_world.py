"""A queue, the processes around it, and the ledger that proves that nothing was lost or doubled.

Every message is numbered: 10,000 times its producer, plus a running number. An actor says what it is about
to do before it does it, and what it did afterwards. So the record tells after any death what was certainly put,
what may have been, and how much the dead one may have held in hand.
"""

from __future__ import annotations

import os
import signal
from pickle import PickleBuffer
from queue import Empty
from typing import Any

from helpers.crew import Actor, Crew, Line
from helpers.ring_view import holders_of_guards, look, units_in_use
from helpers.waiting import wait_until

STOP = 0
PARENT = 1
# How long the others may take to go on after a death (I1 allows 1 s; the machine is shared).
GO_ON_S = 2.0
# Of a drained queue: the header's pages, the table of each arena, and the free units that keep their pages.
KEPT_BYTES = 1 << 20
SIZES = (8, 100, 20_000, 24_576, 24_577, 200_000, 1 << 20)


def message(number: int, size: int = 40) -> bytes:
    """A message of that number and size, whose every byte can be checked."""
    return number.to_bytes(8, "little") + bytes([number % 251]) * (size - 8)


def number_of(data: bytes | memoryview) -> int:
    """The number of a message; the assertion fails when a byte of it is wrong."""
    number = int.from_bytes(data[:8], "little")
    assert data == message(number, len(data)), f"message {number} of {len(data)} bytes is torn"
    return number


# ---- what actors do ----


def put_each(line: Line, queue: Any, numbers: list[int], size: int = 40) -> None:
    for number in numbers:
        line.say("putting", [number])
        queue.put(message(number, size))
        line.say("put", [number])


def put_many(line: Line, queue: Any, numbers: list[int], size: int = 40) -> None:
    line.say("putting", numbers)
    queue.put_many([message(number, size) for number in numbers])
    line.say("put", numbers)


def get_each(line: Line, queue: Any, count: int) -> None:
    for _ in range(count):
        line.say("getting", 1)
        line.say("got", [number_of(queue.get())])


def get_views(line: Line, queue: Any, count: int) -> None:
    """Each is looked at, and then let go."""
    for _ in range(count):
        line.say("getting", 1)
        line.say("got", [number_of(queue.get(copy=False))])


def fork_with_views(line: Line, queue: Any, count: int) -> None:
    """A child is forked and ends, or is killed; then it is this process's turn."""
    line.say("getting", count)
    views = [queue.get(copy=False) for _ in range(count)]
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    for view in views:
        number_of(view)
    os.kill(os.getpid(), signal.SIGKILL)


def get_many(line: Line, queue: Any, most: int) -> None:
    line.say("getting", most)
    line.say("got", [number_of(data) for data in queue.get_many(most)])


def get_until_stopped(line: Line, queue: Any) -> None:
    number = -1
    while number != STOP:
        line.say("getting", 1)
        number = number_of(queue.get())
        line.say("got", [number])


def touch(line: Line, queue: Any) -> None:
    """Takes each guard, changes nothing but that it asked, and clears away what the dead left."""
    queue._wait_room(0)
    for _ in range(2):  # a death that is found by the first is cleared away by the second
        queue._wait_items(0)
    line.say("size", queue.qsize())


class World:
    """One queue and all who use it.

    Attributes:
        queue: the queue.
        crew: the actors.
        getters, putters: those that wait.
    """

    def __init__(self, queue: Any, crew: Crew) -> None:
        self.queue = queue
        self.crew = crew
        self.getters: list[Actor] = []
        self.putters: list[Actor] = []
        self.put_here: list[int] = []
        self.got_here: list[int] = []
        self._next = PARENT * 10_000 + 1

    # ---- arranging ----

    def put(self, count: int, size: int = 40) -> list[int]:
        """The parent puts messages."""
        numbers = list(range(self._next, self._next + count))
        self._next += count
        for number in numbers:
            self.queue.put(message(number, size), timeout=10)
        self.put_here += numbers
        return numbers

    def put_buffers(self, count: int, size: int) -> None:
        """The parent puts messages whose bytes a reader may leave where they are (`get(copy=False)`)."""
        for number in range(self._next, self._next + count):
            self.queue.put(PickleBuffer(message(number, size)), timeout=10)
            self.put_here.append(number)
        self._next += count

    def drain_one(self) -> None:
        """The parent takes one."""
        self.got_here.append(number_of(self.queue.get(timeout=10)))

    def drain(self) -> list[int]:
        """The parent takes what is there."""
        taken = []
        while True:
            try:
                taken.append(number_of(self.queue.get(False)))
            except Empty:
                self.got_here += taken
                return taken

    def start_getters(self, count: int) -> None:
        self.getters += [self.crew.start(get_until_stopped, self.queue) for _ in range(count)]
        for getter in self.getters:
            getter.wait_asleep()

    def start_putters(self, count: int, size: int = 40) -> None:
        for _ in range(count):
            first = (100 + len(self.putters)) * 10_000
            self.putters.append(self.crew.start(put_each, self.queue, [first], size))
        for putter in self.putters:
            putter.wait_asleep()

    def stop_all(self) -> None:
        """Stop all who wait, none of them inside the guard (they look for themselves now and then)."""
        for actor in self.getters + self.putters:
            actor.stop()
            while actor.pid in holders_of_guards(self.queue):
                actor.resume()
                actor.wait_asleep()
                actor.stop()

    def resume_all(self) -> None:
        for actor in self.getters + self.putters:
            actor.resume()

    # ---- the ledger ----

    def record(self, word: str) -> list[int]:
        """All numbers said with that word ("put", "got"), by whomever, and the parent's own."""
        numbers = list(self.put_here if word == "put" else self.got_here)
        for actor in self.crew.actors:
            for said, *rest in actor.hear():
                if said == word:
                    numbers += rest[0]
        return numbers

    def open_puts(self) -> list[list[int]]:
        """The puts that were begun, and whose end nobody can tell."""
        return [actor.said[-1][1] for actor in self.crew.actors if actor.hear() and actor.said[-1][0] == "putting"]

    def in_hand(self) -> int:
        """The most that dead actors may have held."""
        return sum(
            actor.said[-1][1]
            for actor in self.crew.actors
            if actor.status and actor.hear() and actor.said[-1][0] == "getting"
        )

    def is_quiet(self) -> bool:
        """Whether nobody waits who need not; judged from outside, touching nothing."""
        view = look(self.queue)
        if any(getter.ended(0) is None for getter in self.getters) and view.count:
            return False
        if len(self.record("got")) + self.in_hand() < view.head:
            return False
        room = not self.queue.maxsize or view.count < self.queue.maxsize
        return not (room and any(putter.ended(0) is None for putter in self.putters))

    # ---- the proof ----

    def assert_quiet(self) -> None:
        """I1: without any further traffic, all who can go on do."""
        assert wait_until(self.is_quiet, GO_ON_S), f"someone waits for ever\n{look(self.queue)}\n{self.crew.report()}"

    def assert_whole(self) -> None:
        """I1 to I3: all go on, nothing is lost, doubled, torn or reordered; the memory comes back."""
        self.assert_quiet()
        for _ in [getter for getter in self.getters if getter.ended(0) is None]:
            self.queue.put(message(STOP), timeout=10)
        for getter in self.getters:
            assert getter.ends_well(GO_ON_S) or getter.status, f"a getter hangs\n{self.crew.report()}"
        self.drain()
        for putter in self.putters:
            assert putter.ends_well(GO_ON_S) or putter.status, f"a putter hangs\n{self.crew.report()}"
        self.drain()
        self.check_ledger()
        assert (self.queue.qsize(), self.queue.nbytes(), self.queue.empty()) == (0, 0, True)
        self.check_use()
        self.check_memory()

    def check_ledger(self) -> None:
        report = self.crew.report()
        put, got = self.record("put"), [number for number in self.record("got") if number != STOP]
        assert len(got) == len(set(got)), f"doubled: {got}\n{report}"
        maybe = [number for numbers in self.open_puts() for number in numbers]
        assert set(got) <= set(put) | set(maybe), f"never put: {got}\n{report}"
        lost = set(put) - set(got)
        # What may have been put may also have been what the dead one held.
        assert len(lost) <= self.in_hand(), f"lost: {lost}, {self.in_hand()} in hand\n{report}"
        for numbers in self.open_puts():
            there = [number in got for number in numbers]
            assert there == sorted(there, reverse=True) or self.in_hand(), f"a hole in {numbers}: {there}"
        for actor in self.crew.actors:
            self._check_order([n for said, *rest in actor.hear() if said == "got" for n in rest[0]])
        self._check_order(self.got_here)

    def _check_order(self, got: list[int]) -> None:
        for producer in {number // 10_000 for number in got}:
            numbers = [number for number in got if number // 10_000 == producer]
            assert numbers == sorted(numbers), f"not in order: {got}\n{self.crew.report()}"

    def check_use(self) -> None:
        """The queue goes on with messages of all sizes."""
        count = min(2, self.queue.maxsize or 2)
        for size in SIZES:
            before = self.put(count, size)
            assert (self.queue.qsize(), self.queue.nbytes()) == (count, count * size)
            assert self.drain() == before

    def check_memory(self) -> None:
        """An idle waiter gives the memory back, also what the dead had in hand."""

        def is_back() -> bool:
            try:
                self.queue.get(timeout=0.2)
            except Empty:
                pass  # idle, which is when memory is given back
            view = look(self.queue)
            allowed = KEPT_BYTES + 65536 * 16 + view.arenas * 4096
            # One block stays, in which the next message goes.
            in_use = units_in_use(self.queue)
            return self.queue.segment.allocated_bytes() <= allowed and (view.dirty, view.hands, in_use) == (0, 0, 1)

        assert wait_until(is_back, 5.0), self._memory()

    def _memory(self) -> str:
        bytes_held = self.queue.segment.allocated_bytes()
        return f"{bytes_held} bytes, {units_in_use(self.queue)} units are kept: {look(self.queue)}"
