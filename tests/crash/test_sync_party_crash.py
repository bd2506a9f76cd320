"""Semaphore and RWLock: a process is killed at each step of each operation."""

from __future__ import annotations

import signal
import warnings
from collections.abc import Callable

import pytest
from helpers.world import Child, Tally, World, world

from hardy._core import runtime
from hardy.errors import OwnerDiedWarning
from hardy.synchronize import BoundedSemaphore, RWLock, Semaphore

SEM_POINTS = [point for point in runtime.failpoints() if point.startswith(("sem.", "party."))]
RW_POINTS = [point for point in runtime.failpoints() if point.startswith("rwlock.")]
GUARD_POINTS = [point for point in runtime.failpoints() if point.startswith("guard.")]
SOON_S = 5.0


def die() -> None:
    signal.raise_signal(signal.SIGKILL)


def in_turn(semaphore: Semaphore, tally: Tally) -> Callable[[], None]:
    def work() -> None:
        with semaphore:
            tally.add()

    return work


def strike_semaphore(w: World, point: str, semaphore: Semaphore) -> None:
    """Bring a process to that point. The semaphore has one permit at most, and it is taken bare."""
    _, operation, step = point.split(".")
    over_bound = step == "over_bound"
    if operation == "wait":
        w.strike(point, semaphore.acquire)
    elif operation in ("release", "wake"):
        w.strike(point, semaphore.release)
    elif operation == "acquire":
        semaphore.release()
        w.strike(point, lambda: semaphore.acquire(timeout=SOON_S))
    elif operation == "hold":
        semaphore.release()
        w.strike(point, semaphore.__enter__)
    elif operation == "give_back":

        def leave(child: Child) -> None:
            with semaphore:
                if over_bound:
                    semaphore.release()
                child.told()
                runtime.arm(f"{point}=kill")

        semaphore.release()
        victim = w.fork(leave)
        victim.comes()
        victim.tell()
        victim.is_struck(point)
    else:
        semaphore.release()
        w.fork(lambda _: (semaphore.__enter__(), die())).ends()
        w.strike(point, lambda: semaphore.acquire(False))


@pytest.mark.parametrize("point", SEM_POINTS)
def test_semaphore_goes_on_when_a_process_is_killed_at(point: str) -> None:
    """What was held with `with` comes back, the waiters go on one by one, and the count is whole."""
    with world() as w:
        semaphore, tally = (BoundedSemaphore if "over_bound" in point else Semaphore)(1), Tally()
        semaphore.acquire()
        bystanders = [w.fork_asleep(in_turn(semaphore, tally)) for _ in range(2)]
        _, operation, step = point.split(".")
        if operation not in ("wait", "release", "wake"):
            # Else one of them would take the permit that the victim is to take.
            for bystander in bystanders:
                bystander.kill(signal.SIGSTOP)

        strike_semaphore(w, point, semaphore)
        not_given = operation == "wait" or (operation == "release" and step == "before_commit")
        if not_given or (operation == "acquire" and semaphore.get_value() == 0):
            # A bare permit that the victim did not come to give, or that it took.
            semaphore.release()
        for bystander in bystanders:
            bystander.kill(signal.SIGCONT)

        assert [bystander.ends(SOON_S) for bystander in bystanders] == [0, 0]
        assert tally.value == 2
        assert semaphore.get_value() == 1


@pytest.mark.parametrize("point", [point for point in SEM_POINTS if "release" in point or "wake" in point])
def test_semaphore_counts_a_release_once_when_the_releaser_is_killed_at(point: str) -> None:
    """A release has happened or it has not: never twice, never half."""
    with world() as w:
        semaphore = Semaphore(0)

        waiter = w.fork_asleep(lambda: semaphore.acquire())
        w.strike(point, semaphore.release)

        if point == "sem.release.before_commit":
            assert not waiter.ended()
            semaphore.release()
        assert waiter.ends(SOON_S) == 0
        assert semaphore.get_value() == 0


def reader(lock: RWLock, tally: Tally) -> Callable[[], None]:
    def work() -> None:
        warnings.simplefilter("ignore", OwnerDiedWarning)
        with lock.read():
            assert tally.value in range(4)

    return work


def writer(lock: RWLock, tally: Tally) -> Callable[[], None]:
    def work() -> None:
        warnings.simplefilter("ignore", OwnerDiedWarning)
        with lock.write():
            tally.add()

    return work


