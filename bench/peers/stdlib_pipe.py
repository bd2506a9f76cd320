"""`multiprocessing.Pipe`, one way: for one producer and one consumer only, without a lock."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from typing import Any

from bench.peers.base import Channel


class StdlibPipe(Channel):
    name = "Pipe"
    serves_many = False

    def __init__(self, bound: int, object_bytes: int) -> None:
        self._reader, self._writer = multiprocessing.Pipe(duplex=False)

    def sender(self) -> Callable[[Any], object]:
        return self._writer.send

    def receiver(self) -> Callable[[], Any]:
        return self._reader.recv
