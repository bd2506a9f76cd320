"""A queue when a process is stopped, not killed: inside the guard, and outside of it."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from queue import Empty, Full
from typing import Any

import pytest
from crash.queue_world import GO_ON_S, get_each, message, number_of, put_each
from helpers.crew import Actor, Crew, Line, new_crew

from hardy._ipc.queues import JoinableQueue, Queue
from hardy._ipc.tasks import TaskQueue

# A call that need not wait for items or room still has this much patience with a stopped holder.
PATIENCE_S = 1.0
NUMBER = 20_000


@pytest.fixture
def crew() -> Iterator[Crew]:
    with new_crew() as crew:
        yield crew


def stops_as_it_puts(crew: Crew, queue: Any, failpoint: str = "ring.commit.before") -> Actor:
    """A process that is stopped inside the tail's guard."""
    actor = crew.start(put_each, queue, [NUMBER], failpoint=f"{failpoint}=stop")
    actor.wait_stopped()
    return actor


def stops_as_it_gets(crew: Crew, queue: Any) -> Actor:
    """A process that is stopped inside the head's guard."""
    actor = crew.start(get_each, queue, 1, failpoint="ring.commit.before=stop")
    actor.wait_stopped()
    return actor


def stops_as_it_allocates(crew: Crew, queue: Any) -> Actor:
    """A process that is stopped inside the heap's guard, in no side's."""
    actor = crew.start(put_each, queue, [NUMBER], 100_000, failpoint="heap.alloc.before_commit=stop")
    actor.wait_stopped()
    return actor


PUTS = {
    "put": (lambda q: q.put(message(1), timeout=0.2), Full, 0.2),
    "put_large": (lambda q: q.put(message(1, 100_000), timeout=0.2), Full, 0.2),
    "put_many": (lambda q: q.put_many([message(1)] * 3, timeout=0.2), Full, 0.2),
    "put_nowait": (lambda q: q.put_nowait(message(1)), Full, PATIENCE_S),
}
GETS = {
    "get": (lambda q: q.get(timeout=0.2), Empty, 0.2),
    "get_many": (lambda q: q.get_many(5, timeout=0.2), Empty, 0.2),
    "get_nowait": (lambda q: q.get_nowait(), Empty, PATIENCE_S),
    "join": (lambda q: q.join(0.2), TimeoutError, 0.2),
}


def assert_timely(act: Any, queue: Any, error: type[Exception], least_s: float) -> None:
    """The call fails with that error, after its timeout and not a second later."""
    began = time.monotonic()
    with pytest.raises(error):
        act(queue)
    assert least_s <= time.monotonic() - began < least_s + 1.0


@pytest.mark.parametrize("call", GETS)
def test_get_keeps_its_timeout_when_a_getter_is_stopped(crew: Crew, call: str) -> None:
    """I10: who is stopped as it gets delays other getters, but no timeout is missed by more than a second."""
    queue = JoinableQueue()
    queue.put(message(NUMBER))
    holder = stops_as_it_gets(crew, queue)

    assert_timely(GETS[call][0], queue, *GETS[call][1:])
    queue.put(message(2))
    holder.resume()

    assert holder.ends_well()
    assert holder.hear()[-1] == ("got", [NUMBER])
    assert number_of(queue.get(timeout=GO_ON_S)) == 2


@pytest.mark.parametrize("call", ["put_large", "put_over_block"])
def test_put_keeps_its_timeout_when_one_is_stopped_in_the_heap(crew: Crew, call: str) -> None:
    """I10: who is stopped as it takes memory delays only who needs memory, and not beyond its timeout."""
    queue = Queue()
    for _ in range(2):
        queue.put(message(2, 24_000))  # no further one fits the block
    holder = stops_as_it_allocates(crew, queue)

    assert_timely(lambda q: q.put(message(1, {"put_large": 100_000}.get(call, 24_000)), timeout=0.2), queue, Full, 0.2)
    queue.put(message(1), timeout=0.2)
    assert [number_of(queue.get(timeout=0.2)) for _ in range(3)] == [2, 2, 1]
    holder.resume()

    assert holder.ends_well()
    assert number_of(queue.get(timeout=GO_ON_S)) == NUMBER