def end_write_late(lock: RWLock, point: str) -> Callable[[Child], None]:
    def work(child: Child) -> None:
        lock.acquire_write()
        child.told()
        runtime.arm(f"{point}=kill")
        lock.release_write()

    return work


def end_read_late(lock: RWLock, point: str) -> Callable[[Child], None]:
    def work(child: Child) -> None:
        lock.acquire_read()
        child.told()
        runtime.arm(f"{point}=kill")
        lock.release_read()

    return work


def queue_up(lock: RWLock, reads: Child) -> Callable[[], None]:
    """Wait to write, and get the lock from the reader, so as to leave the queue."""

    def work() -> None:
        reads.tell()
        lock.acquire_write()

    return work


def strike_rwlock(w: World, point: str, lock: RWLock) -> None:
    """Bring a process to that point; the lock is free, and processes that want it are stopped."""
    operation = point.split(".")[1]
    if operation in ("read_end", "write_end"):
        late = end_read_late if operation == "read_end" else end_write_late
        victim = w.fork(late(lock, point))
        victim.comes()
        victim.tell()
        victim.is_struck(point)
    elif operation in ("read", "row"):
        w.strike(point, lock.acquire_read)
    elif operation == "write":
        w.strike(point, lock.acquire_write)
    elif operation in ("queue", "wait"):
        with lock.read():
            w.strike(point, lambda: lock.acquire_write(timeout=0.05))
    elif operation == "bury_row":
        w.fork(lambda _: (lock.acquire_read(), die())).ends()
        w.strike(point, lambda: lock.acquire_write(timeout=SOON_S))
    else:
        w.fork(lambda _: (lock.acquire_write(), die())).ends()
        w.strike(point, lambda: lock.acquire_write(timeout=SOON_S))


@pytest.mark.parametrize("point", RW_POINTS)
def test_rwlock_goes_on_when_a_process_is_killed_at(point: str) -> None:
    """Waiting readers and writers get the lock, writers alone, and it is free afterwards."""
    with world() as w:
        lock, tally = RWLock(name="index"), Tally()
        lock.acquire_write()
        bystanders = [w.fork_asleep(role(lock, tally)) for role in (writer, reader, writer, reader)]
        for bystander in bystanders:
            bystander.kill(signal.SIGSTOP)
        lock.release_write()
        # The stopped writers are in the queue, and are alive: readers would wait for them.
        if point.split(".")[1] in ("read", "row", "read_end", "queue", "wait", "bury_row"):
            for bystander in bystanders:
                bystander.kill()
            bystanders = []

        strike_rwlock(w, point, lock)
        for bystander in bystanders:
            bystander.kill(signal.SIGCONT)
        later = [w.fork(lambda _, role=role: role(lock, tally)()) for role in (reader, writer)]

        assert [child.ends(SOON_S) for child in bystanders + later] == [0] * (len(bystanders) + 2)
        assert tally.value == (3 if bystanders else 1)
        assert lock.acquire_write(timeout=SOON_S)
        assert not lock.acquire_read(False)
        lock.release_write()
        assert lock.acquire_read(timeout=0)
        lock.release_read()


@pytest.mark.parametrize("point", [point for point in RW_POINTS if "read_end" in point or "queue" in point])
def test_rwlock_waiters_go_on_when_the_last_reader_is_killed_at(point: str) -> None:
    """A writer that sleeps, and the readers behind it, do not depend on the wake-up of one who dies."""
    with world() as w:
        lock, tally = RWLock(), Tally()
        reads = w.fork(end_read_late(lock, point))
        reads.comes()
        asleep = [w.fork_asleep(writer(lock, tally))]
        asleep.append(w.fork_asleep(reader(lock, tally)))
        if "queue" in point:
            w.strike(point, lambda: lock.acquire_write(timeout=0.05))

        reads.tell()

        assert reads.ends() == (0 if "queue" in point else -signal.SIGKILL)
        assert [child.ends(SOON_S) for child in asleep] == [0, 0]
        assert tally.value == 1


@pytest.mark.parametrize("point", GUARD_POINTS)
def test_guard_goes_on_when_the_one_who_mends_is_killed_at(point: str) -> None:
    """One dies inside the guard, and the next while it mends what the first left: a third does it."""
    with world() as w:
        semaphore = Semaphore(3)
        w.strike("sem.hold.before_commit", semaphore.__enter__)

        w.strike(point, semaphore.__enter__)

        assert semaphore.get_value() == 3
        assert all(semaphore.acquire(False) for _ in range(3))
