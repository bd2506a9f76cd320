"""What a process does with a queue when it is killed there; one function a scenario.

A scenario arranges a queue with others waiting, has one process die at the failpoint, and leaves the world for
`assert_whole`. It must reach every failpoint that `REGISTRY` in test_queue_crash.py maps to it.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

from crash.queue_world import (
    GO_ON_S,
    World,
    fork_with_views,
    get_each,
    get_many,
    get_views,
    put_each,
    put_many,
    touch,
)
from helpers.crew import Crew, Line, must_die
from helpers.ring_view import holders_of_guards, look
from helpers.waiting import wait_until

from hardy._ipc.queues import Queue

VICTIM = 20_000
BLOCK = 24_000  # two messages of this size fill a block
LARGE = 100_000
MOST_OF_ARENA, MORE_THAN_LEFT = 7 << 20, 4 << 20  # of two of those there is not room for one of these in an arena
CHAIN = 40 << 20  # several extents, and more than one arena

Scenario = Callable[[Crew, str], World]


def put_small(crew: Crew, failpoint: str) -> World:
    """Two wait in get; the dead one puts."""
    world = World(Queue(), crew)
    world.start_getters(2)
    crew.dies(put_each, world.queue, [VICTIM, VICTIM + 1], failpoint=failpoint)
    return world


def put_small_into_bounded(crew: Crew, failpoint: str) -> World:
    """The dead one puts the message that fills the queue; another waits for room after that."""
    world = World(Queue(3), crew)
    world.put(2)
    crew.dies(put_each, world.queue, [VICTIM], failpoint=failpoint)
    world.start_getters(1)
    world.assert_quiet()
    return world


def put_batch(crew: Crew, failpoint: str) -> World:
    """Two wait in get; the dead one puts six messages in one commit, over three blocks."""
    world = World(Queue(), crew)
    world.start_getters(2)
    crew.dies(put_many, world.queue, list(range(VICTIM, VICTIM + 5)), BLOCK, failpoint=failpoint)
    return world


def put_over_block(crew: Crew, failpoint: str) -> World:
    """Nobody waits, for there are messages; the dead one puts over the end of the block."""
    world = World(Queue(), crew)
    world.put(2, BLOCK)
    crew.dies(put_each, world.queue, [VICTIM, VICTIM + 1], BLOCK, failpoint=failpoint)
    return world


def put_large(crew: Crew, failpoint: str) -> World:
    """Two wait in get; the dead one puts a message that lies outside of the blocks."""
    world = World(Queue(), crew)
    world.start_getters(2)
    crew.dies(put_each, world.queue, [VICTIM], LARGE, failpoint=failpoint)
    return world


def put_chain(crew: Crew, failpoint: str) -> World:
    """One waits in get; the dead one puts a message of several extents, for which the file grows."""
    world = World(Queue(), crew)
    world.start_getters(1)
    crew.dies(put_each, world.queue, [VICTIM], CHAIN, failpoint=failpoint)
    return world


def put_when_full(crew: Crew, failpoint: str) -> World:
    """A full queue, where another waits already; the dead one comes to wait too."""
    world = World(Queue(1), crew)
    world.put(1)
    world.start_putters(1)
    crew.dies(put_each, world.queue, [VICTIM], failpoint=failpoint)
    return world


def put_large_when_full(crew: Crew, failpoint: str) -> World:
    """As `put_when_full`, with large messages."""
    world = World(Queue(1), crew)
    world.put(1)
    world.start_putters(1, LARGE)
    crew.dies(put_each, world.queue, [VICTIM], LARGE, failpoint=failpoint)
    return world


def get_small(crew: Crew, failpoint: str) -> World:
    """Two wait in put; the dead one gets."""
    world = World(Queue(3), crew)
    world.put(3)
    world.start_putters(2)
    crew.dies(get_each, world.queue, 1, failpoint=failpoint)
    return world


def get_batch(crew: Crew, failpoint: str) -> World:
    """Two wait in put; the dead one takes many at once, over the end of a block."""
    world = World(Queue(5), crew)
    world.put(5, BLOCK)
    world.start_putters(2)
    crew.dies(get_many, world.queue, 5, failpoint=failpoint)
    return world


def get_over_block(crew: Crew, failpoint: str) -> World:
    """Two wait in put; the dead one gets the messages of two blocks one by one."""
    world = World(Queue(5), crew)
    world.put(5, BLOCK)
    world.start_putters(2, BLOCK)
    crew.dies(get_each, world.queue, 3, failpoint=failpoint)
    return world


def get_large(crew: Crew, failpoint: str) -> World:
    """Two wait in put; the dead one gets a large message."""
    world = World(Queue(2), crew)
    world.put(2, LARGE)
    world.start_putters(2, LARGE)
    crew.dies(get_each, world.queue, 1, failpoint=failpoint)
    return world


def get_before_growth(crew: Crew, failpoint: str) -> World:
    """The dead one gets a large message; the next needs more memory than is free, and looks for what the dead held."""
    world = World(Queue(), crew)
    world.put(2, MOST_OF_ARENA)
    crew.dies(get_each, world.queue, 1, failpoint=failpoint)
    world.put(1, MORE_THAN_LEFT)
    return world


def get_chain(crew: Crew, failpoint: str) -> World:
    """One waits in put; the dead one gets a message of several extents."""
    world = World(Queue(1), crew)
    world.put(1, CHAIN)
    world.start_putters(1)
    crew.dies(get_each, world.queue, 1, failpoint=failpoint)
    return world


def get_view(crew: Crew, failpoint: str) -> World:
    """Two wait in put; the dead one looks at a large message in the queue's memory."""
    world = World(Queue(2), crew)
    world.put_buffers(2, LARGE)
    world.start_putters(2, LARGE)
    crew.dies(get_views, world.queue, 1, failpoint=failpoint)
    return world


