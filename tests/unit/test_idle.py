"""Who waits uses no processor."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, Full
from typing import Any

import pytest

from hardy import Event, Lock, Queue, Semaphore, TaskQueue

WAIT_S = 0.2
# Of the time waited. A wait that spins on to its end uses all of it, one that sleeps some hundredths of one per cent.
MOST_OF_A_PROCESSOR = 0.25


def with_timeout(call: Callable[..., object], *args: object) -> Callable[[float], object]:
    return lambda timeout_s: call(*args, timeout=timeout_s)


def full_queue() -> Queue[int]:
    queue: Queue[int] = Queue(1)
    queue.put(0)
    return queue


def held_lock() -> Any:
    lock = Lock()
    lock.acquire()
    return lock


WAITS: dict[str, Callable[[], Callable[[float], object]]] = {
    "get": lambda: with_timeout(Queue().get),
    "put": lambda: with_timeout(full_queue().put, 1),
    "get_many": lambda: with_timeout(Queue().get_many),
    "take": lambda: with_timeout(TaskQueue().take),
    "lock": lambda: with_timeout(held_lock().acquire),
    "semaphore": lambda: with_timeout(Semaphore(0).acquire),
    "event": lambda: with_timeout(Event().wait),
}


@pytest.mark.parametrize("what", WAITS)
def test_waiter_sleeps_when_there_is_nothing(what: str) -> None:
    """What is spun before a sleep is some microseconds, once, however long the wait."""
    wait = WAITS[what]()

    before_s = time.thread_time()
    with suppress(Empty, Full):
        wait(WAIT_S)
    used_s = time.thread_time() - before_s

    assert used_s < MOST_OF_A_PROCESSOR * WAIT_S
