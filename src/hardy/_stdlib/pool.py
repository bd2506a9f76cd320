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
        self._inqueue = tasks = _pipe_queue(self._ctx)
        self._outqueue = results = _pipe_queue(self._ctx)
        self._quick_put = tasks._writer.send
        self._quick_get = results._reader.recv


def _pipe_queue(ctx: Any) -> Any:
    return SimpleQueue(ctx=ctx)
