"""`hardy.Queue`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from bench.peers.base import MANY, Channel
from hardy import Queue


class HardyQueue(Channel):
    name = "hardy"
    has_many = True

    def __init__(self, bound: int, object_bytes: int) -> None:
        self._queue = Queue(bound)

    def sender(self) -> Callable[[Any], object]:
        return self._queue.put

    def receiver(self) -> Callable[[], Any]:
        return self._queue.get

    def many_sender(self) -> Callable[[list[Any]], object]:
        return self._queue.put_many

    def many_receiver(self) -> Callable[[], list[Any]]:
        return partial(self._queue.get_many, MANY)


class HardyViews(HardyQueue):
    """The reader looks at large objects where they are."""

    def receiver(self) -> Callable[[], Any]:
        return partial(self._queue.get, copy=False)
