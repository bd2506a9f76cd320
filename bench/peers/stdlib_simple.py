"""`multiprocessing.SimpleQueue`: bounded by its pipe, some 64 KiB."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from typing import Any

from bench.peers.base import Channel


class StdlibSimpleQueue(Channel):
    name = "SimpleQueue"

    def __init__(self, bound: int, object_bytes: int) -> None:
        self._queue: multiprocessing.SimpleQueue[Any] = multiprocessing.SimpleQueue()

    def sender(self) -> Callable[[Any], object]:
        return self._queue.put

    def receiver(self) -> Callable[[], Any]:
        return self._queue.get
