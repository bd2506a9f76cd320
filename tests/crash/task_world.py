"""A TaskQueue and the processes around it: every item is acknowledged once, or is a dead letter."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from queue import Empty
from typing import Any

from crash.join_world import join
from crash.queue_scenarios import MORE_THAN_LEFT, MOST_OF_ARENA
from crash.queue_world import GO_ON_S, KEPT_BYTES, PARENT, STOP, message, number_of
from helpers.crew import Actor, Crew, Line, must_die
from helpers.ring_view import look, units_in_use
from helpers.waiting import wait_until

from hardy._ipc.tasks import TaskQueue
from hardy.errors import CannotUnpickle

SMALL = 40
OUT_OF_SLOT = 2_000  # more than a slot holds, less than a large message
LARGE = 100_000


def take_until_stopped(line: Line, queue: Any) -> None:
    number = -1
    while number != STOP:
        number = _take_one(line, queue)


def _take_one(line: Line, queue: Any) -> int:
    lease = queue.take()
    number = number_of(lease.item)
    line.say("took", number, lease.deliveries)
    line.say("acking", number)
    lease.ack()
    line.say("acked", number)
    return number


def take_and_ack(line: Line, queue: Any) -> None:
    _take_one(line, queue)


def take_and_nack(line: Line, queue: Any) -> None:
    lease = queue.take()
    line.say("took", number_of(lease.item), lease.deliveries)
    lease.nack()
    line.say("nacked")


def take_and_hold(line: Line, queue: Any, count: int = 1) -> None:
    """Dies with leases in hand."""
    leases = [queue.take() for _ in range(count)]
    line.say("took", number_of(leases[0].item), leases[0].deliveries)
    os.kill(os.getpid(), signal.SIGKILL)


def take_dead_letters(line: Line, queue: Any) -> None:
    for letter in queue.dead_letters(clear=True):
        line.say("acked", number_of(letter.item))


def put_items(line: Line, queue: Any, numbers: list[int], size: int = SMALL) -> None:
    for number in numbers:
        line.say("putting", number)
        queue.put(message(number, size))
        line.say("put", number)


def _cannot_build(number: int) -> None:
    raise ValueError(f"item {number} cannot be built here")


class Unbuildable:
    """An item that no consumer can rebuild."""

    def __reduce__(self) -> tuple[Callable[[int], None], tuple[int]]:
        return _cannot_build, (7,)


class TaskWorld:
    """One task queue, and all who use it."""

    def __init__(self, crew: Crew, queue: TaskQueue[Any], count: int = 0, size: int = SMALL) -> None:
        self.crew = crew
        self.queue = queue
        self.takers: list[Actor] = []
        self.putters: list[Actor] = []
        self.joiners: list[Actor] = []
        self.put_here: list[int] = []
        self.unbuildable = 0
        self.put(count, size)

    def put(self, count: int, size: int = SMALL) -> None:
        for _ in range(count):
            number = PARENT * 10_000 + len(self.put_here)
            self.queue.put(message(number, size))
            self.put_here.append(number)

    def start(self, *, takers: int = 0, putters: int = 0, joiners: int = 0, asleep: bool = True) -> None:
        """Start who waits; all of them wait before this returns, unless they may have something to do."""
        started = [self.crew.start(take_until_stopped, self.queue) for _ in range(takers)]
        self.takers += started
        for _ in range(putters):
            number = (100 + len(self.putters)) * 10_000
            self.putters.append(self.crew.start(put_items, self.queue, [number]))
        self.joiners += [self.crew.start(join, self.queue) for _ in range(joiners)]
        for actor in started + self.putters + self.joiners if asleep else ():
            actor.wait_asleep()

    def all(self) -> list[Actor]:
        return self.takers + self.putters + self.joiners

    def stop_all(self) -> None:
        for actor in self.all():
            actor.stop()

    def resume_all(self) -> None:
        for actor in self.all():
            actor.resume()

    def said(self, word: str) -> list[int]:
        return [said[1] for actor in self.crew.actors for said in actor.hear() if said[0] == word]

    def is_quiet(self) -> bool:
        """Whether nobody waits who need not; judged from outside."""
        view = look(self.queue)
        over = view.count == 0 and view.leased == view.dead
        if any(taker.ended(0) is None for taker in self.takers) and not over:
            return False
        if over and any(joiner.ended(0) is None for joiner in self.joiners):
            return False
        room = not self.queue.maxsize or view.count < self.queue.maxsize
        return not (room and any(putter.ended(0) is None for putter in self.putters))

    def assert_whole(self) -> None:
        """All go on, and every item is delivered until it is acknowledged, once."""
        assert wait_until(self.is_quiet, GO_ON_S), f"someone waits for ever\n{look(self.queue)}\n{self.crew.report()}"
        if not self.takers:
            self.start(takers=1, asleep=False)
            assert wait_until(self.is_quiet, GO_ON_S), f"{look(self.queue)}\n{self.crew.report()}"
        for _ in [taker for taker in self.takers if taker.ended(0) is None]:
            self.queue.put(message(STOP), timeout=10)
        for actor in self.all():
            assert actor.ends_well(GO_ON_S) or actor.status, f"one hangs\n{self.crew.report()}"
        self.queue.join(GO_ON_S)
        letters = self.queue.dead_letters(clear=True)
        assert sum(letter.error is not None for letter in letters) == self.unbuildable
        self._check_ledger([number_of(letter.item) for letter in letters if letter.error is None])
        assert (self.queue.qsize(), self.queue.nbytes()) == (0, 0)
        assert (self.queue.leased(), self.queue.returned(), look(self.queue).leased) == (0, 0, 0)
        self._check_use()

    def _check_ledger(self, letters: list[int]) -> None:
        report = f"{letters}\n{self.crew.report()}"
        acked = [number for number in self.said("acked") + letters if number != STOP]
        assert len(acked) == len(set(acked)), f"done twice: {report}"
        put = set(self.put_here) | set(self.said("put"))
        maybe = {actor.said[-1][1] for actor in self.crew.actors if actor.said and actor.said[-1][0] == "putting"}
        assert set(acked) <= put | maybe, f"never put: {report}"
        dead = [actor for actor in self.crew.actors if actor.status]
        in_ack = {actor.said[-1][1] for actor in dead if actor.said and actor.said[-1][0] == "acking"}
        # Taking the dead letters is acknowledging them.
        assert put - set(acked) <= in_ack | self.may_lack, f"lost: {report}"

    may_lack: frozenset[int] = frozenset()

    def _check_use(self) -> None:
        for size in (8, SMALL, OUT_OF_SLOT, LARGE):
            self.queue.put(message(PARENT, size))
            with self.queue.take(timeout=GO_ON_S) as item:
                assert number_of(item) == PARENT
        assert self.queue.dead_letters() == []

        def is_back() -> bool:
            with suppress(Empty):  # idle, which is when memory is given back
                self.queue.get(timeout=0.2)
            # A block and a table of leases stay.
            view = look(self.queue)
            if (view.dirty, view.hands, units_in_use(self.queue)) != (0, 0, 2):
                return False
            return self.queue.segment.allocated_bytes() <= 3 * KEPT_BYTES

        assert wait_until(is_back, 5.0), f"{self.queue.segment.allocated_bytes()} kept: {look(self.queue)}"


# ---- scenarios ----


def take_of(size: int) -> Callable[[Crew, str], TaskWorld]:
    def scenario(crew: Crew, failpoint: str) -> TaskWorld:
        world = TaskWorld(crew, TaskQueue(2), 2, size)
        world.start(putters=1, joiners=1)
        crew.dies(take_and_ack, world.queue, failpoint=failpoint)
        return world

    scenario.__name__ = f"take_{size}"
    scenario.__doc__ = "One waits in put, one in join; the dead one takes."
    return scenario


def ack_of(size: int) -> Callable[[Crew, str], TaskWorld]:
    def scenario(crew: Crew, failpoint: str) -> TaskWorld:
        world = TaskWorld(crew, TaskQueue(), 1, size)
        victim = crew.start(take_and_ack, world.queue, failpoint=failpoint)
        must_die(victim, failpoint)
        world.start(takers=1, joiners=1, asleep=False)
        return world

    scenario.__name__ = f"ack_{size}"
    scenario.__doc__ = "The dead one acknowledges; one waits in take, one in join."
    return scenario


def ack_before_growth(crew: Crew, failpoint: str) -> TaskWorld:
    """The dead one acknowledges; the next needs more memory than is free, and looks for what the dead held."""
    world = TaskWorld(crew, TaskQueue(), 2, MOST_OF_ARENA)
    crew.dies(take_and_ack, world.queue, failpoint=failpoint)
    world.put(1, MORE_THAN_LEFT)
    return world


def ack_of_last(crew: Crew, failpoint: str) -> TaskWorld:
    """One waits in join for the last item, which the dead one acknowledges."""
    world = TaskWorld(crew, TaskQueue(), 1)
    world.start(joiners=1)
    crew.dies(take_and_ack, world.queue, failpoint=failpoint)
    return world


def nack(crew: Crew, failpoint: str) -> TaskWorld:
    """One waits in join; the dead one gives its item back."""
    world = TaskWorld(crew, TaskQueue(), 1)
    world.start(joiners=1)
    crew.dies(take_and_nack, world.queue, failpoint=failpoint)
    return world


def nack_to_waiting(crew: Crew, failpoint: str) -> TaskWorld:
    """Two wait in take, stopped meanwhile; the dead one gives its item back."""
    world = TaskWorld(crew, TaskQueue(), 0)
    world.start(takers=2)
    world.stop_all()
    world.put(1)
    crew.dies(take_and_nack, world.queue, failpoint=failpoint)
    world.resume_all()
    return world


def nack_to_dead_letters(crew: Crew, failpoint: str) -> TaskWorld:
    """One waits in join; the dead one gives its item back for the last time."""
    world = TaskWorld(crew, TaskQueue(max_deliveries=1), 1)
    world.start(joiners=1)
    crew.dies(take_and_nack, world.queue, failpoint=failpoint)
    return world


def bury(crew: Crew, failpoint: str) -> TaskWorld:
    """One waits in join; the dead one takes what cannot be rebuilt."""
    world = TaskWorld(crew, TaskQueue())
    world.queue.put(Unbuildable())
    world.unbuildable = 1
    world.start(joiners=1)
    crew.dies(take_and_ack, world.queue, failpoint=failpoint)
    # Whoever meets the item next puts it away.
    with suppress(CannotUnpickle, Empty):  # as far as the dead one came
        world.queue.take(False)
    return world


def retake(crew: Crew, failpoint: str) -> TaskWorld:
    """One waits in join; the dead one takes an item that came back."""
    world = TaskWorld(crew, TaskQueue(), 1)
    world.queue.take().nack()
    world.start(joiners=1)
    crew.dies(take_and_ack, world.queue, failpoint=failpoint)
    return world


def sweep(crew: Crew, failpoint: str) -> TaskWorld:
    """One dies with two leases; the next to take finds them, and dies."""
    world = TaskWorld(crew, TaskQueue(), 2)
    holder = crew.start(take_and_hold, world.queue, 2)
    must_die(holder, "its leases")
    crew.dies(take_and_ack, world.queue, failpoint=failpoint)
    world.start(takers=1, joiners=1, asleep=False)
    return world


def sweep_to_dead_letters(crew: Crew, failpoint: str) -> TaskWorld:
    """One dies with a lease that was the last delivery; the next to take finds it, and dies."""
    world = TaskWorld(crew, TaskQueue(max_deliveries=1), 1)
    # Stopped before there is something to find: who waits in join would be the next that finds it.
    world.start(joiners=1)
    world.stop_all()
    holder = crew.start(take_and_hold, world.queue)
    must_die(holder, "its lease")
    crew.dies(take_and_ack, world.queue, failpoint=failpoint)
    world.resume_all()
    return world


def dead_letters(crew: Crew, failpoint: str) -> TaskWorld:
    """The dead one takes the dead letters out."""
    world = TaskWorld(crew, TaskQueue(max_deliveries=1), 2)
    for _ in range(2):
        world.queue.take().nack()
    crew.dies(take_dead_letters, world.queue, failpoint=failpoint)
    world.may_lack = frozenset(world.put_here)
    return world


def take_waits(crew: Crew, failpoint: str) -> TaskWorld:
    """Two wait in take; the dead one comes to wait too."""
    world = TaskWorld(crew, TaskQueue())
    world.start(takers=2)
    crew.dies(take_and_ack, world.queue, failpoint=failpoint)
    return world


def woken_taker(crew: Crew, failpoint: str) -> TaskWorld:
    """Three wait in take, one item is put, and the one that is woken dies."""
    world = TaskWorld(crew, TaskQueue())
    victim = crew.start(take_until_stopped, world.queue, failpoint=failpoint)
    victim.wait_asleep()
    world.start(takers=2)
    # Who is woken is the kernel's choice: one item after another, until it is the one that is to die.
    for _ in range(200):
        world.put(1)
        wait_until(lambda: victim.ended(0) is not None or look(world.queue).count == 0, GO_ON_S)
        if victim.ended(0.01) is not None:
            break
    must_die(victim, failpoint)
    return world


def repairer_of_take(crew: Crew, failpoint: str) -> TaskWorld:
    """One dies as it takes, inside the guard; the one that mends that dies too."""
    world = TaskWorld(crew, TaskQueue(), 2, OUT_OF_SLOT)
    world.start(joiners=1)
    world.stop_all()
    crew.dies(take_and_ack, world.queue, failpoint="lease.take.before_state")
    crew.dies(take_and_ack, world.queue, failpoint=failpoint)
    world.resume_all()
    return world


def repairer_of_ack(crew: Crew, failpoint: str) -> TaskWorld:
    """One dies as it acknowledges, inside the guard; the one that mends that dies too."""
    world = TaskWorld(crew, TaskQueue(), 2, LARGE)
    world.start(joiners=1)
    world.stop_all()
    crew.dies(take_and_ack, world.queue, failpoint="lease.ack.after_commit")
    crew.dies(take_and_ack, world.queue, failpoint=failpoint)
    world.resume_all()
    return world
