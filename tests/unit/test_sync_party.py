"""Semaphore, Condition, Barrier, RWLock and NamedLock: meaning, texts, bad input."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from helpers.waiting import wait_until
from helpers.world import world

from hardy.synchronize import (
    Barrier,
    BoundedSemaphore,
    BrokenBarrierError,
    Condition,
    Lock,
    NamedLock,
    RLock,
    RWLock,
    Semaphore,
)


@contextmanager
def threads(*works: Callable[[], object]) -> Iterator[None]:
    """Threads that have ended when the block is left."""
    started = [threading.Thread(target=work) for work in works]
    for thread in started:
        thread.start()
    try:
        yield
    finally:
        for thread in started:
            thread.join(20)
            assert not thread.is_alive()


def test_semaphore_counts_permits() -> None:
    """acquire takes one, release gives one, `with` does both."""
    semaphore = Semaphore(2)

    with semaphore:
        assert semaphore.get_value() == 1
        assert semaphore.acquire(False)
        assert semaphore.locked()
        assert not semaphore.acquire(False)
        assert not semaphore.acquire(timeout=0.02)
        assert repr(semaphore) == "<Semaphore(value=0)>"
    semaphore.release()
    semaphore.release()

    assert semaphore.get_value() == 3


def test_bounded_semaphore_refuses_a_release_too_many() -> None:
    """The text is the standard library's, and the count stays."""
    semaphore = BoundedSemaphore(1)

    with pytest.raises(ValueError, match="released too many times"):
        semaphore.release()

    assert repr(semaphore) == "<BoundedSemaphore(value=1, maxvalue=1)>"


def test_bounded_semaphore_keeps_its_bound_when_a_permit_is_given_back_twice() -> None:
    """A bare release inside `with` is one too many, found at the end of the block or of the process."""
    semaphore = BoundedSemaphore(1)

    with pytest.raises(ValueError, match="released too many times"), semaphore:
        semaphore.release()
    assert semaphore.get_value() == 1

    with world() as w:
        w.fork(lambda _: (semaphore.__enter__(), semaphore.release(), os._exit(0))).ends()
    assert semaphore.get_value() == 1
    assert semaphore.acquire(False)
    assert not semaphore.acquire(False)


def test_semaphore_goes_on_when_more_processes_hold_it_than_it_can_record() -> None:
    """The permit of the 129th holder counts as bare: taken and given back as any other."""
    with world() as w:
        semaphore = Semaphore(130)

        def hold(child: Any) -> None:
            with semaphore:
                child.told()

        holders = [w.fork(hold) for _ in range(129)]
        for holder in holders:
            holder.comes()
        assert semaphore.get_value() == 1

        for holder in holders:
            holder.tell()

        assert [holder.ends() for holder in holders] == [0] * 129
        assert semaphore.get_value() == 130


@pytest.mark.parametrize(
    ("value", "error"), [(-1, ValueError), (2**31, ValueError), (1.5, TypeError), ("1", TypeError)]
)
@pytest.mark.parametrize("kind", [Semaphore, BoundedSemaphore])
def test_semaphore_refuses_what_is_no_count(kind: Any, value: Any, error: type[Exception]) -> None:
    """At the call."""
    with pytest.raises(error):
        kind(value)


@pytest.mark.parametrize("kind", [None, Lock, RLock])
def test_condition_wait_returns_when_notified(kind: type[Lock | RLock] | None) -> None:
    """The lock is given up meanwhile, however often it is held, and held as often afterwards."""
    condition = Condition(kind() if kind else None)

    def notify() -> None:
        assert wait_until(lambda: condition._waiting() == 1)
        with condition:
            condition.notify()

    with condition, threads(notify):
        if kind is not Lock:
            condition.acquire()
        assert condition.wait(20)
        assert condition._lock._count() == (1 if kind is Lock else 2)
        if kind is not Lock:
            condition.release()
    assert not condition._lock.locked()


def test_condition_wait_returns_false_when_its_time_is_over() -> None:
    """And nobody waits any more."""
    condition = Condition()

    with condition:
        assert not condition.wait(0.01)
        assert repr(condition).endswith(", 0)>")


