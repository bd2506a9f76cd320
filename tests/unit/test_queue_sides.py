"""The two sides of a queue at work at once: what is said of it is true at one instant, and in order."""

from __future__ import annotations

from collections.abc import Iterator
from queue import Empty
from typing import Any

import pytest
from helpers.crew import Crew, Line, new_crew
from helpers.ring_view import look

from hardy import JoinableQueue, Queue, TaskQueue

PAIRS = 20_000


@pytest.fixture
def crew() -> Iterator[Crew]:
    with new_crew() as crew:
        yield crew


def put_pairs(line: Line, queue: Any, count: int) -> None:
    for number in range(count):
        queue.put_many([number, -number])
    line.say("put")


def get_pairs(line: Line, queue: Any, count: int) -> None:
    for number in range(count):
        assert queue.get_many(2) == [number, -number]
    line.say("got")


@pytest.mark.parametrize("maxsize", [0, 4])
def test_qsize_is_exact_when_both_sides_are_at_work(crew: Crew, maxsize: int) -> None:
    """Messages come and go in pairs, each pair in one operation: no look ever sees half of one."""
    queue: Queue[int] = Queue(maxsize)
    actors = [crew.start(put_pairs, queue, PAIRS), crew.start(get_pairs, queue, PAIRS)]

    sizes, sizes_in_bytes = set(), set()
    while any(actor.ended(0) is None for actor in actors):
        sizes.add(queue.qsize())
        sizes_in_bytes.add(queue.nbytes())

    assert [actor.ends_well() for actor in actors] == [True, True], crew.report()
    assert all(size % 2 == 0 and 0 <= size <= (maxsize or 2 * PAIRS) for size in sizes)
    assert all(size % 16 == 0 for size in sizes_in_bytes)
    assert queue.empty()


def put_through(line: Line, queue: Any, count: int, most: int) -> None:
    for number in range(count):
        queue.put(number)
        # One look: of two, the second may see what has come or gone since the first.
        assert 0 <= queue.qsize() <= most
    line.say("put")


def get_through(line: Line, queue: Any, count: int) -> None:
    got = [queue.get() for _ in range(count)]
    assert got == sorted(got)
    line.say("sum", sum(got))


def test_queue_of_one_passes_each_message_when_both_sides_wait_in_turn(crew: Crew) -> None:
    """With room for one, each put waits for a get and each get for a put: no wake-up is lost between the guards."""
    queue: Queue[int] = Queue(1)
    putters = [crew.start(put_through, queue, 5_000, 1) for _ in range(2)]
    getters = [crew.start(get_through_any, queue, 5_000) for _ in range(2)]

    assert all(actor.ends_well() for actor in putters + getters), crew.report()
    assert sum(getter.hear()[-1][1] for getter in getters) == 2 * sum(range(5_000))


def get_through_any(line: Line, queue: Any, count: int) -> None:
    line.say("sum", sum(queue.get() for _ in range(count)))


def test_queue_keeps_order_over_many_blocks_when_one_gets_what_another_puts(crew: Crew) -> None:
    """One producer's messages arrive in order, also where blocks are used again at once."""
    queue: Queue[int] = Queue()
    actors = [crew.start(put_through, queue, 50_000, 50_000), crew.start(get_through, queue, 50_000)]

    assert all(actor.ends_well() for actor in actors), crew.report()
    assert actors[1].hear()[-1] == ("sum", sum(range(50_000)))


@pytest.mark.parametrize("kind", [Queue, JoinableQueue, TaskQueue])
def test_steady_queue_needs_few_blocks_however_much_goes_through(kind: Any) -> None:
    """Blocks that were read to the end are used again: the file does not grow, and nothing waits to be freed."""
    queue = kind()
    for _ in range(200):
        for _ in range(3):
            queue.put(bytes(20_000))
        for _ in range(3):
            assert queue.get() == bytes(20_000)
        if kind is JoinableQueue:
            for _ in range(3):
                queue.task_done()

    view = look(queue)
    assert (view.arenas, view.emptied, view.count, view.unfinished if kind is JoinableQueue else 0) == (1, 0, 0, 0)
    assert queue.segment.allocated_bytes() < 1 << 20
    with pytest.raises(Empty):
        queue.get(False)