def get_view_of_chain(crew: Crew, failpoint: str) -> World:
    """One waits in put; the dead one looks at a message of several extents."""
    world = World(Queue(1), crew)
    world.put_buffers(1, CHAIN)
    world.start_putters(1)
    crew.dies(get_views, world.queue, 1, failpoint=failpoint)
    return world


def fork_with_view(crew: Crew, failpoint: str) -> World:
    """Two wait in put; the dead one forks while it looks at two messages, and the child dies before or after it."""
    world = World(Queue(2), crew)
    world.put_buffers(2, LARGE)
    world.start_putters(2, LARGE)
    crew.dies(fork_with_views, world.queue, 2, failpoint=failpoint)
    return world


def get_when_empty(crew: Crew, failpoint: str) -> World:
    """An empty queue, where others wait already; the dead one comes to wait too."""
    world = World(Queue(), crew)
    world.start_getters(2)
    crew.dies(get_each, world.queue, 1, failpoint=failpoint)
    return world


def woken_getter(crew: Crew, failpoint: str) -> World:
    """Three wait in get, one message is put, and the one that is woken dies before it has it."""
    world = World(Queue(), crew)
    victim = crew.start(get_each, world.queue, 1000, failpoint=failpoint)
    victim.wait_asleep()
    world.start_getters(2)
    # Who is woken is the kernel's choice: one message after another, until it is the one that is to die.
    for _ in range(200):
        world.put(1)
        wait_until(lambda: victim.ended(0) is not None or look(world.queue).count == 0, GO_ON_S)
        if victim.ended(0.01) is not None:
            break
    must_die(victim, failpoint)
    return world


def woken_putter(crew: Crew, failpoint: str) -> World:
    """Three wait in put, room is made for one, and the one that is woken dies before it has put."""
    world = World(Queue(1), crew)
    world.put(1)
    victim = crew.start(put_each, world.queue, list(range(VICTIM, VICTIM + 200)), failpoint=failpoint)
    victim.wait_asleep()
    world.start_putters(2)
    for _ in range(200):
        world.drain_one()
        wait_until(lambda: victim.ended(0) is not None or look(world.queue).count == 1, GO_ON_S)
        if victim.ended(0.01) is not None:
            break
    must_die(victim, failpoint)
    return world


def close(crew: Crew, failpoint: str) -> World:
    """Two wait in get; the dead one closes the queue as the first thing that it does with it."""
    world = World(Queue(), crew)
    world.start_getters(2)

    def close_it(line: Line, queue: Any) -> None:
        queue.close()

    crew.dies(close_it, world.queue, failpoint=failpoint)
    return world


def idle_trims(crew: Crew, failpoint: str) -> World:
    """The dead one waits in get, and gives free memory back meanwhile."""
    world = World(Queue(), crew)
    for _ in range(3):
        world.put(1, 8 << 20)
        world.drain()
    crew.dies(get_each, world.queue, 1, failpoint=failpoint)
    world.start_getters(1)
    return world


def idle_sweeps(crew: Crew, failpoint: str) -> World:
    """One dies with memory in hand; the next waits in get, and dies as it frees that."""
    world = World(Queue(), crew)
    for _ in range(2):
        crew.dies(put_each, world.queue, [VICTIM], CHAIN, failpoint="ring.put.after_part")
    crew.dies(get_each, world.queue, 1, failpoint=failpoint)
    world.start_getters(1)
    return world


