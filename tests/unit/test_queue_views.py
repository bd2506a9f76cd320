"""`get(copy=False)`: objects whose buffers stay in the queue's memory."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Iterator
from pickle import PickleBuffer
from queue import Empty
from typing import Any

import numpy as np
import pytest
from helpers.crew import Crew, Line, new_crew
from helpers.ring_view import look, units_in_use

from hardy import JoinableQueue, Queue, TaskQueue

COUNT = 1 << 17  # of doubles: 1 MiB
UNITS = 17  # 1 MiB and what says how it is built


@pytest.fixture
def crew() -> Iterator[Crew]:
    with new_crew() as crew:
        yield crew


def numbers(first: float) -> Any:
    return np.full(COUNT, first)


def viewed(queue: Any, first: float = 1.5) -> Any:
    """A view of an array that has gone through the queue."""
    queue.put(numbers(first))
    return queue.get(copy=False)


def test_view_is_the_array_that_was_put() -> None:
    """Equal, of the same type, and writable as any array is."""
    array = viewed(Queue())

    assert (type(array), array.dtype, array.shape) == (np.ndarray, np.float64, (COUNT,))
    assert array.flags.writeable
    assert array.flags.aligned
    assert (array == 1.5).all()
    array += 1
    assert (array == 2.5).all()


def test_view_is_in_hand_until_the_last_reference_goes() -> None:
    """Its memory is not the queue's to use before, and is afterwards."""
    queue = Queue()
    array = viewed(queue)
    part = array[5:10]
    del array
    gc.collect()

    assert (queue.qsize(), queue.nbytes(), look(queue).hands, units_in_use(queue)) == (0, 0, 1, 1 + UNITS)
    for _ in range(3):
        queue.put(numbers(7.0))
        assert (queue.get() == 7.0).all()
    assert (part == 1.5).all()
    del part
    assert (look(queue).hands, units_in_use(queue)) == (0, 1)


def test_view_makes_no_copy() -> None:
    """What one writes into it stands in the queue's memory."""
    queue = Queue()
    array = viewed(queue)

    array[:] = 987654321.125

    pattern = np.full(8, 987654321.125).tobytes()
    assert pattern in os.pread(queue.segment.fd, UNITS << 16, 65536 * 2)


@pytest.mark.parametrize("size", [1 << 20, 40 << 20])
def test_view_is_whole_when_the_queue_grows_and_goes(size: int) -> None:
    """It may outlive its queue, and the mappings of the queue, be it in one piece there or in several."""
    queue = Queue()
    array = np.arange(size // 8)
    queue.put(array)
    view = queue.get(copy=False)
    for _ in range(3):
        queue.put(bytes(20 << 20))
    while queue.qsize():
        queue.get()
    queue.close()
    del queue
    gc.collect()

    assert (view == array).all()


def test_objects_keep_their_types_without_a_copy() -> None:
    """`copy` says where the buffers of an object are, never what comes out."""
    queue = Queue()
    objs = [b"x" * 100_000, "y" * 100_000, [1, "z" * 100_000], 3, np.arange(5), None]
    for obj in objs:
        queue.put(obj)

    got = [queue.get(copy=False) for _ in objs]

    assert [type(each) for each in got] == [type(each) for each in objs]
    assert all(np.array_equal(a, b) for a, b in zip(got, objs, strict=True))
    assert look(queue).hands == 0


def test_bytes_come_without_a_copy_in_a_pickle_buffer() -> None:
    """Then a memoryview comes out, read-only when what was put was."""
    queue = Queue()
    queue.put([PickleBuffer(b"x" * 100_000), PickleBuffer(bytearray(100_000))])

    fixed, free = queue.get(copy=False)

    assert (bytes(fixed), fixed.readonly, free.readonly) == (b"x" * 100_000, True, False)
    free[:3] = b"abc"
    assert bytes(free[:4]) == b"abc\0"
    assert look(queue).hands == 1


def test_every_way_to_get_takes_copy(crew: Crew) -> None:
    """get_many, aget, a joinable queue; a queue of tasks copies, for another may need the item."""
    queue: Any = JoinableQueue()
    for first in (1.0, 2.0, 3.0):
        queue.put(numbers(first))

    got = [*queue.get_many(2, copy=False), asyncio.run(queue.aget(copy=False))]
    for _ in got:
        queue.task_done()
    queue.join(timeout=5)
    tasks: TaskQueue[Any] = TaskQueue()
    tasks.put(numbers(4.0))
    copied = tasks.get(copy=False)

    assert [each[0] for each in got] == [1.0, 2.0, 3.0]
    assert (look(queue).hands, look(tasks).hands) == (3, 0)
    assert (copied == 4.0).all()


def test_view_is_the_childs_own_after_a_fork() -> None:
    """As all memory of a process: the child sees what was there, whatever the parent and the queue do afterwards."""
    queue = Queue(1)
    view = viewed(queue)
    go = os.pipe()
    child = os.fork()
    if not child:
        os.read(go[0], 1)
        whole = (view == 1.5).all()
        view[:] = 3.0
        del view
        gc.collect()
        os._exit(0 if whole and look(queue).hands == 1 else 1)

    view[:] = 2.0
    del view
    queue.put(numbers(4.0))
    taken = queue.get(copy=False)
    os.write(go[1], b".")

    assert os.waitpid(child, 0)[1] == 0
    assert (taken == 4.0).all()
    for end in go:
        os.close(end)


def test_memory_comes_back_when_the_viewer_is_killed(crew: Crew) -> None:
    """What a dead process looked at goes to the next who needs memory."""
    queue = Queue()
    queue.put(numbers(1.0))

    def looks(line: Line, queue: Any) -> None:
        view = queue.get(copy=False)
        line.say("sees", float(view[0]))
        os.read(hold[0], 1)

    hold = os.pipe()
    actor = crew.start(looks, queue)
    assert actor.has_said("sees", 1.0)
    assert look(queue).hands == 1

    actor.dispose()
    crew.actors.clear()
    with pytest.raises(Empty):
        queue.get(timeout=0.5)

    assert (look(queue).hands, units_in_use(queue)) == (0, 1)
    for end in hold:
        os.close(end)