def test_condition_notifies_as_many_as_asked_in_their_order() -> None:
    """Those who came first go on first."""
    condition, gone = Condition(), []

    def wait(number: int) -> Callable[[], None]:
        def work() -> None:
            with condition:
                condition.wait()
                gone.append(number)

        return work

    works = [wait(number) for number in range(4)]
    with threads(works[0]):
        assert wait_until(lambda: condition._waiting() == 1)
        with threads(works[1]):
            assert wait_until(lambda: condition._waiting() == 2)
            with threads(works[2], works[3]):
                assert wait_until(lambda: condition._waiting() == 4)

                with condition:
                    condition.notify(2)
                assert wait_until(lambda: len(gone) == 2)

                assert sorted(gone) == [0, 1]
                assert condition._waiting() == 2
                with condition:
                    condition.notify_all()


def test_condition_wait_for_returns_the_predicates_value() -> None:
    """True once it holds; the last false value when the time is over."""
    condition = Condition()

    with condition:
        assert condition.wait_for(lambda: 7) == 7
        assert condition.wait_for(lambda: 0, 0.01) == 0


def test_condition_asserts_that_the_lock_is_held() -> None:
    """The texts are the standard library's."""
    condition = Condition()

    with pytest.raises(AssertionError, match=r"must acquire\(\) condition before using wait\(\)"):
        condition.wait()
    with pytest.raises(AssertionError, match="lock is not owned"):
        condition.notify()


def test_condition_refuses_a_lock_that_is_not_hardys() -> None:
    """It must know which process holds the lock."""
    with pytest.raises(TypeError, match="of hardy"):
        Condition(threading.Lock())  # type: ignore[arg-type]


def test_condition_says_so_when_too_many_wait() -> None:
    """The 257th waiter gets an error, with the lock still held; the others go on."""
    condition = Condition()

    def wait() -> None:
        with condition:
            condition.wait()

    with threads(*[wait] * 256):
        assert wait_until(lambda: condition._waiting() == 256, 30)

        with condition:
            with pytest.raises(RuntimeError, match="256"):
                condition.wait()
            assert condition._lock._is_mine()
            condition.notify_all()


def test_barrier_gives_each_party_another_number() -> None:
    """0 to parties - 1; the action runs once in each round, before any goes on."""
    done: list[int] = []
    indices: list[int] = []
    barrier = Barrier(3, action=lambda: done.append(len(indices)))

    def rounds() -> None:
        for number in range(5):
            index = barrier.wait(20)
            assert len(done) > number
            indices.append(index)

    with threads(rounds, rounds, rounds):
        pass

    assert len(done) == 5
    assert sorted(indices) == sorted([0, 1, 2] * 5)
    assert (barrier.parties, barrier.n_waiting, barrier.broken) == (3, 0, False)


def test_barrier_breaks_when_a_wait_times_out_and_a_reset_makes_it_whole() -> None:
    """Everyone who waits, and comes later, is told."""
    barrier = Barrier(2, timeout=0.02)

    with pytest.raises(BrokenBarrierError, match="timed out"):
        barrier.wait()
    assert barrier.broken
    assert repr(barrier).endswith(": broken>")
    with pytest.raises(BrokenBarrierError):
        barrier.wait()

    barrier.reset()
    assert not barrier.broken
    with threads(lambda: barrier.wait(20)):
        barrier.wait(20)


def test_barrier_tells_who_waits_when_it_is_reset_or_aborted() -> None:
    """A reset leaves it whole, an abort broken."""
    barrier, told = Barrier(2), []

    def wait() -> None:
        with pytest.raises(BrokenBarrierError):
            barrier.wait()
        told.append(1)

    with threads(wait):
        assert wait_until(lambda: barrier.n_waiting == 1)
        barrier.reset()
    assert not barrier.broken
    with threads(wait):
        assert wait_until(lambda: barrier.n_waiting == 1)
        barrier.abort()

    assert barrier.broken
    assert told == [1, 1]


