"""A task queue against a plain model of leases, with holders that are killed."""

from __future__ import annotations

import signal
from queue import Empty, Full
from typing import Any

import pytest
from helpers.crew import Crew, Line
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hardy import Lease, LeaseLost, TaskQueue

SIZES = st.sampled_from([0, 1, 100, 448, 449, 10_000, 24_576, 24_577, 200_000])
NOW = 0.0
# A dead holder is looked for by who waits, or by who asks some 20 ms later.
SOON_S = 5.0


class Item:
    """What the model knows of one item."""

    def __init__(self, data: bytes, number: int) -> None:
        self.data = data
        self.number = number
        self.deliveries = 0


def hold(line: Line, tasks: Any, count: int) -> None:
    """Take leases, say so, and wait to be killed."""
    leases = [tasks.take(timeout=SOON_S) for _ in range(count)]
    line.say("took", [(lease.item, lease.deliveries) for lease in leases])
    signal.pause()


class LeaseMachine(RuleBasedStateMachine):
    """The queue; and lists of what waits, is leased, came back, and is dead."""

    @initialize(maxsize=st.sampled_from([0, 0, 1, 5]), limit=st.sampled_from([0, 1, 2, 3]))
    def make(self, maxsize: int, limit: int) -> None:
        self.tasks: TaskQueue[bytes] = TaskQueue(maxsize, max_deliveries=limit)
        self.maxsize, self.limit = maxsize, limit
        self.crew = Crew()
        self.waiting: list[Item] = []
        self.returned: list[Item] = []
        self.dead: list[Item] = []
        self.leased: list[tuple[Lease[bytes], Item]] = []
        self.number = 0

    def _next(self) -> Item | None:
        """The item that the next take gives: the oldest of those that came back, else of those that wait."""
        items = self.returned or self.waiting
        if not items:
            return None
        item = min(items, key=lambda item: item.number)
        items.remove(item)
        item.deliveries += 1
        return item

    def _give_back(self, item: Item) -> None:
        dead = self.limit and item.deliveries >= self.limit
        (self.dead if dead else self.returned).append(item)

    @rule(size=SIZES, count=st.integers(1, 3))
    def put(self, size: int, count: int) -> None:
        for _ in range(count):
            item = Item((self.number.to_bytes(4, "little") * (size // 4 + 1))[:size], self.number)
            self.number += 1
            if self.maxsize and len(self.waiting) >= self.maxsize:
                with pytest.raises(Full):
                    self.tasks.put(item.data, timeout=NOW)
            else:
                self.tasks.put(item.data, timeout=NOW)
                self.waiting.append(item)

    @rule()
    def take(self) -> None:
        item = self._next()
        if item is None:
            with pytest.raises(Empty):
                self.tasks.take(False)
            return
        lease = self.tasks.take(timeout=NOW)
        assert (lease.item, lease.deliveries) == (item.data, item.deliveries)
        self.leased.append((lease, item))

    @precondition(lambda self: getattr(self, "leased", None))
    @rule(data=st.data())
    def ack(self, data: st.DataObject) -> None:
        lease, _ = self.leased.pop(data.draw(st.integers(0, len(self.leased) - 1)))
        lease.ack()
        with pytest.raises(LeaseLost):
            lease.nack()

    @precondition(lambda self: getattr(self, "leased", None))
    @rule(data=st.data())
    def nack(self, data: st.DataObject) -> None:
        lease, item = self.leased.pop(data.draw(st.integers(0, len(self.leased) - 1)))
        lease.nack()
        self._give_back(item)
        with pytest.raises(LeaseLost):
            lease.ack()

    @precondition(lambda self: getattr(self, "waiting", None) or getattr(self, "returned", None))
    @rule(count=st.integers(1, 3))
    def holder_is_killed(self, count: int) -> None:
        count = min(count, len(self.waiting) + len(self.returned))
        taken = [self._next() for _ in range(count)]
        holder = self.crew.start(hold, self.tasks, count)
        words = ("took", [(item.data, item.deliveries) for item in taken if item])
        assert holder.has_said(*words), f"{words}\n{self.crew.report()}"
        assert self.tasks.leased() == len(self.leased) + count
        holder.signal(signal.SIGKILL)
        assert holder.ended(SOON_S) == signal.SIGKILL
        for item in taken:
            assert item
            self._give_back(item)

    @rule()
    def dead_letters(self) -> None:
        letters = self.tasks.dead_letters(clear=True)
        self.tasks.leased()  # finds the dead holders; their letters may be new
        letters += self.tasks.dead_letters(clear=True)
        got = sorted((letter.item, letter.deliveries) for letter in letters)
        assert got == sorted((item.data, item.deliveries) for item in self.dead)
        self.dead.clear()

    @rule()
    def join(self) -> None:
        self.tasks.leased()  # finds the dead holders, as a join that waits does
        if self.waiting or self.returned or self.leased:
            with pytest.raises(TimeoutError):
                self.tasks.join(NOW)
        else:
            self.tasks.join(NOW)

    @invariant()
    def sizes_are_exact(self) -> None:
        if not hasattr(self, "tasks"):
            return
        assert self.tasks.leased() == len(self.leased)
        assert self.tasks.returned() == len(self.returned)
        assert self.tasks.qsize() == len(self.waiting)
        assert self.tasks.nbytes() == sum(len(item.data) for item in self.waiting)

    def teardown(self) -> None:
        if not hasattr(self, "tasks"):
            return
        try:
            while self.leased:
                lease, _ = self.leased.pop()
                lease.ack()
            while self.waiting or self.returned:
                self.take()
                self.leased.pop()[0].ack()
            self.dead_letters()
            self.tasks.join(NOW)
        finally:
            self.crew.dispose()


LeaseMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


class TestTaskQueueIsAModelOfLeases(LeaseMachine.TestCase):  # type: ignore[misc, valid-type]
    """Whatever is taken, acknowledged, given back or killed, the queue does as the plain model."""
