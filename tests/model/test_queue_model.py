"""A queue against a plain list: whatever is done with it, in whatever order."""

from __future__ import annotations

from collections import deque
from queue import Empty, Full
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hardy import JoinableQueue

# The edges between inline, block, extent and chain of extents, and anything in between.
SIZES = st.sampled_from([0, 1, 8, 100, 4_000, 20_000, 24_575, 24_576, 24_577, 65_536, 65_537, 200_000])
SIZES = SIZES | st.integers(0, 200_000)
BOUNDS = st.sampled_from([0, 0, 1, 2, 7, 200])
BYTE_BOUNDS = st.sampled_from([0, 0, 1, 30_000, 300_000])
NOW = 0.0


class QueueMachine(RuleBasedStateMachine):
    """The queue, and a deque of what must be in it."""

    @initialize(maxsize=BOUNDS, maxbytes=BYTE_BOUNDS)
    def make(self, maxsize: int, maxbytes: int) -> None:
        self.queue: JoinableQueue[bytes] = JoinableQueue(maxsize, maxbytes=maxbytes)
        self.model: deque[bytes] = deque()
        self.maxsize, self.maxbytes = maxsize, maxbytes
        self.unfinished = 0
        self.number = 0

    def _message(self, size: int) -> bytes:
        self.number += 1
        return (self.number.to_bytes(4, "little") * (size // 4 + 1))[:size]

    def _has_room(self, size: int) -> bool:
        if self.maxsize and len(self.model) >= self.maxsize:
            return False
        return not self.maxbytes or sum(map(len, self.model)) + size <= self.maxbytes

    def _put(self, data: bytes) -> None:
        self.model.append(data)
        self.unfinished += 1

    @rule(size=SIZES, nowait=st.booleans())
    def put(self, size: int, nowait: bool) -> None:
        data = self._message(size)
        args = {"block": False} if nowait else {"timeout": NOW}
        if self.maxbytes and size > self.maxbytes:
            with pytest.raises(ValueError, match="never fits"):
                self.queue.put(data, **args)
        elif self._has_room(size):
            self.queue.put(data, **args)
            self._put(data)
        else:
            with pytest.raises(Full):
                self.queue.put(data, **args)

    @rule(sizes=st.lists(SIZES, max_size=12) | st.lists(st.integers(0, 300), min_size=100, max_size=300))
    def put_many(self, sizes: list[int]) -> None:
        objs = [self._message(size) for size in sizes]
        count, error = len(objs), None
        for i, data in enumerate(objs):
            if self.maxbytes and len(data) > self.maxbytes:
                count, error = i, ValueError
            elif not self._has_room(len(data)):
                count, error = i, Full
            if error:
                break
            self._put(data)
        if error is None:
            assert self.queue.put_many(objs, timeout=NOW) == count
        else:
            with pytest.raises(error) as caught:
                self.queue.put_many(objs, timeout=NOW)
            # What never fits is refused before those before it are flushed, and they may find no room.
            assert caught.value.put == count  # type: ignore[attr-defined]

    @rule()
    def get(self) -> None:
        if self.model:
            assert self.queue.get(timeout=NOW) == self.model.popleft()
        else:
            with pytest.raises(Empty):
                self.queue.get(False)

    @rule(most=st.integers(1, 150))
    def get_many(self, most: int) -> None:
        if not self.model:
            with pytest.raises(Empty):
                self.queue.get_many(most, False)
            return
        got = self.queue.get_many(most, timeout=NOW)
        assert 1 <= len(got) <= most
        assert got == [self.model.popleft() for _ in got]

    @precondition(lambda self: self.unfinished > len(self.model))
    @rule()
    def task_done(self) -> None:
        self.queue.task_done()
        self.unfinished -= 1

    @rule()
    def join(self) -> None:
        if self.unfinished:
            with pytest.raises(TimeoutError):
                self.queue.join(NOW)
        else:
            self.queue.join(NOW)
            with pytest.raises(ValueError, match="too many"):
                self.queue.task_done()

    @invariant()
    def sizes_are_exact(self) -> None:
        if not hasattr(self, "queue"):
            return
        assert self.queue.qsize() == len(self.model)
        assert self.queue.nbytes() == sum(map(len, self.model))
        assert self.queue.empty() == (not self.model)
        assert self.queue.full() == (not self._has_room(1))

    def teardown(self) -> None:
        if not hasattr(self, "queue"):
            return
        while self.model:
            self.get()
        with pytest.raises(Empty):
            self.queue.get(False)


QueueMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


class TestQueueIsAListOfObjects(QueueMachine.TestCase):  # type: ignore[misc, valid-type]
    """Whatever is put and taken in whatever order, the queue is a plain first-in first-out list."""


def test_model_has_no_leftover(request: Any) -> None:
    """The machine above leaves no queue behind, which the fixture of every test proves."""
    machine = QueueMachine()
    machine.make(1, 0)
    machine.put(10, True)
    machine.teardown()
