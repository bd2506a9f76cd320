"""Bounds, sizes and waits of a queue in one process."""

from __future__ import annotations

import time
from queue import Empty, Full
from typing import Any

import pytest
from helpers.waiting import wait_until

from hardy._ipc.queues import JoinableQueue, Queue, SimpleQueue
from hardy._ipc.tasks import TaskQueue
from hardy.errors import Closed, HardyError

KINDS = [Queue, JoinableQueue, TaskQueue]


@pytest.mark.parametrize("kind", KINDS)
def test_queue_is_first_in_first_out(kind: Any) -> None:
    """Objects come out in the order in which they went in, whatever their sizes."""
    queue = kind()
    objs = [i if i % 3 else bytes([i % 251]) * (i * 40) for i in range(1500)]

    for obj in objs:
        queue.put(obj)

    assert queue.qsize() == len(objs)
    assert [queue.get() for _ in objs] == objs
    assert queue.empty()


@pytest.mark.parametrize("kind", KINDS)
def test_queue_is_full_at_maxsize(kind: Any) -> None:
    """`maxsize` objects fit; the next raises queue.Full, and room made is room found."""
    queue = kind(2)

    queue.put(1)
    assert not queue.full()
    queue.put(2)

    assert queue.full()
    assert queue.maxsize == 2
    for put in (lambda: queue.put_nowait(3), lambda: queue.put(3, False), lambda: queue.put(3, True, 0.01)):
        with pytest.raises(Full):
            put()
    assert queue.get() == 1
    queue.put(3)
    assert [queue.get(), queue.get()] == [2, 3]


@pytest.mark.parametrize("size", [100, 100_000])
def test_queue_is_full_at_maxbytes(size: int) -> None:
    """`maxbytes` bounds the sum of the sizes; an object that never fits is refused at once."""
    queue: Queue[bytes] = Queue(maxbytes=2 * size + 1)

    queue.put(bytes(size))
    queue.put(bytes(size))

    assert queue.nbytes() == 2 * size
    with pytest.raises(Full):
        queue.put(bytes(2), timeout=0.01)
    queue.put(b"1")
    assert queue.full()
    with pytest.raises(ValueError, match="never fits"):
        queue.put(bytes(2 * size + 2))
    with pytest.raises(Full):
        queue.put(bytes(size), False)
    assert queue.get() == bytes(size)
    assert queue.qsize() == 2


@pytest.mark.parametrize("kind", [*KINDS, SimpleQueue])
def test_queue_get_raises_empty_when_nothing_comes(kind: Any) -> None:
    """An empty queue raises queue.Empty, after the timeout and not much later."""
    queue = kind()

    for get in (lambda: queue.get(False), lambda: queue.get(True, 0), lambda: queue.get(timeout=-1)):
        with pytest.raises(Empty):
            get()
    began = time.monotonic()
    with pytest.raises(Empty):
        queue.get(timeout=0.15)

    assert 0.15 <= time.monotonic() - began < 1.0


@pytest.mark.parametrize("kind", KINDS)
def test_queue_put_raises_full_after_its_timeout(kind: Any) -> None:
    """A full queue raises queue.Full after the timeout and not much later, for large objects too."""
    queue = kind(1)
    queue.put(1)

    for obj in (1, bytes(100_000)):
        began = time.monotonic()
        with pytest.raises(Full):
            queue.put(obj, timeout=0.15)
        assert 0.15 <= time.monotonic() - began < 1.0
    assert queue.qsize() == 1
    assert queue.get() == 1


def test_queue_takes_a_million_before_its_first_reader() -> None:
    """An unbounded queue holds a million objects, and gives the memory back once they are read."""
    queue: Queue[int] = Queue()
    count = 1_000_000

    assert queue.put_many(range(count)) == count
    held = queue.segment.allocated_bytes()
    assert queue.qsize() == count
    got = 0
    while got < count:
        objs = queue.get_many()
        assert objs == list(range(got, got + len(objs)))
        got += len(objs)

    def is_back() -> bool:
        try:
            queue.get(timeout=0.2)
        except Empty:
            pass  # idle, which is when memory is given back
        return queue.segment.allocated_bytes() < 2 << 20

    assert held > 8 * count
    assert wait_until(is_back, 5.0)


