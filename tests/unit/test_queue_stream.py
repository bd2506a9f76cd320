"""The end of a stream: loops over a queue end when nobody is left who could put."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from helpers.crew import Crew, Line, new_crew

from hardy import Closed, Process, Queue, SimpleQueue, TaskQueue

GO_ON_S = 2.0


@pytest.fixture
def crew() -> Iterator[Crew]:
    with new_crew() as crew:
        yield crew


def consume(line: Line, queue: Any) -> None:
    line.say("begins")
    line.say("got", list(queue))


def consume_tasks(line: Line, tasks: Any) -> None:
    got = []
    for lease in tasks:
        with lease as item:
            got.append(item)
    line.say("got", got)


@pytest.mark.parametrize("kind", [Queue, SimpleQueue])
def test_loops_end_when_the_producer_closes(crew: Crew, kind: Any) -> None:
    """One producer, two consumers: all objects are consumed, and then both loops end."""
    queue = kind()
    consumers = [crew.start(consume, queue) for _ in range(2)]

    for i in range(20):
        queue.put(i)
    queue.close()

    assert all(actor.ends_well(GO_ON_S) for actor in consumers), crew.report()
    assert sorted(n for actor in consumers for n in actor.hear()[-1][1]) == list(range(20))


def test_blocked_get_ends_when_the_producer_closes(crew: Crew) -> None:
    """A plain get that waits raises Closed, which is a ValueError and an EOFError."""
    queue: Queue[int] = Queue()

    def get(line: Line) -> None:
        try:
            queue.get()
        except Closed as error:
            line.say("closed", isinstance(error, ValueError), isinstance(error, EOFError))

    actor = crew.start(get)
    actor.wait_asleep()
    queue.close()

    assert actor.ends_well(GO_ON_S)
    assert actor.hear() == [("closed", True, True)]


def test_loop_of_the_parent_ends_when_all_children_have_closed() -> None:
    """The usual shape: children produce and end, the parent loops over all of it."""
    queue: Queue[int] = Queue()

    def produce(first: int) -> None:
        queue.put_many(range(first, first + 10))
        queue.close()

    processes = [Process(target=produce, args=(i * 10,)) for i in range(4)]
    for process in processes:
        process.start()
    got = list(queue)
    for process in processes:
        process.join(10)

    assert sorted(got) == list(range(40))


def test_loop_ends_when_the_last_producer_dies() -> None:
    """Producers that are killed have closed, too, as far as the loop is concerned."""
    queue: Queue[int] = Queue()

    def produce(i: int) -> None:
        queue.put(i)
        if i == 0:
            queue.close()
        else:
            os.kill(os.getpid(), signal.SIGKILL)

    processes = [Process(target=produce, args=(i,)) for i in range(4)]
    for process in processes:
        process.start()
    got = list(queue)
    for process in processes:
        process.join(10)

    assert sorted(got) == [0, 1, 2, 3]


def test_loop_waits_for_a_producer_that_has_not_begun() -> None:
    """One producer's close is not the end while another, that was given the queue, lives."""
    queue: Queue[int] = Queue()
    read_end, write_end = os.pipe()

    def late(queue: Any) -> None:
        os.read(read_end, 1)
        queue.put(2)

    def early(queue: Any) -> None:
        queue.put(1)
        queue.close()

    processes = [Process(target=late, args=(queue,)), Process(target=early, args=(queue,))]
    for process in processes:
        process.start()
    processes[1].join(10)
    loop = iter(queue)
    assert next(loop) == 1
    os.write(write_end, b".")
    rest = list(loop)
    processes[0].join(10)
    os.close(read_end)
    os.close(write_end)

    assert rest == [2]


def test_loop_after_close_gives_what_is_there() -> None:
    """A loop in the process that has closed drains the queue, and waits for nothing."""
    queue: Queue[int] = Queue()
    queue.put_many(range(3))

    queue.close()

    assert list(queue) == [0, 1, 2]
    assert list(queue) == []


def test_task_loops_end_when_all_is_acknowledged(crew: Crew) -> None:
    """Items come back from the dead before the loops end: none is left out."""
    tasks: TaskQueue[int] = TaskQueue()
    tasks.put_many(range(10))

    def die(line: Line) -> None:
        leases = [tasks.take() for _ in range(2)]
        line.say("took", [lease.item for lease in leases])
        signal.pause()

    holder = crew.start(die)
    assert holder.has_said("took", [0, 1])
    consumers = [crew.start(consume_tasks, tasks) for _ in range(2)]
    tasks.close()
    for consumer in consumers:
        consumer.wait_asleep()
    holder.signal(signal.SIGKILL)

    assert all(actor.ends_well(GO_ON_S) for actor in consumers), crew.report()
    assert sorted(n for actor in consumers for n in actor.hear()[-1][1]) == list(range(10))


def test_closed_by_one_is_open_for_others(crew: Crew) -> None:
    """close() is about this process alone: another puts on, and its reader gets it."""
    queue: Queue[int] = Queue()

    def put(line: Line) -> None:
        for i in range(3):
            queue.put(i)

    reader = crew.start(consume, queue)
    assert reader.has_said("begins")
    putter = crew.start(put)
    assert putter.ends_well()
    queue.close()

    assert reader.ends_well(GO_ON_S)
    assert reader.hear()[-1] == ("got", [0, 1, 2])
