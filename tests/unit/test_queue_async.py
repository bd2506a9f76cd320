"""`aput` and `aget` in an asyncio program."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Generator, Iterator
from typing import Any

import pytest
from helpers.crew import Crew, Line, new_crew
from helpers.waiting import wait_until

from hardy import CannotPickle, Closed, Queue


class Turn:
    """To await this lets the loop run once."""

    def __await__(self) -> Generator[None, None, None]:
        yield


@pytest.fixture
def crew() -> Iterator[Crew]:
    with new_crew() as crew:
        yield crew


@pytest.fixture(autouse=True)
def threads_end() -> Iterator[None]:
    """The thread of a slice that was cancelled ends by itself."""
    yield
    assert wait_until(lambda: threading.active_count() == 1)


def test_aget_gets_what_is_there() -> None:
    """What need not wait costs no thread."""
    queue: Queue[int] = Queue(1)

    async def run() -> int:
        await queue.aput(1)
        assert threading.active_count() == 1
        return await queue.aget()

    assert asyncio.run(run()) == 1


def test_loop_goes_on_while_aget_waits() -> None:
    """A waiting aget blocks neither the loop nor a put of the same loop."""
    queue: Queue[int] = Queue()

    async def run() -> tuple[int, int]:
        getter = asyncio.create_task(queue.aget())
        turns = 0
        while threading.active_count() == 1:
            turns += 1
            await Turn()
        queue.put(7)
        return await asyncio.wait_for(getter, 5), turns

    got, turns = asyncio.run(run())
    assert got == 7
    assert turns > 0


def test_aput_waits_for_room() -> None:
    """A full queue makes aput wait until another has taken something."""
    queue: Queue[int] = Queue(1)
    queue.put(1)

    async def run() -> list[int]:
        putter = asyncio.create_task(queue.aput(2))
        while threading.active_count() == 1:
            await Turn()
        assert not putter.done()
        first = queue.get()
        await asyncio.wait_for(putter, 5)
        return [first, queue.get()]

    assert asyncio.run(run()) == [1, 2]


def test_cancelled_aget_has_taken_nothing() -> None:
    """Whatever instant the cancellation comes at, no object is lost."""
    queue: Queue[int] = Queue()

    async def run() -> list[int]:
        got = []
        for i in range(50):
            getter = asyncio.create_task(queue.aget())
            for _ in range(i % 5):
                await Turn()
            queue.put(i)
            for _ in range(i % 3):
                await Turn()
            getter.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                got.append(await getter)
        while not queue.empty():
            got.append(queue.get())
        return got

    assert sorted(asyncio.run(run())) == list(range(50))


def test_cancelled_aput_has_put_nothing() -> None:
    """A put that was cancelled while the queue was full does not come later."""
    queue: Queue[int] = Queue(1)
    queue.put(1)

    async def run() -> None:
        putter = asyncio.create_task(queue.aput(2))
        while threading.active_count() == 1:
            await Turn()
        putter.cancel()
        with pytest.raises(asyncio.CancelledError):
            await putter

    asyncio.run(run())
    assert queue.get() == 1
    assert queue.empty()


def test_many_tasks_share_one_queue(crew: Crew) -> None:
    """A producer in another process, ten tasks that get: each object once."""
    queue: Queue[int] = Queue(5)

    def put(line: Line) -> None:
        for i in range(200):
            queue.put(i)

    putter = crew.start(put)

    async def run() -> list[int]:
        async def consume() -> list[int]:
            return [await queue.aget() for _ in range(20)]

        return [i for got in await asyncio.gather(*(consume() for _ in range(10))) for i in got]

    assert sorted(asyncio.run(run())) == list(range(200))
    assert putter.ends_well()


def test_aget_ends_with_the_stream(crew: Crew) -> None:
    """Closed comes out of an aget that waits, too."""
    queue: Queue[int] = Queue()
    queue.put(1)

    async def run() -> list[Any]:
        got: list[Any] = [await queue.aget()]
        queue.close()
        with pytest.raises(Closed):
            await queue.aget()
        with pytest.raises(Closed):
            await queue.aput(1)
        return got

    assert asyncio.run(run()) == [1]


def test_aput_refuses_what_cannot_travel() -> None:
    """At the call, as put."""
    queue: Queue[Any] = Queue()

    with pytest.raises(CannotPickle):
        asyncio.run(queue.aput(threading.Lock()))
    assert queue.empty()
