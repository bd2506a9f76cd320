"""The stdlib's `Pool`, which needs the pipes inside of the stdlib's own `SimpleQueue`."""

from __future__ import annotations

from multiprocessing import pool as _pool
from multiprocessing.queues import SimpleQueue
from typing import Any

__all__ = ["Pool"]


class Pool(_pool.Pool):
    """The stdlib's pool, with the processes and locks of the context that makes it."""

    _ctx: Any

    def _setup_queues(self) -> None:
        self._inqueue: Any = SimpleQueue(ctx=self._ctx)
        self._outqueue: Any = SimpleQueue(ctx=self._ctx)
        self._quick_put = self._inqueue._writer.send
        self._quick_get = self._outqueue._reader.recv