def test_getters_go_on_when_a_putter_is_stopped(crew: Crew) -> None:
    """I10: the two sides delay each other in nothing."""
    queue = JoinableQueue(5)
    for _ in range(3):
        queue.put(message(2))
    holder = stops_as_it_puts(crew, queue)

    assert [number_of(queue.get(timeout=0.2)), *map(number_of, queue.get_many(timeout=0.2))] == [2, 2, 2]
    for _ in range(3):
        queue.task_done()
    queue.join(0.2)
    with pytest.raises(Empty):
        queue.get(False)
    holder.resume()

    assert holder.ends_well()
    assert number_of(queue.get(timeout=GO_ON_S)) == NUMBER


def test_putters_go_on_when_a_getter_is_stopped(crew: Crew) -> None:
    """I10: the two sides delay each other in nothing; a full queue is full."""
    queue = Queue(3)
    queue.put(message(NUMBER))
    holder = stops_as_it_gets(crew, queue)

    queue.put(message(2), timeout=0.2)
    assert queue.put_many([message(3, 100_000)], timeout=0.2) == 1
    with pytest.raises(Full):
        queue.put(message(4), timeout=0.1)
    assert queue.full()
    holder.resume()

    assert holder.ends_well()
    assert [number_of(queue.get(timeout=GO_ON_S)) for _ in range(2)] == [2, 3]


@pytest.mark.parametrize("call", PUTS)
def test_queue_keeps_its_timeouts_when_a_holder_is_stopped(crew: Crew, call: str) -> None:
    """I10: who is stopped inside an operation delays others, but no timeout is missed by more than a second."""
    queue = JoinableQueue()
    act, error, least_s = PUTS[call]
    queue.put(message(2))
    holder = stops_as_it_puts(crew, queue)

    assert_timely(act, queue, error, least_s)
    holder.resume()

    assert holder.ends_well()
    assert [number_of(queue.get(timeout=GO_ON_S)) for _ in range(2)] == [2, NUMBER]


def test_queue_goes_on_when_the_stopped_holder_goes_on(crew: Crew) -> None:
    """Those who waited behind a stopped process get through after it, and nothing is out of order."""
    queue = Queue()
    holder = stops_as_it_puts(crew, queue)
    putter = crew.start(put_each, queue, [30_000])
    getter = crew.start(get_each, queue, 2)
    for actor in (putter, getter):
        actor.wait_asleep()

    holder.resume()

    assert [actor.ends_well() for actor in (holder, putter, getter)] == [True] * 3
    assert getter.hear()[-1] == ("got", [30_000])


def test_queue_tells_its_size_when_a_holder_is_stopped(crew: Crew) -> None:
    """I10: who only looks waits for nobody."""
    queue = JoinableQueue()
    queue.put(message(1))
    nbytes = queue.nbytes()

    def looks(line: Line, queue: Any) -> None:
        line.say("seen", queue.qsize(), queue.nbytes(), queue.empty(), queue.full())

    holder = stops_as_it_puts(crew, queue)
    looker = crew.start(looks, queue)

    assert looker.ends_well(GO_ON_S)
    assert looker.hear() == [("seen", 1, nbytes, False, False)]
    holder.resume()
    assert holder.ends_well()


@pytest.mark.parametrize(
    "call",
    [
        lambda queue: queue.put(message(1)),
        lambda queue: queue.put(message(1, 100_000)),
        lambda queue: queue.get(),
        lambda queue: queue.get_many(),
        lambda queue: queue.close(),
        lambda queue: queue.join(),
    ],
)
def test_queue_call_is_interrupted_when_a_holder_is_stopped(crew: Crew, call: Any) -> None:
    """I9: Ctrl-C ends every wait, also that for a stopped process, on whichever side."""
    queue = JoinableQueue()

    def waits(line: Line, queue: Any) -> None:
        try:
            call(queue)
        except KeyboardInterrupt:
            line.say("interrupted")

    queue.put(message(1))
    # In this order: the first put of a process notes, in the head's guard, that it may put.
    holders = [stops_as_it_puts(crew, queue), stops_as_it_gets(crew, queue)]
    caller = crew.start(waits, queue)
    caller.wait_asleep()
    caller.signal(signal.SIGINT)

    assert caller.ends_well(GO_ON_S)
    assert caller.hear() == [("interrupted",)]
    for holder in holders:
        holder.resume()
        assert holder.ends_well()


