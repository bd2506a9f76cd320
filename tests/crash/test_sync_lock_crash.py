"""Lock, RLock and Event: a process is killed at each step of each operation."""

from __future__ import annotations

import signal
import warnings
from collections.abc import Callable

import pytest
from helpers.world import Child, Tally, World, world

from hardy._core import runtime
from hardy.errors import OwnerDiedWarning
from hardy.synchronize import Event, Lock, RLock

LOCK_POINTS = [point for point in runtime.failpoints() if point.startswith("lock.")]
RLOCK_POINTS = [point for point in runtime.failpoints() if point.startswith("rlock.")]
EVENT_POINTS = [point for point in runtime.failpoints() if point.startswith("event.")]
BOTH = [(Lock, point) for point in LOCK_POINTS] + [(RLock, point) for point in LOCK_POINTS + RLOCK_POINTS]
SOON_S = 5.0


def hold(lock: Lock | RLock) -> Callable[[Child], None]:
    def work(child: Child) -> None:
        lock.acquire()
        child.told()
        lock.release()

    return work


def turn(lock: Lock | RLock, tally: Tally) -> Callable[[], None]:
    def work() -> None:
        warnings.simplefilter("ignore", OwnerDiedWarning)
        with lock:
            tally.add()

    return work


def acquire_strictly(lock: Lock | RLock) -> None:
    """Acquire where the warning is an error, so that the lock is given back."""
    warnings.simplefilter("error", OwnerDiedWarning)
    lock.acquire()


def strike_lock(w: World, point: str, lock: Lock | RLock, owner: Child, bystanders: list[Child]) -> None:
    """Bring a process to that point of the lock's life. `owner` holds it, the bystanders want it."""
    _, operation, _ = point.split(".")
    if operation == "wait":
        w.strike(point, lock.acquire)
        owner.tell()
        owner.ends()
        return
    if operation == "release":
        # The bystanders' flag must be up while the victim holds the lock.
        owner.tell()
        owner.ends()

        def release(child: Child) -> None:
            lock.acquire()
            child.told()
            runtime.arm(f"{point}=kill")
            lock.release()

        victim = w.fork(release)
        victim.comes()
        bystanders.append(w.fork_asleep(turn(lock, Tally())))
        victim.tell()
        victim.is_struck(point)
        return
    if operation == "acquire":
        owner.tell()
        owner.ends()
        w.strike(point, lock.acquire)
        return
    owner.kill()
    w.strike(point, lock.acquire if operation == "recover" else lambda: acquire_strictly(lock))


@pytest.mark.parametrize(("kind", "point"), BOTH, ids=lambda value: getattr(value, "__name__", value))
def test_lock_goes_on_when_a_process_is_killed_at(kind: type[Lock | RLock], point: str) -> None:
    """Those who wait get the lock one after the other, and it is whole and free afterwards."""
    with world() as w:
        lock, tally = kind(name="stock"), Tally()
        owner = w.fork(hold(lock))
        owner.comes()
        bystanders = [w.fork_asleep(turn(lock, tally)) for _ in range(2)]
        for bystander in bystanders:
            bystander.kill(signal.SIGSTOP)
        asleep = list(bystanders)

        strike_lock(w, point, lock, owner, bystanders)
        for bystander in asleep:
            bystander.kill(signal.SIGCONT)

        assert [bystander.ends(SOON_S) for bystander in bystanders] == [0] * len(bystanders)
        assert tally.value == len(asleep)
        assert lock.acquire(timeout=SOON_S)
        assert not lock.recovered
        lock.release()
        assert not lock.locked()


@pytest.mark.parametrize("point", EVENT_POINTS)
def test_event_goes_on_when_a_process_is_killed_at(point: str) -> None:
    """Those who wait go on as soon as the event is set, whoever died setting it or waiting."""
    with world() as w:
        event = Event()
        operation = point.split(".")[1]
        if operation == "clear":
            event.set()
            w.strike(point, event.clear)
            event.set()
        bystanders = [] if operation == "clear" else [w.fork_asleep(event.wait) for _ in range(2)]

        if operation == "set":
            w.strike(point, event.set)
        elif operation == "wait":
            w.strike(point, event.wait)
        if not event.is_set():
            assert not any(bystander.ended() for bystander in bystanders)
            event.set()

        assert [bystander.ends(SOON_S) for bystander in bystanders] == [0] * len(bystanders)
        assert event.wait(0)
        event.clear()
        assert not event.wait(0)