def alloc_sweeps(crew: Crew, failpoint: str) -> World:
    """One dies with all of the memory in hand; the next needs some, and dies as it frees that."""
    world = World(Queue(), crew)
    crew.dies(put_each, world.queue, [VICTIM], 14 << 20, failpoint="ring.put.after_part")
    world.start_getters(1)
    world.stop_all()
    crew.dies(put_each, world.queue, [30_000], 2 << 20, failpoint=failpoint)
    world.resume_all()
    return world


# ---- the repairer dies too: a first death inside the guard, then one at a step of the repair ----


def _stopped_getters(crew: Crew) -> World:
    world = World(Queue(), crew)
    world.start_getters(2)
    world.stop_all()
    return world


def _stopped_putters(crew: Crew, count: int, size: int) -> World:
    world = World(Queue(count), crew)
    world.put(count, size)
    world.start_putters(2, size)
    world.stop_all()
    return world


def _dead_putter(crew: Crew, failpoint: str) -> World:
    world = _stopped_getters(crew)
    crew.dies(put_many, world.queue, list(range(VICTIM, VICTIM + 5)), BLOCK, failpoint=failpoint)
    return world


def _dead_large_putter(crew: Crew, failpoint: str) -> World:
    world = _stopped_getters(crew)
    crew.dies(put_each, world.queue, [VICTIM], CHAIN, failpoint=failpoint)
    return world


def _dead_getter(crew: Crew, failpoint: str) -> World:
    world = _stopped_putters(crew, 5, BLOCK)
    crew.dies(get_many, world.queue, 5, failpoint=failpoint)
    return world


def _dead_large_getter(crew: Crew, failpoint: str) -> World:
    world = _stopped_putters(crew, 2, LARGE)
    crew.dies(get_each, world.queue, 1, failpoint=failpoint)
    return world


FIRST_DEATHS: dict[str, tuple[Scenario, str]] = {
    "put_before": (_dead_putter, "ring.commit.before"),
    "put_after": (_dead_putter, "ring.commit.after"),
    "put_alloc": (_dead_putter, "heap.alloc.after_commit"),
    "put_hand_over": (_dead_large_putter, "ring.put.after_hand_over"),
    "put_grow": (_dead_large_putter, "heap.grow.after_truncate"),
    "get_after": (_dead_getter, "ring.commit.after"),
    "get_block": (_dead_getter, "ring.get.before_free_block"),
    "get_free": (_dead_getter, "heap.free.before_commit"),
    "get_in_hand": (_dead_large_getter, "ring.get.before_take_in_hand"),
}


# Those that die in the tail's guard, and in the heap's alone.
IN_TAIL = {"put_before", "put_after", "put_alloc", "put_hand_over"}
IN_HEAP = {"put_grow"}


def repairer(first: str) -> Scenario:
    """The scenario in which, after that first death, the repairer dies at the failpoint."""

    def scenario(crew: Crew, failpoint: str) -> World:
        arrange, where = FIRST_DEATHS[first]
        world = arrange(crew, where)
        # The next one has less to mend, so it dies at the first hit.
        for number, step in enumerate((failpoint, failpoint.partition("=")[0])):
            if first in IN_HEAP:
                # The second put clears away what the first one found.
                crew.dies(put_each, world.queue, [30_000 + 2 * number, 30_001 + 2 * number], LARGE, failpoint=step)
            else:
                crew.dies(touch, world.queue, failpoint=step)
        world.resume_all()
        return world

    scenario.__name__ = f"repairer_after_{first}"
    return scenario


def mender_of_all(crew: Crew, failpoint: str) -> World:
    """Two wait in put; one dies in each of the three guards, all at once; then the one that mends that, twice."""
    world = World(Queue(5), crew)
    world.put(4)
    inside = [crew.start(put_each, world.queue, [VICTIM], LARGE, failpoint="heap.alloc.before_commit=stop")]
    inside[-1].wait_stopped()
    world.put(1)
    world.start_putters(2)
    world.stop_all()
    inside.append(crew.start(put_each, world.queue, [30_000], failpoint="ring.wait.after_ask=stop"))
    inside[-1].wait_stopped()
    inside.append(crew.start(get_each, world.queue, 1, failpoint="ring.commit.after=stop"))
    inside[-1].wait_stopped()
    assert holders_of_guards(world.queue) == {actor.pid for actor in inside}
    for actor in inside:
        actor.signal(signal.SIGKILL)
        must_die(actor, "in a guard")
    for step in (failpoint, failpoint.partition("=")[0]):
        crew.dies(touch, world.queue, failpoint=step)
    world.resume_all()
    return world