def test_barrier_breaks_when_its_action_fails() -> None:
    """The one that ran it gets the action's error, the others BrokenBarrierError."""
    barrier = Barrier(2, action=lambda: 1 / 0)  # type: ignore[arg-type]
    outcomes: list[type[BaseException]] = []

    def wait() -> None:
        try:
            barrier.wait(20)
        except (BrokenBarrierError, ZeroDivisionError) as error:
            outcomes.append(type(error))

    with threads(wait, wait):
        pass

    assert sorted(each.__name__ for each in outcomes) == ["BrokenBarrierError", "ZeroDivisionError"]
    assert barrier.broken


@pytest.mark.parametrize(
    ("args", "error"),
    [
        ((0,), ValueError),
        ((-1,), ValueError),
        ((60_001,), ValueError),
        (("2",), TypeError),
        ((1, 5), TypeError),
        ((1, None, "1"), TypeError),
    ],
)
def test_barrier_refuses_bad_arguments(args: Any, error: type[Exception]) -> None:
    """At the call."""
    with pytest.raises(error):
        Barrier(*args)


def test_rwlock_lets_readers_in_together_and_a_writer_alone() -> None:
    """Others read with a reader; nobody does anything with a writer."""
    with world() as w:
        lock = RWLock()

        with lock.read():
            assert w.fork(lambda _: os._exit(attempt(lock))).ends() == 0b10
        with lock.write():
            assert w.fork(lambda _: os._exit(attempt(lock))).ends() == 0b00
        assert w.fork(lambda _: os._exit(attempt(lock))).ends() == 0b11


def attempt(lock: RWLock) -> int:
    """Bit 1: could read; bit 0: could write."""
    could_read = lock.acquire_read(False)
    if could_read:
        lock.release_read()
    could_write = lock.acquire_write(False)
    if could_write:
        lock.release_write()
    return could_read << 1 | could_write


def test_rwlock_writer_comes_before_later_readers() -> None:
    """A waiting writer holds back new readers, but not a thread that reads already."""
    with world() as w:
        lock = RWLock()
        lock.acquire_read()
        writer = w.fork_asleep(lock.acquire_write)

        assert not w.fork(lambda _: os._exit(lock.acquire_read(False))).ends()
        assert lock.acquire_read(False)

        lock.release_read()
        lock.release_read()
        assert writer.ends() == 0


def test_rwlock_readers_go_on_when_the_waiting_writer_gives_up() -> None:
    """A time-out leaves the queue."""
    lock = RWLock()
    with lock.read(), threads(lambda: lock.acquire_write(timeout=0.02)):
        pass

    assert lock.acquire_write(False)
    lock.release_write()


def test_rwlock_refuses_what_would_wait_for_itself() -> None:
    """A reader that wants to write, a writer that wants to write again."""
    lock = RWLock()

    with lock.read(), pytest.raises(RuntimeError, match="wait for itself"):
        lock.acquire_write()
    with lock.write(), pytest.raises(RuntimeError, match="wait for itself"):
        lock.acquire_write()
    with pytest.raises(ValueError, match="too many times"):
        lock.release_read()
    with pytest.raises(ValueError, match="too many times"):
        lock.release_write()
    assert repr(lock) == "<RWLock(readers=0)>"


def test_named_lock_is_one_lock_for_all_handles_of_a_name() -> None:
    """Also of another process; another name is another lock; nothing is left when it is free."""
    name = f"test-{os.getpid()}\n{'long' * 50}"
    lock, same, other = NamedLock(name), NamedLock(name), NamedLock(name + "2")

    with lock, other:
        assert lock.locked()
        assert lock.owner_pid() == same.owner_pid() == os.getpid()
        assert not same.acquire(False)
        assert not same.acquire(timeout=0.02)
        with world() as w:
            assert not w.fork(lambda _: os._exit(NamedLock(name).acquire(False))).ends()
        with pytest.raises(ValueError, match="too many times"):
            same.release()

    assert not lock.locked()
    assert same.acquire(False)
    same.release()
    assert repr(lock).endswith("owner=None)>")


@pytest.mark.parametrize(("name", "error"), [("", ValueError), (b"x", TypeError), (None, TypeError)])
def test_named_lock_refuses_what_is_no_name(name: Any, error: type[Exception]) -> None:
    """At the call."""
    with pytest.raises(error):
        NamedLock(name)
