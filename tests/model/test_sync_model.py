"""Each sync object against a plain model of it: any sequence of operations that do not wait."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hardy.synchronize import (
    Barrier,
    BoundedSemaphore,
    BrokenBarrierError,
    Condition,
    Event,
    Lock,
    RLock,
    RWLock,
    Semaphore,
)

ways_not_to_wait = st.sampled_from([(False, None), (True, 0), (True, -1), (False, 5)])


class LockMachine(RuleBasedStateMachine):
    """A Lock is a flag."""

    @initialize()
    def make(self) -> None:
        self.lock, self.held = Lock(), False

    @rule(way=ways_not_to_wait)
    def acquire(self, way: tuple[bool, float | None]) -> None:
        assert self.lock.acquire(*way) is (not self.held)
        self.held = True

    @rule()
    def release(self) -> None:
        if self.held:
            self.lock.release()
        else:
            with pytest.raises(ValueError):
                self.lock.release()
        self.held = False

    @rule()
    def travel(self) -> None:
        self.lock = pickle.loads(pickle.dumps(self.lock))

    @invariant()
    def agrees(self) -> None:
        assert self.lock.locked() is self.held
        assert self.lock._is_mine() is self.held
        assert not self.lock.recovered


class RLockMachine(RuleBasedStateMachine):
    """An RLock is a depth."""

    @initialize()
    def make(self) -> None:
        self.lock, self.depth = RLock(), 0

    @rule(way=ways_not_to_wait)
    def acquire(self, way: tuple[bool, float | None]) -> None:
        assert self.lock.acquire(*way)
        self.depth += 1

    @rule()
    def release(self) -> None:
        if self.depth:
            self.lock.release()
            self.depth -= 1
        else:
            with pytest.raises(AssertionError):
                self.lock.release()

    @invariant()
    def agrees(self) -> None:
        assert self.lock._count() == self.depth
        assert self.lock.locked() is (self.depth > 0)


class EventMachine(RuleBasedStateMachine):
    """An Event is a flag."""

    @initialize()
    def make(self) -> None:
        self.event, self.flag = Event(), False

    @rule()
    def set(self) -> None:
        self.event.set()
        self.flag = True

    @rule()
    def clear(self) -> None:
        self.event.clear()
        self.flag = False

    @rule(timeout=st.sampled_from([0, -1, 0.0]))
    def wait(self, timeout: float) -> None:
        assert self.event.wait(timeout) is self.flag

    @invariant()
    def agrees(self) -> None:
        assert self.event.is_set() is self.flag


class SemaphoreMachine(RuleBasedStateMachine):
    """A Semaphore is a count, whichever way permits are taken and given."""

    @initialize(value=st.integers(0, 4), bounded=st.booleans())
    def make(self, value: int, bounded: bool) -> None:
        self.semaphore = (BoundedSemaphore if bounded else Semaphore)(value)
        self.value, self.bound = value, value if bounded else None

    @rule(way=ways_not_to_wait)
    def acquire(self, way: tuple[bool, float | None]) -> None:
        assert self.semaphore.acquire(*way) is (self.value > 0)
        self.value = max(0, self.value - 1)

    def give(self, give: Callable[[], object]) -> None:
        if self.value == self.bound:
            with pytest.raises(ValueError):
                give()
        else:
            give()
            self.value += 1

    @rule()
    def release(self) -> None:
        self.give(self.semaphore.release)

    @precondition(lambda self: self.value > 0)
    @rule()
    def enter(self) -> None:
        self.semaphore.__enter__()
        self.value -= 1

    @rule()
    def leave(self) -> None:
        self.give(lambda: self.semaphore.__exit__(None, None, None))

    @invariant()
    def agrees(self) -> None:
        assert self.semaphore.get_value() == self.value


class ConditionMachine(RuleBasedStateMachine):
    """With nobody waiting, notifications go nowhere, and a wait times out with the lock as it was."""

    @initialize(recursive=st.booleans())
    def make(self, recursive: bool) -> None:
        self.condition, self.recursive, self.depth = Condition(RLock() if recursive else Lock()), recursive, 0

    @rule()
    def acquire(self) -> None:
        could = self.recursive or self.depth == 0
        assert self.condition.acquire(False) is could
        self.depth += could

    @precondition(lambda self: self.depth > 0)
    @rule()
    def release(self) -> None:
        self.condition.release()
        self.depth -= 1

    @rule(n=st.integers(-1, 300))
    def notify(self, n: int) -> None:
        if self.depth:
            self.condition.notify(n)
        else:
            with pytest.raises(AssertionError):
                self.condition.notify(n)

    @rule()
    def wait(self) -> None:
        if self.depth:
            assert not self.condition.wait(0)
        else:
            with pytest.raises(AssertionError):
                self.condition.wait(0)

    @invariant()
    def agrees(self) -> None:
        assert self.condition._lock._count() == self.depth
        assert self.condition._waiting() == 0


class BarrierMachine(RuleBasedStateMachine):
    """A Barrier of one never waits; one of two breaks when a party's time is over."""

    @initialize(parties=st.integers(1, 2))
    def make(self, parties: int) -> None:
        self.barrier, self.parties, self.broken = Barrier(parties), parties, False

    @rule()
    def wait(self) -> None:
        if self.broken or self.parties > 1:
            with pytest.raises(BrokenBarrierError):
                self.barrier.wait(0)
            self.broken = True
        else:
            assert self.barrier.wait(0) == 0

    @rule()
    def abort(self) -> None:
        self.barrier.abort()
        self.broken = True

    @rule()
    def reset(self) -> None:
        self.barrier.reset()
        self.broken = False

    @invariant()
    def agrees(self) -> None:
        assert self.barrier.broken is self.broken
        assert self.barrier.n_waiting == 0


class RWLockMachine(RuleBasedStateMachine):
    """Readers are a count, the writer a flag, of one thread."""

    @initialize()
    def make(self) -> None:
        self.lock, self.reads, self.writes = RWLock(), 0, False

    @rule(way=ways_not_to_wait)
    def acquire_read(self, way: tuple[bool, float | None]) -> None:
        assert self.lock.acquire_read(*way) is (not self.writes)
        self.reads += not self.writes

    @rule(way=ways_not_to_wait)
    def acquire_write(self, way: tuple[bool, float | None]) -> None:
        if self.reads or self.writes:
            with pytest.raises(RuntimeError):
                self.lock.acquire_write(*way)
        else:
            assert self.lock.acquire_write(*way)
            self.writes = True

    @rule()
    def release_read(self) -> None:
        if self.reads:
            self.lock.release_read()
            self.reads -= 1
        else:
            with pytest.raises(ValueError):
                self.lock.release_read()

    @rule()
    def release_write(self) -> None:
        if self.writes:
            self.lock.release_write()
        else:
            with pytest.raises(ValueError):
                self.lock.release_write()
        self.writes = False

    @invariant()
    def agrees(self) -> None:
        writer, readers = self.lock._state()
        assert (writer != 0, readers) == (self.writes, self.reads)


MACHINES = [
    LockMachine,
    RLockMachine,
    EventMachine,
    SemaphoreMachine,
    ConditionMachine,
    BarrierMachine,
    RWLockMachine,
]
for machine in MACHINES:
    machine.TestCase.settings = settings(max_examples=50, stateful_step_count=30)
TestLock, TestRLock, TestEvent, TestSemaphore, TestCondition, TestBarrier, TestRWLock = (
    machine.TestCase for machine in MACHINES
)
