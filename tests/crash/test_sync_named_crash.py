"""NamedLock: a process is killed at each step of each operation."""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Callable

import pytest
from helpers import procfs
from helpers.waiting import wait_until
from helpers.world import Child, Tally, World, world

from hardy._core import runtime
from hardy.errors import OwnerDiedWarning
from hardy.synchronize import NamedLock

POINTS = [point for point in runtime.failpoints() if point.startswith("namedlock.")]
SOON_S = 5.0


@pytest.fixture
def name() -> str:
    return f"test-{os.getpid()}-{os.urandom(4).hex()}"


def turn(name: str, tally: Tally) -> Callable[[], None]:
    def work() -> None:
        warnings.simplefilter("ignore", OwnerDiedWarning)
        with NamedLock(name):
            tally.add()

    return work


def hold(name: str, point: str | None = None) -> Callable[[Child], None]:
    def work(child: Child) -> None:
        lock = NamedLock(name)
        lock.acquire()
        child.told()
        if point is not None:
            runtime.arm(f"{point}=kill")
        lock.release()

    return work


def strike(w: World, point: str, name: str) -> None:
    """Bring a process to that point of the lock's life; the lock is free."""
    operation = point.split(".")[1]
    if operation == "acquire":
        w.strike(point, NamedLock(name).acquire)
    elif operation == "release":
        victim = w.fork(hold(name, point))
        victim.comes()
        victim.tell()
        victim.is_struck(point)
    else:
        owner = w.fork(hold(name))
        owner.comes()

        def wait(child: Child) -> None:
            runtime.arm(f"{point}=kill")
            child.say()
            NamedLock(name).acquire()

        victim = w.fork(wait)
        if point == "namedlock.wait.after_news":
            victim.asleep()
            owner.tell()
        victim.is_struck(point)
        owner.kill()


@pytest.mark.parametrize("point", POINTS)
def test_named_lock_goes_on_when_a_process_is_killed_at(point: str, name: str) -> None:
    """Those who wait get the lock one after the other, and nothing is left of the name."""
    with world() as w:
        tally = Tally()
        owner = w.fork(hold(name))
        owner.comes()
        bystanders = [w.fork_asleep(turn(name, tally)) for _ in range(2)]
        for bystander in bystanders:
            bystander.kill(signal.SIGSTOP)
        owner.tell()
        owner.ends()

        strike(w, point, name)
        for bystander in bystanders:
            bystander.kill(signal.SIGCONT)

        assert [bystander.ends(SOON_S) for bystander in bystanders] == [0, 0]
        assert tally.value == 2
        lock = NamedLock(name)
        assert not lock.locked()
        assert lock.acquire(timeout=0)
        assert not lock.recovered
        lock.release()


def test_named_lock_tells_who_waited_when_its_holder_is_killed(name: str) -> None:
    """The one who waited gets the lock, a warning that names the dead, and `recovered`."""
    with world() as w:
        owner = w.fork(hold(name))
        owner.comes()

        def wait(_: Child) -> None:
            lock = NamedLock(name)
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                assert lock.acquire()
            assert lock.recovered
            assert str(owner.pid) in str(caught[0].message)
            lock.release()
            assert not lock.recovered

        def wait_asleep(child: Child) -> None:
            child.say()
            wait(child)

        waiter = w.fork(wait_asleep)
        waiter.asleep()
        owner.kill()

        assert waiter.ends(SOON_S) == 0


def test_named_lock_is_not_recovered_when_its_holder_released_it(name: str) -> None:
    """A release is never taken for a death."""
    with world() as w:
        owner = w.fork(hold(name))
        owner.comes()

        def wait() -> None:
            lock = NamedLock(name)
            warnings.simplefilter("error", OwnerDiedWarning)
            assert lock.acquire()
            assert not lock.recovered

        waiters = [w.fork_asleep(wait)]
        owner.tell()

        assert waiters[0].ends(SOON_S) == 0


def test_named_lock_is_free_when_its_holder_has_died_and_its_child_lives(name: str) -> None:
    """A child of fork does not keep the lock of its dead parent."""
    with world() as w:
        read, write = os.pipe()

        def hold_and_fork(_: Child) -> None:
            NamedLock(name).acquire()
            grandchild = os.fork()
            if grandchild == 0:
                signal.pause()
            os.write(write, b"%d\n" % grandchild)
            signal.pause()

        owner = w.fork(hold_and_fork)
        grandchild = int(os.read(read, 32))
        try:
            assert NamedLock(name).acquire(False) is False
            owner.kill()

            assert procfs.alive(grandchild)
            lock = NamedLock(name)
            assert lock.acquire(timeout=SOON_S)
            lock.release()
        finally:
            os.kill(grandchild, signal.SIGKILL)
            assert wait_until(lambda: not procfs.alive(grandchild))
            os.close(read)
            os.close(write)
