"""Condition and Barrier: a process is killed at each step of each operation."""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Callable

import pytest
from helpers.waiting import wait_until
from helpers.world import Child, World, world

from hardy._core import runtime
from hardy.errors import OwnerDiedWarning
from hardy.synchronize import Barrier, BrokenBarrierError, Condition, Lock

COND_POINTS = [point for point in runtime.failpoints() if point.startswith("cond.")]
BARRIER_POINTS = [point for point in runtime.failpoints() if point.startswith("barrier.")]
SOON_S = 5.0


def waits(condition: Condition) -> Callable[[], None]:
    def work() -> None:
        warnings.simplefilter("ignore", OwnerDiedWarning)
        with condition:
            assert condition.wait()

    return work


def enough_wait(condition: Condition, number: int) -> None:
    assert wait_until(lambda: condition._waiting() == number)


def interrupt(signum: int, frame: object) -> None:
    raise InterruptedError


def strike_condition(w: World, point: str, condition: Condition) -> None:
    """Bring a process to that point; two others wait already."""
    operation = point.split(".")[1]

    def wait_briefly() -> None:
        with condition:
            condition.wait(0.02)

    def notify() -> None:
        with condition:
            condition.notify(1)

    if operation in ("wait", "leave"):
        w.strike(point, wait_briefly)
    elif operation == "notify":
        w.strike(point, notify)
    else:
        dead = w.fork_asleep(waits(condition))
        dead.kill()
        w.strike(point, condition._waiting)


@pytest.mark.filterwarnings("ignore::hardy.errors.OwnerDiedWarning")
@pytest.mark.parametrize("kind", [None, Lock], ids=["RLock", "Lock"])
@pytest.mark.parametrize("point", COND_POINTS)
def test_condition_goes_on_when_a_process_is_killed_at(point: str, kind: type[Lock] | None) -> None:
    """Who still waits is still there, gets the next notification, and holds the lock on return."""
    with world() as w:
        condition = Condition(None if kind is None else kind())
        if point.startswith("cond.pass."):
            bystanders = strike_first_of_three(w, point, condition)
        else:
            bystanders = [w.fork_asleep(waits(condition)) for _ in range(2)]
            enough_wait(condition, 2)
            strike_condition(w, point, condition)
        with condition:
            condition.notify_all()

        assert [bystander.ends(SOON_S) for bystander in bystanders] == [0] * len(bystanders)
        assert condition._waiting() == 0
        assert condition.acquire(timeout=SOON_S)
        condition.release()


def strike_first_of_three(w: World, point: str, condition: Condition) -> list[Child]:
    """The first of three waiters is notified, and killed while it passes that on; the others."""

    def wait_and_be_interrupted(child: Child) -> None:
        signal.signal(signal.SIGUSR2, interrupt)
        runtime.arm(f"{point}=kill")
        with condition:
            child.say()
            condition.wait()

    victim = w.fork(wait_and_be_interrupted)
    victim.asleep()
    enough_wait(condition, 1)
    others = [w.fork_asleep(waits(condition)) for _ in range(2)]
    enough_wait(condition, 3)
    victim.kill(signal.SIGSTOP)
    with condition:
        condition.notify(1)
    victim.kill(signal.SIGUSR2)
    victim.kill(signal.SIGCONT)
    victim.is_struck(point)
    # Exactly one of them gets what the dead one was notified of.
    assert wait_until(lambda: sum(other.ended() for other in others) == 1, SOON_S)
    assert condition._waiting() == 1
    return others


def party(barrier: Barrier) -> Callable[[Child], None]:
    """Exits with 0 when it passed, with 3 when it was told that the barrier is broken."""

    def work(_: Child) -> None:
        try:
            barrier.wait()
        except BrokenBarrierError:
            os._exit(3)

    return work


FIRST = ("barrier.wait.", "barrier.leave.")


@pytest.mark.parametrize("point", BARRIER_POINTS)
def test_barrier_goes_on_when_a_party_is_killed_at(point: str) -> None:
    """Every other party passes, or is told that the barrier is broken; a reset makes it whole."""
    with world() as w:
        acts = "acting" in point or "action" in point
        barrier = Barrier(3, action=int if acts else None, name="start")
        bury = point.startswith("barrier.bury.")

        def victim(_: Child) -> None:
            runtime.arm(f"{point}=kill")
            if bury:
                assert barrier.n_waiting >= 0
            else:
                barrier.wait()

        if bury:
            w.fork_asleep(barrier.wait).kill()
        if bury or point.startswith(FIRST):
            struck = w.fork(victim)
            if not point.startswith("barrier.leave."):
                struck.is_struck(point)
        others = [w.fork(party(barrier)) for _ in range(2)]
        if not bury and not point.startswith(FIRST):
            assert wait_until(lambda: barrier.n_waiting == 2)
            struck = w.fork(victim)
        struck.is_struck(point)
        if barrier.n_waiting == 2 and not barrier.broken:
            # It died before it had come.
            barrier.wait(SOON_S)

        ended = [other.ends(SOON_S) for other in others]
        assert ended in ([0, 0], [3, 3])
        assert barrier.broken == (ended == [3, 3])
        barrier.reset()
        again = [w.fork(party(barrier)) for _ in range(2)]
        barrier.wait(SOON_S)
        assert [child.ends(SOON_S) for child in again] == [0, 0]
