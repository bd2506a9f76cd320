"""`put_many` and `get_many`, and what they say when something in the middle fails."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from queue import Empty, Full
from typing import Any

import pytest

from hardy._ipc.queues import Queue
from hardy.errors import CannotPickle, CannotUnpickle


def _refuse() -> None:
    raise ImportError("no such part here")


class Unbuildable:
    def __reduce__(self) -> tuple[Any, ...]:
        return _refuse, ()


def test_put_many_puts_all_and_counts() -> None:
    """What is put is what the iterable gave, in order; small and large mixed."""
    queue: Queue[bytes] = Queue()
    objs = [bytes([i % 251]) * size for i, size in enumerate([1, 20_000, 30_000, 0, 200_000, 24_576] * 30)]

    count = queue.put_many(iter(objs))

    assert count == len(objs)
    assert queue.nbytes() == sum(map(len, objs))
    assert [queue.get() for _ in objs] == objs


def test_put_many_of_nothing_puts_nothing() -> None:
    """An empty iterable is no error."""
    queue: Queue[int] = Queue()

    assert queue.put_many([]) == 0
    assert queue.empty()


@pytest.mark.parametrize("where", [0, 1, 128, 129, 300])
def test_put_many_puts_those_before_the_culprit(where: int) -> None:
    """`put` of the error tells how many are in the queue."""
    queue: Queue[Any] = Queue()
    objs: list[Any] = list(range(400))
    objs[where] = threading.Lock()

    with pytest.raises(CannotPickle) as caught:
        queue.put_many(objs)

    assert caught.value.put == where  # type: ignore[attr-defined]
    assert queue.qsize() == where
    assert [queue.get() for _ in range(where)] == list(range(where))


def test_put_many_puts_those_before_the_iterables_own_error() -> None:
    """An error of the iterable goes through, with the count."""
    queue: Queue[int] = Queue()

    def numbers() -> Iterator[int]:
        yield from range(5)
        raise LookupError("no more")

    with pytest.raises(LookupError, match="no more") as caught:
        queue.put_many(numbers())

    assert caught.value.put == 5  # type: ignore[attr-defined]
    assert queue.qsize() == 5


def test_put_many_tells_how_many_had_room() -> None:
    """`put` of queue.Full tells how many are in the queue."""
    queue: Queue[int] = Queue(150)

    with pytest.raises(Full) as caught:
        queue.put_many(range(1000), timeout=0.05)

    assert caught.value.put == 150  # type: ignore[attr-defined]
    assert [queue.get(timeout=1) for _ in range(150)] == list(range(150))
    assert queue.empty()


def test_put_many_tells_how_many_had_room_before_a_culprit() -> None:
    """When those before the culprit find no room either, that error bears the count."""
    queue: Queue[Any] = Queue(2)

    with pytest.raises(Full) as caught:
        queue.put_many([1, 2, 3, threading.Lock()], timeout=0.05)

    assert caught.value.put == 2  # type: ignore[attr-defined]
    assert queue.get_many() == [1, 2]


def test_put_many_refuses_a_message_that_never_fits() -> None:
    """Those before it are put."""
    queue: Queue[bytes] = Queue(maxbytes=100)

    with pytest.raises(ValueError, match="never fits") as caught:
        queue.put_many([bytes(10), bytes(101), bytes(1)])

    assert caught.value.put == 1  # type: ignore[attr-defined]
    assert queue.get_many() == [bytes(10)]


def test_get_many_takes_at_most_what_was_asked() -> None:
    """And what is there when that is less."""
    queue: Queue[int] = Queue()
    queue.put_many(range(10))

    assert queue.get_many(4) == [0, 1, 2, 3]
    assert queue.get_many(100) == [4, 5, 6, 7, 8, 9]
    with pytest.raises(Empty):
        queue.get_many(1, False)


def test_get_many_gives_a_large_object_by_itself() -> None:
    """Large and small objects keep their order."""
    queue: Queue[bytes] = Queue()
    objs = [b"1", b"2", bytes(100_000), b"3", bytes(50_000)]
    got = []
    queue.put_many(objs)

    while len(got) < len(objs):
        got += queue.get_many()

    assert got == objs


def test_get_many_gives_the_rest_when_one_cannot_be_rebuilt() -> None:
    """`rest` of the error has the others; nothing is lost but the culprit."""
    queue: Queue[Any] = Queue()
    queue.put_many([1, 2, Unbuildable(), 3, Unbuildable(), 4])

    with pytest.raises(CannotUnpickle, match="no such part here") as caught:
        queue.get_many()

    assert caught.value.rest == [1, 2, 3, 4]
    assert queue.empty()


def test_queue_goes_on_when_an_object_cannot_be_rebuilt() -> None:
    """The error comes at that `get` and names the sender; the next object is next."""
    import os

    queue: Queue[Any] = Queue()
    for obj in (Unbuildable(), [Unbuildable(), bytes(100_000)], 3):
        queue.put(obj)

    for _ in range(2):
        with pytest.raises(CannotUnpickle, match=f"process {os.getpid()}") as caught:
            queue.get()
        assert caught.value.pid == os.getpid()

    assert queue.get() == 3