def test_queue_gives_memory_back_when_its_reader_only_looks_in_for_a_moment() -> None:
    """What streamed large messages is idle too when each `get` of its reader waits for a moment only."""
    queue: Queue[bytes] = Queue()
    large = bytes(8 << 20)
    for _ in range(4):
        queue.put(large)
        assert queue.get() == large
    kept = queue.segment.allocated_bytes()

    def is_back() -> bool:
        with pytest.raises(Empty):
            queue.get(timeout=0.001)
        return queue.segment.allocated_bytes() < 2 << 20

    assert kept > 4 << 20, "large messages that stream keep their pages"
    assert wait_until(is_back, 5.0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bound", ["maxsize", "maxbytes"])
@pytest.mark.parametrize("value", ["3", 2.0, None, True, [], b"1"])
def test_queue_refuses_a_bound_that_is_no_int(kind: Any, bound: str, value: Any) -> None:
    """The error names the argument and the type."""
    with pytest.raises(TypeError, match=f"{bound}.*{type(value).__name__}"):
        kind(**{bound: value})


@pytest.mark.parametrize("kind", KINDS)
def test_queue_refuses_a_bound_that_is_too_large(kind: Any) -> None:
    """A bound past 2**63 - 1 is an error, not a small bound."""
    for bound in ("maxsize", "maxbytes"):
        for value in (2**63, 2**64, 2**70):
            with pytest.raises(ValueError, match=bound):
                kind(**{bound: value})
    with pytest.raises(ValueError, match="maxbytes"):
        kind(maxbytes=-1)


@pytest.mark.parametrize("maxsize", [0, -1, -(2**40), 2**63 - 1])
def test_queue_takes_what_the_stdlib_takes_for_no_bound(maxsize: int) -> None:
    """Zero and negative numbers mean no bound."""
    queue: Queue[int] = Queue(maxsize)

    queue.put_many(range(1000))

    assert not queue.full()


@pytest.mark.parametrize("timeout", ["1", [], object()])
def test_queue_refuses_a_timeout_that_is_no_number(timeout: Any) -> None:
    """A wrong timeout is an error at the call, and nothing is put or taken."""
    queue: Queue[int] = Queue()
    queue.put(1)

    for call in (queue.get, queue.get_many):
        with pytest.raises(TypeError):
            call(timeout=timeout)
    with pytest.raises(TypeError):
        queue.put(2, timeout=timeout)
    with pytest.raises(ValueError, match="nan"):
        queue.get(timeout=float("nan"))
    assert queue.qsize() == 1


@pytest.mark.parametrize("kind", KINDS)
def test_get_many_refuses_a_wrong_number(kind: Any) -> None:
    """`max_items` is an int of at least 1; nothing is taken otherwise."""
    queue = kind()
    queue.put(1)

    for value in (0, -1):
        with pytest.raises(ValueError, match="max_items"):
            queue.get_many(value)
    for value in ("1", 1.0, True, None):
        with pytest.raises(TypeError, match="max_items"):
            queue.get_many(value)
    assert queue.get_many(2**100) == [1]


@pytest.mark.parametrize("kind", [*KINDS, SimpleQueue])
def test_closed_queue_refuses_every_call(kind: Any) -> None:
    """After close() in this process put and get raise ValueError, and say so; close() again is nothing."""
    queue = kind()
    queue.put(1)

    queue.close()
    queue.close()

    for call in (lambda: queue.put(2), lambda: queue.get(), lambda: queue.put_many([1]), lambda: queue.get_many(1)):
        with pytest.raises(ValueError, match="closed") as caught:
            call()
        assert isinstance(caught.value, (Closed, HardyError))
    with pytest.raises(ValueError, match="closed"):
        queue.__reduce__()


def test_full_and_empty_are_exact_with_every_step() -> None:
    """`qsize`, `empty` and `full` are true at the instant of the call."""
    queue: Queue[int] = Queue(3)

    for i in range(3):
        assert (queue.qsize(), queue.empty(), queue.full()) == (i, i == 0, False)
        queue.put(i)
    assert (queue.qsize(), queue.empty(), queue.full()) == (3, False, True)
    for i in (3, 2, 1):
        queue.get()
        assert (queue.qsize(), queue.empty(), queue.full()) == (i - 1, i == 1, False)
