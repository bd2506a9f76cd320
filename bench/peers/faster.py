"""faster-fifo: a ring in shared memory under one mutex."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import faster_fifo  # type: ignore[import-not-found]

from bench.peers.base import MANY, Channel

# Its ring holds pickles; room for what a pickle adds to the object, and for its own headers.
_OVERHEAD_BYTES = 256
# It has no form without a bound; this much it never fills in a measurement.
_ROOM_BYTES = 64 << 20
# By default it gives up after 10 s; a stalled machine may take longer.
_PATIENCE_S = 60.0


class FasterFifo(Channel):
    name = "faster-fifo"
    has_many = True

    def __init__(self, bound: int, object_bytes: int) -> None:
        room = bound * (object_bytes + _OVERHEAD_BYTES) if bound else _ROOM_BYTES
        self._queue = faster_fifo.Queue(max_size_bytes=room, maxsize=bound or room)

    def sender(self) -> Callable[[Any], object]:
        return partial(self._queue.put, timeout=_PATIENCE_S)

    def receiver(self) -> Callable[[], Any]:
        return partial(self._queue.get, timeout=_PATIENCE_S)

    def many_sender(self) -> Callable[[list[Any]], object]:
        return partial(self._queue.put_many, timeout=_PATIENCE_S)

    def many_receiver(self) -> Callable[[], list[Any]]:
        return partial(self._queue.get_many, timeout=_PATIENCE_S, max_messages_to_get=MANY)