def test_queue_goes_on_when_a_call_is_interrupted_as_it_gets_its_turn(crew: Crew) -> None:
    """I9: a call that Ctrl-C ends at the moment when a stopped process gives way keeps nobody waiting."""
    queue = Queue()

    def waits(line: Line, queue: Any) -> None:
        try:
            queue.put(message(1))
        except KeyboardInterrupt:
            line.say("interrupted")
        signal.pause()

    queue.put(message(1))
    # In this order: see above.
    holders = [stops_as_it_puts(crew, queue), stops_as_it_gets(crew, queue)]
    caller = crew.start(waits, queue)
    caller.wait_asleep()

    caller.signal(signal.SIGINT)
    for holder in holders:
        holder.resume()

    assert caller.has_said("interrupted")
    queue.put(message(2), timeout=GO_ON_S)
    assert number_of(queue.get(timeout=GO_ON_S)) == NUMBER
    assert number_of(queue.get(timeout=GO_ON_S)) == 2


def test_large_get_is_done_when_a_holder_is_stopped(crew: Crew) -> None:
    """A message that was taken is given to the caller, even if its memory cannot be given back now."""
    queue = Queue()
    queue.put(message(1, 3 << 20))
    getter = crew.start(get_each, queue, 1, failpoint="heap.hand.before_free=stop")
    getter.wait_stopped()
    holder = stops_as_it_allocates(crew, queue)
    getter.resume()

    assert getter.ends_well(GO_ON_S)
    assert getter.hear()[-1] == ("got", [1])
    holder.resume()
    assert holder.ends_well()
    assert number_of(queue.get(timeout=GO_ON_S)) == NUMBER
    with pytest.raises(Empty):
        queue.get(timeout=0.5)
    assert queue.segment.allocated_bytes() < 2 << 20


def test_others_go_on_when_one_is_stopped_outside_of_the_guard(crew: Crew) -> None:
    """I10: a process stopped between two steps of a large message delays nobody."""
    queue = Queue()
    putter = crew.start(put_each, queue, [NUMBER], 100_000, failpoint="ring.put.after_part=stop")
    putter.wait_stopped()

    began = time.monotonic()
    for size in (40, 100_000):
        queue.put(message(1, size))
        assert number_of(queue.get()) == 1
    took_s = time.monotonic() - began
    putter.resume()

    assert took_s < 0.5
    assert number_of(queue.get(timeout=GO_ON_S)) == NUMBER
    assert putter.ends_well()


def test_stopped_waiter_does_not_keep_a_message_from_others(crew: Crew) -> None:
    """A wake-up that went to a stopped process is made up for by the next one's own look."""
    queue = Queue()
    sleeper = crew.start(get_each, queue, 1)
    sleeper.wait_asleep()
    other = crew.start(get_each, queue, 1)
    other.wait_asleep()
    sleeper.stop()

    queue.put(message(NUMBER))

    assert other.ends_well(GO_ON_S)
    queue.put(message(NUMBER))
    sleeper.resume()
    assert sleeper.ends_well(GO_ON_S)


def test_lease_stays_with_its_holder_when_that_is_stopped(crew: Crew) -> None:
    """Death is judged by the kernel, never by silence: a stopped holder keeps its item."""
    tasks: TaskQueue[bytes] = TaskQueue()
    tasks.put(message(NUMBER + 1))

    def takes(line: Line, queue: Any) -> None:
        lease = queue.take()
        line.say("took")
        signal.pause()
        lease.ack()

    holder = crew.start(takes, tasks)
    assert holder.has_said("took")
    holder.stop()

    with pytest.raises(Empty):
        tasks.take(timeout=0.5)
    assert tasks.leased() == 1
    holder.signal(signal.SIGKILL)

    assert number_of(tasks.get(timeout=GO_ON_S)) == NUMBER + 1
