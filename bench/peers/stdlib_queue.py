"""`multiprocessing.Queue`, to which all others are compared."""

from __future__ import annotations

import multiprocessing
import multiprocessing.queues
from collections.abc import Callable
from typing import Any

from bench.peers.base import Channel


class StdlibQueue(Channel):
    name = "multiprocessing.Queue"

    def __init__(self, bound: int, object_bytes: int) -> None:
        self._queue: multiprocessing.queues.Queue[Any] = multiprocessing.Queue(bound)

    def sender(self) -> Callable[[Any], object]:
        return self._queue.put

    def receiver(self) -> Callable[[], Any]:
        return self._queue.get
