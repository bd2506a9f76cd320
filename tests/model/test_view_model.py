"""Views of messages against a list of bytearrays: random steps in one process and in children forked from it."""

from __future__ import annotations

import os
from pickle import PickleBuffer
from typing import Any

from helpers.ring_view import look, units_in_use
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hardy import Queue

UNIT = 65536
# Small ones, one extent, and one that may need two (an arena has 255 units to give).
SIZES = st.sampled_from([20_000, 30_000, UNIT, 5 * UNIT, 200 * UNIT])


class Views(RuleBasedStateMachine):
    """`queued` and `held` are what must be there; `views` is what is held."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = Queue()
        self.queued: list[bytearray] = []
        self.held: list[bytearray] = []
        self.views: list[Any] = []
        self.stamp = 0

    @precondition(lambda self: len(self.queued) + len(self.held) < 6)
    @rule(size=SIZES)
    def put(self, size: int) -> None:
        self.stamp += 1
        data = bytearray(self.stamp.to_bytes(8, "little") * (size // 8))
        self.queue.put(PickleBuffer(data))
        self.queued.append(data)

    @precondition(lambda self: self.queued)
    @rule()
    def view(self) -> None:
        self.views.append(self.queue.get(copy=False))
        self.held.append(self.queued.pop(0))

    @precondition(lambda self: self.queued)
    @rule()
    def copy(self) -> None:
        assert self.queue.get() == self.queued.pop(0)

    @precondition(lambda self: self.views)
    @rule(data=st.data())
    def write(self, data: Any) -> None:
        index = data.draw(st.integers(0, len(self.views) - 1))
        where = data.draw(st.integers(0, len(self.held[index]) - 8))
        self.stamp += 1
        self.views[index][where : where + 8] = self.held[index][where : where + 8] = self.stamp.to_bytes(8, "big")

    @precondition(lambda self: self.views)
    @rule(data=st.data())
    def let_go(self, data: Any) -> None:
        index = data.draw(st.integers(0, len(self.views) - 1))
        del self.views[index], self.held[index]

    @precondition(lambda self: self.views)
    @rule()
    def fork(self) -> None:
        """The child has its own; what it does to them, and that it lets them go, nobody else sees."""
        child = os.fork()
        if not child:
            whole = self.views == self.held
            for view in self.views:
                view[:] = bytes(len(view))
            self.views.clear()
            os._exit(0 if whole else 1)
        assert os.waitpid(child, 0)[1] == 0

    @invariant()
    def what_is_held_is_whole(self) -> None:
        assert self.views == self.held
        assert (self.queue.qsize(), look(self.queue).dirty) == (len(self.queued), 0)

    @invariant()
    def memory_is_what_is_queued_or_held(self) -> None:
        # A message has some 100 bytes beside its buffer.
        large = [data for data in self.queued + self.held if len(data) > 24_000]
        in_blocks = [data for data in self.queued if len(data) < 24_000]
        used = units_in_use(self.queue) - sum(-(-(len(data) + 200) // UNIT) for data in large)
        assert 1 <= used <= 1 + len(in_blocks)

    def teardown(self) -> None:
        self.views.clear()
        while self.queue.qsize():
            self.queue.get()
        assert (look(self.queue).hands, units_in_use(self.queue)) == (0, 1)


TestViews = Views.TestCase
TestViews.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
