"""A JoinableQueue with someone in `join`, and how a death there ends."""

from __future__ import annotations

from queue import Empty
from typing import Any

from crash.queue_world import GO_ON_S, PARENT, message, number_of
from helpers.crew import Actor, Crew, Line
from helpers.ring_view import look
from helpers.waiting import wait_until

from hardy._ipc.queues import JoinableQueue
from hardy.errors import TasksLost


def join(line: Line, queue: Any) -> None:
    """Joins until all is done; says whose objects were written off."""
    while True:
        line.say("joining")
        try:
            queue.join()
        except TasksLost as error:
            line.say("lost", error.items, error.pid)
        else:
            line.say("joined")
            return


def work(line: Line, queue: Any, count: int) -> None:
    """Gets, one by one, and is done with each."""
    for _ in range(count):
        line.say("getting", 1)
        line.say("got", number_of(queue.get()))
        queue.task_done()
        line.say("done")


def get_many_joinable(line: Line, queue: Any, most: int) -> None:
    line.say("getting", most)
    line.say("got", len(queue.get_many(most)))


class JoinWorld:
    """A joinable queue, and all who use it."""

    def __init__(self, crew: Crew, count: int, size: int = 40, joiners: int = 1) -> None:
        self.queue = JoinableQueue(count)
        self.crew = crew
        self.count = count
        for i in range(count):
            self.queue.put(message(PARENT * 10_000 + i, size))
        self.joiners: list[Actor] = [crew.start(join, self.queue) for _ in range(joiners)]
        for joiner in self.joiners:
            joiner.wait_asleep()

    def stop_all(self) -> None:
        for joiner in self.joiners:
            joiner.stop()

    def resume_all(self) -> None:
        for joiner in self.joiners:
            joiner.resume()

    def assert_whole(self) -> None:
        """The rest can be done with, and then every `join` returns; what the dead held is told once."""
        done_here = 0
        while True:
            try:
                number_of(self.queue.get(False))
            except Empty:
                break
            self.queue.task_done()
            done_here += 1
        # From here on nobody touches the queue but those who wait.
        dead = [actor for actor in self.crew.actors if actor.status]
        living = [joiner for joiner in self.joiners if joiner.ended(0) is None or joiner.status == 0]
        for joiner in living:
            assert joiner.ends_well(GO_ON_S), f"join hangs\n{look(self.queue)}\n{self.crew.report()}"
        losses = [said[1:] for actor in self.crew.actors for said in actor.hear() if said[0] == "lost"]
        done = sum(said[0] == "done" for actor in self.crew.actors for said in actor.hear())
        lost = sum(items for items, _pid in losses)
        silent = self.count - done_here - done - lost
        # A task_done or a write-off that had happened, and that its dead caller could not tell of any more.
        assert 0 <= silent <= 2, f"{done_here} + {done} done, {lost} lost of {self.count}\n{self.crew.report()}"
        assert silent == 0 or any(a.said[-1][0] in ("got", "joining") for a in dead), self.crew.report()
        assert {pid for _items, pid in losses} <= {actor.pid for actor in dead}
        assert look(self.queue).unfinished == 0
        self.queue.put(message(PARENT))
        assert number_of(self.queue.get()) == PARENT
        self.queue.task_done()
        self.queue.join(GO_ON_S)
        assert wait_until(lambda: look(self.queue).unfinished == 0, 0.0)


def get_joinable(crew: Crew, failpoint: str) -> JoinWorld:
    """One waits in join; the dead one gets."""
    world = JoinWorld(crew, 3)
    crew.dies(work, world.queue, 1, failpoint=failpoint)
    return world


def get_batch_joinable(crew: Crew, failpoint: str) -> JoinWorld:
    """One waits in join; the dead one gets two of three at once."""
    world = JoinWorld(crew, 3)
    crew.dies(get_many_joinable, world.queue, 2, failpoint=failpoint)
    return world


def task_done(crew: Crew, failpoint: str) -> JoinWorld:
    """One waits in join; the dead one calls task_done for the last object."""
    world = JoinWorld(crew, 1)
    crew.dies(work, world.queue, 1, failpoint=failpoint)
    return world


def write_off(crew: Crew, failpoint: str) -> JoinWorld:
    """Two wait in join; one holds two objects and dies; the first to write them off dies too."""
    world = JoinWorld(crew, 2)
    world.stop_all()
    crew.dies(get_many_joinable, world.queue, 2, failpoint="ring.get.before_settle")
    crew.dies(join, world.queue, failpoint=failpoint)
    world.resume_all()
    return world


def join_waits(crew: Crew, failpoint: str) -> JoinWorld:
    """Two wait in join; the dead one comes to wait too."""
    world = JoinWorld(crew, 2, joiners=2)
    crew.dies(join, world.queue, failpoint=failpoint)
    return world
