"""`queue._reader`: waiting for queues among other things."""

from __future__ import annotations

import os
import select
from multiprocessing.connection import wait
from typing import Any

import pytest

from hardy import Closed, Pipe, Process, Queue, SimpleQueue

GO_ON_S = 10.0


@pytest.mark.parametrize("kind", [Queue, SimpleQueue])
def test_reader_is_ready_when_there_is_an_object(kind: Any) -> None:
    """It is not ready before the `put`, ready after it, and not ready once the object is taken."""
    queue = kind()
    reader = queue._reader

    before = wait([reader], 0)
    queue.put("x")
    during = wait([reader], GO_ON_S)
    got = reader.recv()
    after = wait([reader], 0)

    assert (before, during, got, after) == ([], [reader], "x", [])


def test_reader_wakes_who_waits_for_several() -> None:
    """A `put` of another process ends a wait that was begun before it."""
    queue: Queue[str] = Queue()
    near, far = Pipe()
    child = Process(target=_put_when_told, args=(far, queue))
    child.start()

    ready = wait([queue._reader, child.sentinel], 0)
    near.send("now")
    ready += wait([queue._reader, child.sentinel], GO_ON_S)

    assert ready[0] is queue._reader
    assert queue.get() == "told"
    child.join()
    near.close()
    far.close()


def _put_when_told(line: Any, queue: Any) -> None:
    line.recv()
    queue.put("told")


def test_reader_is_not_ready_when_get_took_the_object() -> None:
    """`get` beside the reader: the next wait sees that there is none left."""
    queue: Queue[int] = Queue()
    queue.put(1)
    assert wait([queue._reader], GO_ON_S)

    queue.get()

    assert not queue._reader.poll()


def test_reader_stays_silent_after_recv_for_who_registered_it_once() -> None:
    """A poll object, which asks for the descriptor only once, is told of each object and no more."""
    queue: Queue[int] = Queue()
    poll = select.poll()
    poll.register(queue._reader, select.POLLIN)
    seen = []

    for i in range(3):
        queue.put(i)
        seen.append(bool(poll.poll(GO_ON_S * 1000)))
        queue._reader.recv()
        seen.append(bool(poll.poll(0)))

    assert seen == [True, False] * 3


def test_reader_is_ready_when_the_queue_is_closed_here() -> None:
    """Who waits is told of the close, and `recv` says so."""
    queue: Queue[int] = Queue()
    reader = queue._reader
    assert not reader.poll()

    queue.close()

    assert reader.poll(GO_ON_S)
    with pytest.raises(Closed):
        reader.recv()


def test_reader_of_a_forked_child_is_its_own() -> None:
    """What the child takes and sees does not disturb the parent's reader."""
    queue: Queue[int] = Queue()
    assert not queue._reader.poll()
    child = Process(target=_poll_and_take, args=(queue,))
    child.start()

    queue.put(1)
    taken = child.result()
    queue.put(2)

    assert taken == (True, 1)
    assert queue._reader.poll(GO_ON_S)
    assert queue._reader.recv() == 2


def _poll_and_take(queue: Any) -> tuple[bool, int]:
    return queue._reader.poll(GO_ON_S), queue._reader.recv()


def test_reader_says_so_when_its_queue_is_gone() -> None:
    """A reader does not keep its queue."""
    reader = Queue()._reader

    with pytest.raises(OSError, match="keep the queue itself"):
        reader.fileno()


def test_reader_is_not_sent_with_its_queue() -> None:
    """A queue whose reader was used travels as any other."""
    queue: Queue[Any] = Queue()
    queue._reader.poll()
    line: Queue[Any] = Queue()

    line.put(queue)
    line.get().put(os.getpid())

    assert queue._reader.recv() == os.getpid()


def test_ends_of_a_queue_are_as_code_of_the_stdlib_takes_them() -> None:
    """What pools do with the two ends of their pipes: send, close one, ask whether it is closed."""
    queue: Queue[int] = Queue()

    queue._writer.send(3)
    queue._writer.close()
    queue._reader.close()

    assert queue._reader.recv() == 3
    assert (queue._reader.closed, queue._writer.closed) == (False, False)
    queue.close()
    assert (queue._reader.closed, queue._writer.closed) == (True, True)


def test_empty_goes_on_answering_when_who_closed_it_had_not_put() -> None:
    """As in Python 3.12; who had put is told that it is closed, by an error that is an OSError too."""
    unused: Queue[int] = Queue()
    used: Queue[int] = Queue()
    used.put(1)

    simple: SimpleQueue[int] = SimpleQueue()

    unused.close()
    used.close()
    simple.close()

    assert unused.empty()
    for queue in (used, simple):
        with pytest.raises(OSError, match="is closed"):
            queue.empty()
